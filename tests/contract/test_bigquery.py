"""What is BigQuery's own in its warehouse: jobs, limits, errors, datasets, and the size of a write."""

import json
from datetime import date
from typing import cast

import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, TransportError
from google.cloud.bigquery import Client

from phasegate.adapters.gcp.bigquery import warehouse as module
from phasegate.adapters.gcp.bigquery.errors import explained
from phasegate.adapters.gcp.bigquery.statements import MAX_ROWS_BYTES, by_requests, rows_together
from phasegate.adapters.gcp.bigquery.warehouse import BigQueryWarehouse
from phasegate.adapters.gcp.clients import BIGQUERY_EMULATOR, bigquery_client
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.errors import InputError, PhasegateError, ReadsTooMuch, StaleFence, TransientError, WouldEmpty
from phasegate.domain.state.reads import Reads
from phasegate.ports import Partition, Partitions
from phasegate.stack.emulators import Server, free_port
from phasegate.telemetry import counting_reads

TABLE = "bigquery_own.points"
SCHEMA = f"CREATE TABLE IF NOT EXISTS `{TABLE}` (d DATE, team STRING, _fence INT64) PARTITION BY d;"
PARTITION = Partition(TABLE, "d", date(2024, 1, 15))
LIMIT = 50 * 1024**2


@pytest.fixture(scope="module")
def client(bigquery_emulator: Server) -> Client:
    return bigquery_client(CloudSettings.from_environment())


@pytest.fixture(scope="module")
def warehouse(client: Client) -> BigQueryWarehouse:
    settings = CloudSettings(project="demo", location="europe-west6", max_bytes_billed=LIMIT)
    made = BigQueryWarehouse(client, settings, labels={"phasegate": "own"})
    made.apply_schema(SCHEMA)
    return made


def test_every_job_carries_its_label_and_its_limit(client: Client, warehouse: BigQueryWarehouse) -> None:
    before = {job.job_id for job in client.list_jobs()}
    warehouse.query("SELECT 1 AS x")
    warehouse.replace_partition(PARTITION, "SELECT @d AS d", {"d": PARTITION.day}, 1)
    jobs = [job for job in client.list_jobs() if job.job_id not in before]
    assert {job.statement_type for job in jobs} >= {"SELECT", "MERGE"}
    assert {(job.labels["phasegate"], job.maximum_bytes_billed) for job in jobs} == {("own", LIMIT)}


def test_a_dataset_is_made_in_the_location_of_the_settings(client: Client, warehouse: BigQueryWarehouse) -> None:
    assert client.get_dataset("bigquery_own").location == "europe-west6"


def test_a_schema_that_is_there_runs_no_job(client: Client, warehouse: BigQueryWarehouse) -> None:
    before = len(list(client.list_jobs()))
    warehouse.apply_schema(SCHEMA)
    assert len(list(client.list_jobs())) == before


def test_an_estimate_reads_nothing_and_refuses_what_cannot_be_run(warehouse: BigQueryWarehouse) -> None:
    sql = f"SELECT team FROM {TABLE} WHERE d = @d"
    assert warehouse.bytes_of(sql, {"d": PARTITION.day}) >= 0
    with pytest.raises(InputError, match="without a value: @d"):
        warehouse.bytes_of(sql, {})
    with pytest.raises(InputError, match="nowhere"):
        warehouse.bytes_of("SELECT team FROM bigquery_own.nowhere", {})


def test_a_table_that_is_not_there_is_to_be_created(warehouse: BigQueryWarehouse) -> None:
    with pytest.raises(InputError, match=r"bigquery_own\.nowhere.*Create the tables first"):
        warehouse.load_partition(Partition("bigquery_own.nowhere", "d", PARTITION.day), b"", 1)


def test_rows_beyond_one_request_are_refused_before_they_are_sent(warehouse: BigQueryWarehouse) -> None:
    line = b'{"d": "2024-01-15", "team": "%s"}' % (b"x" * 9_000_000)
    with pytest.raises(InputError, match=r"1 rows are 90000.. bytes, one write carries 8388608"):
        warehouse.load_partition(PARTITION, line, 1)


def test_rows_of_many_dates_travel_in_as_few_requests_as_carry_them() -> None:
    third = f'["{"x" * (MAX_ROWS_BYTES // 3)}"]'
    days = [date(2024, 1, n) for n in range(1, 6)]
    assert list(by_requests(dict.fromkeys(days, third))) == [days[:2], days[2:4], days[4:]]
    assert list(by_requests(dict.fromkeys(days, "[1]"))) == [days]
    assert list(by_requests({})) == []
    assert json.loads(rows_together(['[{"a": 1}]', '[{"a": 2}, {"a": 3}]'])) == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_what_stands_on_dates_without_rows_is_asked_with_one_query(warehouse: BigQueryWarehouse) -> None:
    days = [date(2025, 3, n) for n in (1, 2, 3, 4)]
    warehouse.replace_partition(Partition(TABLE, "d", days[1]), "SELECT @d AS d", {"d": days[1]}, 9)
    warehouse.replace_partition(Partition(TABLE, "d", days[2]), "SELECT @d AS d", {"d": days[2]}, 3)
    lines = {**dict.fromkeys(days, b""), days[3]: b'{"d": "2025-03-04"}'}
    with counting_reads() as counter:
        done = warehouse.load_partitions(Partitions(TABLE, "d", dict.fromkeys(days, 5)), lines)
    assert counter.reads.statements == 1
    empty, stale, would_empty, written = done.values()
    assert (empty, written) == (0, 1)
    assert isinstance(stale, StaleFence)
    assert isinstance(would_empty, WouldEmpty)


