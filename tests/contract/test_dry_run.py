"""A dry run binds and reads nothing: BigQuery is asked for one, and DuckDB says what is wrong at the same place."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.api_core import exceptions
from google.cloud.bigquery import Client, QueryJobConfig, SchemaField

from phasegate.adapters.embedded.empty_tables import EmptyTables
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.gcp.bigquery.warehouse import BigQueryWarehouse
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.checks import registry
from phasegate.domain.checks.question import DuckDbSql
from phasegate.domain.checks.subject import CheckSubject
from phasegate.domain.errors import InputError, StatementRefused, TableNotThere, TransientError
from phasegate.domain.spec.checks import CoverageCheck, DuplicatesCheck, EntitiesCheck, NullsCheck, RangeCheck
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.ports import Bound, Partition
from tests.unit.builders import pipeline

SETTINGS = CloudSettings(project="demo", location="europe-west6")
SELECT = "SELECT x FROM ds.t WHERE d IN UNNEST(@days)"
DAYS: dict[str, Any] = {"days": [date(2024, 1, 1)]}


class NotingClient:
    """Notes each request, and answers as BigQuery does: with a job, or an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.configs = error, list[QueryJobConfig]()

    def query(self, _sql: str, *, job_config: QueryJobConfig, **_: Any) -> object:
        self.configs.append(job_config)
        if self.error is not None:
            raise self.error
        return SimpleNamespace(schema=[SchemaField("x", "INTEGER")])


def asked(client: NotingClient) -> Bound:
    """What BigQuery's dry run says of one statement."""
    warehouse = BigQueryWarehouse(cast("Client", client), SETTINGS, labels={})
    return warehouse.dry_run([(SELECT, DAYS)])[0]


def test_the_request_to_bigquery_is_a_dry_run_with_its_parameters() -> None:
    client = NotingClient()
    assert asked(client) == {"x": "INT64"}
    (sent,) = (config.to_api_repr() for config in client.configs)
    assert sent["dryRun"] is True
    assert [each["name"] for each in sent["query"]["queryParameters"]] == ["days"]


@pytest.mark.parametrize(
    ("said", "sentence", "place"),
    [
        ("Unrecognized name: x at [1:8]", "Unrecognized name: x", (1, 8)),
        ("Function not found: COUNTT; Did you mean count? at [3:11]", "COUNTT; Did you mean count?", (3, 11)),
        ("Syntax error", "Syntax error", (None, None)),
    ],
)
def test_what_bigquery_refuses_has_its_place(said: str, sentence: str, place: tuple[int | None, int | None]) -> None:
    refused = asked(NotingClient(exceptions.BadRequest(said)))
    assert isinstance(refused, StatementRefused)
    assert (sentence in refused.sentence, "at [" in refused.sentence) == (True, False)
    assert (refused.line, refused.column) == place


def test_a_workers_select_is_bound_before_its_first_row_is_written() -> None:
    client = NotingClient(exceptions.BadRequest("Unrecognized name: goals at [2:8]"))
    warehouse = BigQueryWarehouse(cast("Client", client), SETTINGS, labels={})
    partition = Partition("ds.t", "d", date(2024, 1, 1))
    with pytest.raises(InputError, match=r"Unrecognized name: goals at \[2:8\]"):
        warehouse.replace_partition(partition, "SELECT @d AS d,\n       goals FROM ds.s", {"d": partition.day}, 1)
    (sent,) = (config.to_api_repr() for config in client.configs)
    assert sent["dryRun"] is True


def test_a_table_that_bigquery_does_not_find_is_named() -> None:
    said = "Not found: Table demo:ds.t was not found in location europe-west6"
    refused = asked(NotingClient(exceptions.NotFound(said)))
    assert isinstance(refused, TableNotThere)
    assert refused.table == "ds.t"


def test_a_bigquery_that_does_not_answer_refuses_nothing() -> None:
    with pytest.raises(TransientError):
        asked(NotingClient(exceptions.ServiceUnavailable("later")))


@pytest.fixture
def warehouse() -> Iterator[DuckDbWarehouse]:
    """A warehouse with one table."""
    made = DuckDbWarehouse(Path(":memory:"))
    made.apply_schema("CREATE TABLE ds.t (d DATE, x INT64, name STRING)")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("sql", "sentence", "place"),
    [
        ("SELECT x,\n  y FROM ds.t", "there is no column y", (2, 3)),
        ("SELECT x FROM ds.t AS a WHERE b.x = 1", "nothing in FROM is called b", (1, 31)),
        ("SELECT x FROM ds.u", "there is no table ds.u", (1, 15)),
        ("SELECT x FROM dd.t", "there is no table dd.t", (1, 15)),
        ("SELECT name, COUNT(*) FROM ds.t", "column name is neither grouped by nor within an aggregate", (1, 8)),
        ("SELECT x FROM ds.t WHERE d = @days", "an ARRAY", (1, 26)),
        ("SELECT x FROM ds.t WHERE d IN (@days)", "an ARRAY", (1, 26)),
    ],
)
def test_duckdb_says_what_is_wrong_at_the_place_of_the_bigquery_text(
    warehouse: DuckDbWarehouse, sql: str, sentence: str, place: tuple[int, int]
) -> None:
    (refused,) = warehouse.dry_run([(sql, DAYS)])
    assert isinstance(refused, StatementRefused)
    assert sentence in refused.sentence
    assert (refused.line, refused.column) == place


def test_a_dry_run_of_duckdb_runs_nothing(warehouse: DuckDbWarehouse) -> None:
    raises = "SELECT COALESCE(ERROR('it was run'), 1) AS n FROM ds.t"
    assert warehouse.dry_run([(raises, {}), (SELECT, DAYS)]) == [{"n": "INT64"}, {"x": "INT64"}]


TYPES = ["INT64", "FLOAT64", "NUMERIC", "NUMERIC(10, 2)", "STRING", "BOOL", "DATE", "TIMESTAMP", "DATETIME"]
CHECKS = [
    NullsCheck(column="c"),
    RangeCheck(column="c", min=0, max=1),
    DuplicatesCheck(keys=["c"]),
    EntitiesCheck(key="c", calendar="teams"),
    EntitiesCheck(key="c", processor="raw/a"),
    CoverageCheck(processor="raw/a", keys=["c"]),
]


@pytest.mark.parametrize("kind", [*TYPES, "BYTES", "TIME", "ARRAY<INT64>", "STRUCT<a INT64>"])
def test_of_what_is_known_by_its_types_duckdb_says_the_same(kind: str) -> None:
    league = pipeline()
    left = league.processor("shape/left")
    assert isinstance(left.output, TableOutput)
    tables = {"shape.left_side", "raw.a"}
    script = "".join(f"CREATE TABLE {table} (d DATE, c {kind}, _fence INT64);" for table in tables)
    made = DuckDbWarehouse(Path(":memory:"))
    made.apply_schema(script)
    subject = CheckSubject(league, Calendar.of([]), "shape", left, left.output, (date(2024, 1, 1),))
    binder = EmptyTables(made.all_columns(), {}, lambda _: None, is_complete=False)
    for check in CHECKS:
        question = registry.ask(check, subject)
        assert question is not None
        (refused,) = made.dry_run([(question.sql, question.parameters)])
        kinds = [columns[name] for columns in binder.columns(tables).values() for name in ("c", "d")]
        if binder.binds_by_types(check, kinds):
            assert not isinstance(refused, StatementRefused), f"{check.check} of {kind}: {refused}"
        elif kind in TYPES:
            assert isinstance(check, RangeCheck)
    made.close()


def test_a_schema_script_gives_the_same_types_as_the_table_that_it_makes() -> None:
    script = f"CREATE TABLE ds.t ({', '.join(f'c{n} {kind}' for n, kind in enumerate(TYPES))})"
    made = DuckDbWarehouse(Path(":memory:"))
    made.apply_schema(script)
    of_script, of_table = (
        EmptyTables(there, scripts, lambda _: None, is_complete=False)
        for there, scripts in (({}, {"one.sql": script}), (made.all_columns(), {}))
    )
    made.close()
    for check in CHECKS:
        found = [
            [each.binds_by_types(check, [kind]) for kind in each.columns(["ds.t"])["ds.t"].values()]
            for each in (of_script, of_table)
        ]
        assert found[0] == found[1]
        assert any(found[0])


def test_bigquery_takes_no_sql_of_duckdb() -> None:
    client = NotingClient()
    warehouse = BigQueryWarehouse(cast("Client", client), SETTINGS, labels={})
    (refused,) = warehouse.dry_run([(DuckDbSql(SELECT), DAYS)])
    assert isinstance(refused, StatementRefused)
    assert "`dialect: duckdb` is for embedded mode alone" in refused.sentence
    with pytest.raises(StatementRefused):
        warehouse.query(DuckDbSql(SELECT), DAYS)
    assert client.configs == []