def test_a_guard_whose_reason_is_gone_when_it_is_looked_for_is_met_by_another_try(
    warehouse: BigQueryWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.replace_partition(PARTITION, "SELECT @d AS d", {"d": PARTITION.day}, 9)
    monkeypatch.setattr(warehouse, "_held", lambda _: {})
    with pytest.raises(TransientError, match="was changed by another writer meanwhile"):
        warehouse.replace_partition(PARTITION, "SELECT @d AS d", {"d": PARTITION.day}, 5)


def test_a_column_that_json_lines_cannot_carry_is_refused(warehouse: BigQueryWarehouse) -> None:
    warehouse.apply_schema("CREATE TABLE IF NOT EXISTS `bigquery_own.lists` (d DATE, names ARRAY<STRING>);")
    with pytest.raises(InputError, match="column names is REPEATED STRING"):
        warehouse.replace_table("bigquery_own.lists", b"")


def test_a_service_that_does_not_answer_may_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BIGQUERY_EMULATOR, f"127.0.0.1:{free_port()}")
    for name in ("CALL_RETRY", "JOB_RETRY"):
        monkeypatch.setattr(module, name, getattr(module, name).with_timeout(0.05))
    settings = CloudSettings(project="demo")
    nobody = BigQueryWarehouse(bigquery_client.__wrapped__(settings), settings, labels={})
    with pytest.raises(TransientError, match="could not finish"):
        nobody.query("SELECT 1 AS x")


class Rows(list[dict[str, object]]):
    """An answer of BigQuery's client."""

    def __init__(self, total_bytes_processed: int | None) -> None:
        super().__init__([{"x": 1}])
        self.total_bytes_processed = total_bytes_processed


class ReadingClient:
    """Answers every query; what it read is the number that stands in the statement, nothing for a cached answer."""

    def query_and_wait(self, sql: str, **_: object) -> Rows:
        if "broken" in sql:
            raise exceptions.BadRequest("no such column")
        return Rows(int(sql.split()[-1]) or None)


def test_whoever_counts_hears_of_the_bytes_that_each_answer_read_also_of_those_asked_in_threads() -> None:
    telling = BigQueryWarehouse(cast(Client, ReadingClient()), CloudSettings(project="demo"), labels={})
    telling.query("SELECT 7777")
    with counting_reads() as counter:
        telling.query("SELECT 5")
        with counting_reads() as inner:
            answers = telling.ask([(sql, {}) for sql in ("SELECT 100", "SELECT broken", "SELECT 0", "SELECT 1000")])
    assert [type(answer) for answer in answers] == [list, InputError, list, list]
    assert inner.reads == Reads(3, 1100)
    assert counter.reads == Reads(4, 1105)


def test_statements_of_the_stand_in_are_counted(warehouse: BigQueryWarehouse) -> None:
    with counting_reads() as counter:
        warehouse.ask([("SELECT 1 AS x", {}), ("SELECT 2 AS x", {})])
    assert counter.reads.statements == 2


def refusal(code: type[exceptions.GoogleAPICallError], reason: str, message: str) -> exceptions.GoogleAPICallError:
    """An error as BigQuery's client raises it."""
    return code(f"POST https://host/jobs: {message}", errors=[{"reason": reason, "message": message}])


@pytest.mark.parametrize(
    "error",
    [
        refusal(exceptions.Forbidden, "rateLimitExceeded", "Exceeded rate limits: too many table update operations"),
        refusal(exceptions.Forbidden, "quotaExceeded", "Quota exceeded: too many concurrent queries"),
        refusal(exceptions.BadRequest, "jobBackendError", "Error encountered during job execution"),
        refusal(exceptions.BadRequest, "resourcesExceeded", "Too many DML statements outstanding against table p:d.t"),
        refusal(exceptions.BadRequest, "invalidQuery", "Transaction is aborted due to concurrent update against table"),
        refusal(exceptions.BadRequest, "invalidQuery", "Could not serialize access to table p:d.t due to concurrent"),
        exceptions.InternalServerError("no detail"),
        exceptions.ServiceUnavailable("no detail"),
        exceptions.TooManyRequests("no detail"),
        exceptions.RetryError("gave up", cause=None),
        ConnectionResetError("reset by peer"),
        TransportError("no token server"),
        TimeoutError("waited too long"),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:60],
)
def test_what_a_later_try_may_mend_is_transient(error: Exception) -> None:
    assert isinstance(explained(error, LIMIT), TransientError)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (refusal(exceptions.BadRequest, "invalidQuery", "Unrecognized name: x at [1:8]"), "Unrecognized name: x at"),
        (refusal(exceptions.NotFound, "notFound", "Not found: Table p:d.t"), "Table p:d.t. Create the tables first"),
        (refusal(exceptions.Forbidden, "accessDenied", "Access Denied"), "Access Denied. Grant the account roles/"),
        (
            refusal(exceptions.BadRequest, "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed"),
            r"more than PHASEGATE_MAX_BYTES_BILLED allows \(52428800 bytes\)",
        ),
        (DefaultCredentialsError("none found"), "gcloud auth application-default login"),
    ],
    ids=["statement", "table", "rights", "bytes", "credentials"],
)
def test_what_a_person_must_mend_says_how(error: Exception, remedy: str) -> None:
    found = explained(error, LIMIT)
    assert type(found) is (ReadsTooMuch if "BYTES_BILLED" in remedy else InputError)
    with pytest.raises(PhasegateError, match=remedy):
        raise found
