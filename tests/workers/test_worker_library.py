"""The worker library as the author of a service uses it: the examples of its page, and every answer it gives."""

import importlib.util
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import flask
import functions_framework
import pytest
import yaml
from flask.testing import FlaskClient

from phasegate import telemetry
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.decisions.answers import Refused
from phasegate.domain.errors import HaltError, InputError, ReadsTooMuch, StaleFence, TransientError
from phasegate.domain.messages.completion import Completion
from phasegate.domain.plan import compile_plan
from phasegate.domain.protocol.versions import MINOR, PROTOCOL
from phasegate.domain.protocol.worker import ErrorClass, ProcessorResult, ResultStatus, WorkerRequest
from phasegate.domain.spec.pipeline import Dispatch, WorkerSpec
from phasegate.domain.state.facts import AttemptKey
from phasegate.ports import Claim, Partition, Warehouse
from phasegate.services.running.calls import Call, ClaimedAttempt, completion
from phasegate.worker import Accepted, RangeRequest, WorkerService, check_fence, completed_event, heartbeat
from phasegate.worker.service import MAX_BODY_BYTES
from tests.unit.builders import plan, run

PAGE = (Path(__file__).parents[2] / "docs" / "workers.md").read_text(encoding="utf-8")
SCHEMA = (Path(__file__).parents[2] / "pipelines" / "nba" / "schema" / "nba_raw.sql").read_text(encoding="utf-8")
DAY = date(2024, 1, 15)
TRACE = f"00-{'a' * 32}-{'b' * 16}-00"
DONE = ProcessorResult(status=ResultStatus.SUCCESS, rows=16)


def body(**changes: Any) -> dict[str, Any]:
    sent = {
        "run_id": "r",
        "date": str(DAY),
        "phase": "p",
        "processor": "a",
        "attempt": 2,
        "fence": 7,
        "deadline": "2100-01-01T00:00:00Z",
        **changes,
    }
    return {name: value for name, value in sent.items() if value is not None}


def request(**changes: Any) -> WorkerRequest:
    return WorkerRequest.model_validate(body(**changes))


def service_of(handler: Callable[[WorkerRequest], ProcessorResult | Accepted]) -> WorkerService:
    service = WorkerService("mine", version="1.2")
    service.route("/process")(handler)
    return service


def client_of(service: WorkerService) -> FlaskClient:
    """The service behind HTTP, as functions-framework puts it there: every path and method."""
    app = flask.Flask("mine")
    app.add_url_rule("/<path:path>", view_func=lambda path: service.respond(flask.request), methods=["GET", "POST"])
    app.testing = True
    return app.test_client()


def example(name: str) -> str:
    """The program of that name on the page."""
    (found,) = re.findall(rf"```python\n# {name}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Loads a program of the page as a user would: a file beside the others, imported."""
    monkeypatch.syspath_prepend(tmp_path)
    loaded = []

    def load(name: str) -> ModuleType:
        file = tmp_path / name
        file.write_text(example(name), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[file.stem] = module
        loaded.append(file.stem)
        spec.loader.exec_module(module)
        return module

    yield load
    for stem in loaded:
        del sys.modules[stem]


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    made = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    with_games(made)
    yield made
    made.close()


def with_games(warehouse: Warehouse) -> None:
    """The table that the page's example reads, with one game on the day."""
    warehouse.apply_schema(SCHEMA)
    game = {
        "game_date": str(DAY),
        "game_id": "g",
        "season": "2023-24",
        "home_team": "BOS",
        "away_team": "NYK",
        "home_score": 101,
        "away_score": 90,
        "game_status": 3,
    }
    warehouse.load_partition(Partition("nba_raw.bdl_games", "game_date", DAY), f"{json.dumps(game)}\n".encode(), 1)


def margins(fence: int = 7, day: date = DAY) -> dict[str, Any]:
    return body(date=None, analysis_date=str(day), processor="home_margins", fence=fence)


def test_the_example_of_the_page_processes_a_date_in_process(
    examples: Callable[[str], ModuleType], warehouse: Warehouse, tmp_path: Path
) -> None:
    worker = examples("ratings.py").build(None, warehouse, FolderObjectStore(tmp_path / "objects"))
    worker.prepare()
    worker.prepare()
    status, answer = worker.handle("/process", margins())
    assert (status, answer["results"]["home_margins"]["rows"]) == (200, 1)
    assert warehouse.query("SELECT team, margin, _fence FROM `ratings.home_margins`") == [
        {"team": "BOS", "margin": 11, "_fence": 7}
    ]
    assert worker.handle("/process", margins(fence=6))[0] == 409
    empty = worker.handle("/process", margins(day=date(2024, 7, 1)))[1]["results"]["home_margins"]
    assert (empty["status"], empty["error_class"]) == ("failed", "not_yet")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("SOUNDEX(home_team) AS team", "line 2, column 19: SOUNDEX is not translated for DuckDB; write "),
        ("host AS team", "line 2, column 19: there is no column host"),
        ("DATE(game_date, 'Nowhere') AS team", "line 2, column 19: there is no time zone 'Nowhere'"),
        ("home_team AS team, ", "line 2, column 38: SQL that BigQuery's grammar does not allow: ','"),
    ],
)
def test_a_statement_of_a_worker_that_is_wrong_is_told_with_its_place_before_a_row_is_written(
    examples: Callable[[str], ModuleType], warehouse: Warehouse, tmp_path: Path, wrong: str, message: str
) -> None:
    ratings = examples("ratings.py")
    worker = ratings.build(None, warehouse, FolderObjectStore(tmp_path / "objects"))
    worker.prepare()
    worker.handle("/process", margins())
    ratings.MARGINS = ratings.MARGINS.replace("home_team AS team", wrong)
    status, answer = worker.handle("/process", margins(fence=8))
    assert (status, answer["error_class"]) == (422, "bug")
    assert answer["message"].startswith(message)
    assert warehouse.query("SELECT team, _fence FROM `ratings.home_margins`") == [{"team": "BOS", "_fence": 7}]


def test_the_example_of_the_page_runs_under_functions_framework_on_bigquery(
    examples: Callable[[str], ModuleType],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request.getfixturevalue("bigquery_emulator")
    request.getfixturevalue("storage_emulator")
    examples("ratings.py")
    examples("main.py")
    app = functions_framework.create_app("ratings", str(tmp_path / "main.py"))
    with_games(sys.modules["main"].warehouse)
    client = app.test_client()
    assert client.post("/prepare").status_code == 200
    answer = client.post("/process", json=margins())
    assert (answer.status_code, answer.json["results"]["home_margins"]["rows"]) == (200, 1)
    assert client.post("/process", json=margins(fence=6)).status_code == 409


def test_the_example_of_several_dates_processes_them_in_one_request_and_one_in_another(
    examples: Callable[[str], ModuleType], warehouse: Warehouse
) -> None:
    warehouse.apply_schema(
        "CREATE TABLE IF NOT EXISTS `ratings.home_margins` (game_date DATE, team STRING, margin INT64, _fence INT64)"
    )
    worker = examples("in_sets.py").build(warehouse)
    dates = [{"analysis_date": f"2024-01-{n}", "attempt": 1, "fence": n} for n in (15, 16)]
    several = {**margins(), "dates": dates}
    for name in ("analysis_date", "attempt", "fence"):
        del several[name]
    status, answer = worker.handle("/process", several)
    rows = {day: each["results"]["home_margins"]["rows"] for day, each in answer["dates"].items()}
    assert (status, rows) == (200, {"2024-01-15": 1, "2024-01-16": 0})
    assert worker.handle("/process", margins(fence=20))[1]["results"]["home_margins"]["rows"] == 1
    assert [row["_fence"] for row in warehouse.query("SELECT _fence FROM `ratings.home_margins`")] == [20]


def test_the_slow_example_of_the_page_answers_202_and_reports_by_event(
    examples: Callable[[str], ModuleType],
) -> None:
    published: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        service = examples("slow.py").build(lambda request: 3, published.append, pool)
        assert client_of(service).post("/train", json=body()).status_code == 202
    began, ended = map(Completion.model_validate_json, published)
    assert (began.kind, ended.kind, ended.status, ended.rows) == ("started", "completed", "success", 3)
    assert (ended.code_version, ended.fence, ended.attempt) == ("1.0", 7, 2)


def test_the_slow_example_reports_a_failure_too(examples: Callable[[str], ModuleType]) -> None:
    published: list[str] = []

    def fail(_: WorkerRequest) -> int:
        raise ValueError("no such model")

    with ThreadPoolExecutor(1) as pool:
        client_of(examples("slow.py").build(fail, published.append, pool)).post("/train", json=body())
    ended = Completion.model_validate_json(published[-1])
    assert (ended.status, ended.error_class, ended.message) == ("failed", "bug", "no such model")


def test_the_pipeline_lines_of_the_page_are_valid() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    document = yaml.safe_load(text)
    assert WorkerSpec.model_validate(document["workers"]["ratings"]).url
    assert Dispatch.model_validate(document["dispatch"]).results == "report.processors"


def test_a_late_writer_is_refused_by_the_fence_check(
    examples: Callable[[str], ModuleType], warehouse: Warehouse, tmp_path: Path
) -> None:
    worker = examples("ratings.py").build(None, warehouse, FolderObjectStore(tmp_path / "objects"))
    worker.prepare()
    refuse = examples("own_writer.py").refuse_late_writers
    refuse(warehouse, request(fence=1))
    worker.handle("/process", margins(fence=7))
    refuse(warehouse, request(fence=7))
    refuse(warehouse, request(fence=8))
    with pytest.raises(StaleFence, match=r"ratings.home_margins of 2024-01-15 carries fence 7: .* fence 6 is void"):
        refuse(warehouse, request(fence=6))


def test_the_example_of_many_dates_writes_each_under_its_fence(
    examples: Callable[[str], ModuleType], warehouse: Warehouse, tmp_path: Path
) -> None:
    worker = examples("ratings.py").build(None, warehouse, FolderObjectStore(tmp_path / "objects"))
    worker.prepare()
    quiet = date(2024, 7, 1)
    write_dates = examples("many_dates.py").write_dates
    written = write_dates(warehouse, {DAY: 7, quiet: 8})
    assert written == {DAY: "1 rows", quiet: "0 rows"}
    assert warehouse.query("SELECT game_date, _fence FROM `ratings.home_margins`") == [{"game_date": DAY, "_fence": 7}]
    late = write_dates(warehouse, {DAY: 6, quiet: 9})
    assert late[DAY].startswith(
        "kept: ratings.home_margins of 2024-01-15 was written under fence 7; fence 6 came too late"
    )


def test_the_fence_check_looks_at_the_column_that_it_is_told(warehouse: Warehouse) -> None:
    warehouse.apply_schema("CREATE TABLE IF NOT EXISTS `t.a` (d DATE, version INT64, _fence INT64) PARTITION BY d;")
    partition = Partition("t.a", "d", DAY)
    warehouse.load_partition(partition, f'{{"d": "{DAY}", "version": 9}}\n'.encode(), 1)
    check_fence(warehouse, partition, 8)
    with pytest.raises(StaleFence):
        check_fence(warehouse, partition, 8, fence_column="version")


def test_a_result_is_answered_under_the_name_that_was_asked_for() -> None:
    seen: list[WorkerRequest] = []

    def handler(request: WorkerRequest) -> ProcessorResult:
        seen.append(request)
        return DONE

    status, answer = service_of(handler).handle("/process", body())
    assert (status, answer) == (200, {"results": {"a": DONE.model_dump(mode="json")}})
    assert seen == [request()]


@pytest.mark.parametrize(
    ("error", "status", "answered"),
    [
        (StaleFence("fence 8 is there"), 409, {"message": "fence 8 is there"}),
        (InputError("no such model"), 422, {"error_class": "bug", "message": "no such model"}),
        (TransientError("busy"), 503, {"error_class": "transient", "message": "busy"}),
        (ConnectionResetError("reset"), 503, {"error_class": "transient", "message": "reset"}),
        (TimeoutError(), 503, {"error_class": "transient", "message": "TimeoutError"}),
        (HaltError("the disk is full"), 503, {"error_class": "transient", "message": "the disk is full"}),
        (ReadsTooMuch("it would read 2 TiB"), 402, {"message": "it would read 2 TiB"}),
        (KeyError("x"), 500, {"error_class": "bug", "message": "KeyError: 'x'"}),
        (AssertionError("one\ntwo"), 500, {"error_class": "bug", "message": "AssertionError: one"}),
        (SystemExit(0), 500, {"error_class": "bug", "message": "SystemExit: 0"}),
        (GeneratorExit(), 500, {"error_class": "bug", "message": "GeneratorExit"}),
        (RuntimeError("half \ud83d"), 500, {"error_class": "bug", "message": "RuntimeError: half \\ud83d"}),
    ],
)
def test_what_a_function_raises_becomes_a_status(
    error: BaseException, status: int, answered: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is logged has the exception as it is, and the test run's own log takes no half of a surrogate pair.
    monkeypatch.setattr(logging.getLogger("phasegate.worker.service"), "propagate", False)

    def fail(_: WorkerRequest) -> ProcessorResult:
        raise error

    answer = client_of(service_of(fail)).post("/process", json=body())
    assert (answer.status_code, answer.json) == (status, answered)


def test_a_halt_passes_through_in_process() -> None:
    def fail(_: WorkerRequest) -> ProcessorResult:
        raise HaltError("the disk is full")

    with pytest.raises(HaltError):
        service_of(fail).handle("/process", body())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"fence": "x"}, "/process: fence: "),
        ({"fence": None}, "/process: fence: Field required"),
        ({"deadline": "soon"}, "/process: deadline: "),
        ({"date": None}, "the date travels as date"),
        ({"date": "2024-02-30"}, "/process: date: "),
        ({"processor": None}, "name the processor in exactly one of processor"),
        ({"is_backfill": True}, "/process: is_backfill: Extra inputs are not permitted"),
        ({"skip_downstream_trigger": False}, "/process: skip_downstream_trigger: "),
    ],
)
def test_a_bad_request_is_422_and_names_the_field(change: dict[str, Any], complaint: str) -> None:
    answer = client_of(service_of(lambda _: DONE)).post("/process", json=body(**change))
    assert (answer.status_code, answer.json["error_class"]) == (422, "bug")
    assert complaint in answer.json["message"]


def test_a_field_is_named_as_it_travels() -> None:
    service = WorkerService("mine")
    service.route("/p", date_field="game_date", processor_fields=("scraper",))(lambda _: DONE)
    sent = body(date=None, processor=None, game_date="x", scraper=5)
    message = service.handle("/p", sent)[1]["message"]
    assert "game_date: " in message and "scraper: " in message


def test_after_its_deadline_a_request_is_void_and_nothing_is_done() -> None:
    def never(_: WorkerRequest) -> ProcessorResult:
        raise AssertionError("it was done")

    for deadline in ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00"):
        status, answer = service_of(never).handle("/process", body(deadline=deadline))
        assert status == 409
        assert "has passed: this attempt is void" in answer["message"]
        assert "error_class" not in answer


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 422),
        (b"[]", 422),
        (b"\xff\xfe", 422),
        (b"", 422),
        (b" " * (MAX_BODY_BYTES + 1), 413),
    ],
)
def test_a_body_that_is_no_request_is_refused(content: bytes, status: int) -> None:
    answer = client_of(service_of(lambda _: DONE)).post("/process", data=content)
    assert (answer.status_code, answer.json["error_class"]) == (status, "bug")


def test_a_body_of_unknown_length_is_read_to_the_limit() -> None:
    client = client_of(service_of(lambda _: DONE))
    for content, status in ((json.dumps(body()).encode(), 200), (b" " * (MAX_BODY_BYTES + 1), 413)):
        chunked = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        answer = client.post("/process", input_stream=BytesIO(content), environ_overrides=chunked)
        assert answer.status_code == status


def test_an_unknown_path_or_method_says_what_there_is() -> None:
    client = client_of(service_of(lambda _: DONE))
    unknown = client.post("/proces", json=body())
    assert (unknown.status_code, unknown.json["message"]) == (404, "no path /proces: use one of /process")
    wrong = client.get("/process")
    assert (wrong.status_code, wrong.json["message"]) == (405, "GET /process: use POST, or GET /health")


def test_health_names_the_service_and_its_version() -> None:
    answer = client_of(service_of(lambda _: DONE)).get("/health")
    named = {"service": "mine", "version": "1.2", "protocol": PROTOCOL, "batches": {}}
    assert (answer.status_code, answer.json) == (200, named)


def test_a_request_of_a_newer_version_is_answered_without_what_it_has_more() -> None:
    service = WorkerService("mine")

    @service.route("/a")
    def handle(request: WorkerRequest) -> ProcessorResult:
        return DONE

    assert service.handle("/a", body(colour="red"))[0] == 422
    assert service.handle("/a", body(colour="red", protocol_minor=MINOR + 1))[0] == 200


@pytest.mark.parametrize(
    ("error", "status"), [(TransientError("quota"), 503), (HaltError("the disk is full"), 503), (KeyError("t"), 500)]
)
def test_a_service_that_cannot_prepare_says_so_in_the_same_statuses(error: Exception, status: int) -> None:
    def prepare() -> None:
        raise error

    answer = client_of(WorkerService("mine", prepare=prepare)).post("/prepare")
    assert (answer.status_code, str(error) in answer.json["message"]) == (status, True)


def test_the_function_works_within_the_trace_of_its_request() -> None:
    traces: list[str] = []

    def handler(_: WorkerRequest) -> ProcessorResult:
        traces.append(telemetry.current_trace())
        return DONE

    client_of(service_of(handler)).post("/process", json=body(), headers={"traceparent": TRACE})
    assert traces == [TRACE]


def ranged(results: dict[date, ProcessorResult]) -> WorkerService:
    service = WorkerService("mine")
    service.route_range("/range", processors=["a"])(lambda _: results)
    return service


def test_a_range_of_one_date_is_answered_like_a_date() -> None:
    status, answer = ranged({DAY: DONE}).handle("/range", body(date=None, start_date=str(DAY)))
    assert (status, answer["results"]) == (200, {"a": DONE.model_dump(mode="json")})


def test_a_range_is_a_failure_when_one_of_its_dates_is() -> None:
    failed = ProcessorResult(status=ResultStatus.FAILED, rows=0, message="none", error_class=ErrorClass.NOT_YET)
    results = {DAY: DONE, date(2024, 1, 16): failed}
    sent = body(date=None, start_date=str(DAY), end_date="2024-01-16")
    answer = ranged(results).handle("/range", sent)[1]
    assert answer["results"]["a"] == {
        "status": "failed",
        "rows": 16,
        "message": "1 of 2 dates failed, the first 2024-01-16: none",
        "error_class": "not_yet",
    }
    assert answer["dates"]["2024-01-15"]["results"]["a"]["status"] == "success"
    assert answer["dates"]["2024-01-16"]["results"]["a"]["error_class"] == "not_yet"


@pytest.mark.parametrize(
    ("statuses", "together"),
    [
        (["success", "empty"], "success"),
        (["success", "partial"], "partial"),
        (["empty", "empty"], "empty"),
        ([], "empty"),
    ],
)
def test_dates_taken_together_are_what_the_weakest_of_them_allows(statuses: list[str], together: str) -> None:
    results = {date(2024, 1, n): ProcessorResult(status=ResultStatus(s)) for n, s in enumerate(statuses, 1)}
    sent = body(date=None, start_date="2024-01-01", end_date="2024-01-31")
    assert ranged(results).handle("/range", sent)[1]["results"]["a"]["status"] == together


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    status, answer = ranged({}).handle("/range", body(date=None, start_date="2024-01-15", end_date="2024-01-14"))
    assert status == 422
    assert "end_date 2024-01-14 is before start_date 2024-01-15" in answer["message"]


def test_a_worker_and_the_runner_report_the_same_end_under_the_same_id() -> None:
    index = compile_plan(plan())
    task = next(iter(index.by_ref.values()))
    started = datetime(2026, 1, 1, tzinfo=UTC)
    key = AttemptKey(DAY, task.phase, task.processor, 2)
    claim = Claim(key, 7, 1, 1, (), started, started, "i")
    theirs = completion(Call(run(run_id="r"), task, (ClaimedAttempt(claim),), {}), claim, DONE, started, started)
    ours = completed_event(request(phase=task.phase, processor=task.processor), DONE, started)
    unlike = {"output_table", "code_version", "finished_at"}
    assert ours.model_dump(exclude=unlike) == theirs.model_dump(exclude=unlike)


def test_what_the_runner_reports_is_what_a_reader_of_events_takes() -> None:
    index = compile_plan(plan())
    task = next(iter(index.by_ref.values()))
    started = datetime(2026, 1, 1, tzinfo=UTC)
    claim = Claim(AttemptKey(DAY, task.phase, task.processor, 2), 7, 1, 1, (), started, started, "i")
    refused = Refused(status=ResultStatus.FAILED, error_class=ErrorClass.BUG, message="HTTP 403", http_status=403)
    long = ProcessorResult(status=ResultStatus.PARTIAL, rows=3, message="one\x1b line\n" * 400, made_with="v" * 50)
    for result in (DONE, refused, long):
        event = completion(Call(run(run_id="r"), task, (ClaimedAttempt(claim),), {}), claim, result, started, started)
        assert Completion.model_validate_json(event.model_dump_json()) == event
        assert Completion.model_validate(event.model_dump()) == event


def test_heartbeats_are_published_until_the_block_ends_and_carry_the_trace() -> None:
    published: list[Completion] = []
    enough = threading.Event()

    def publish(message: str) -> None:
        published.append(Completion.model_validate_json(message))
        if len(published) > 3:
            enough.set()

    with telemetry.incoming({"traceparent": TRACE}), heartbeat(request(), publish, every_seconds=0.001):
        assert enough.wait(30)
    count = len(published)
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}
    assert [event.kind for event in published] == ["started", *["heartbeat"] * (count - 1)]
    assert len({event.event_id for event in published}) == count
    assert {(event.trace, event.fence, event.status) for event in published} == {(TRACE, 7, None)}


def test_a_heartbeat_that_cannot_be_published_does_not_end_the_work(caplog: pytest.LogCaptureFixture) -> None:
    tried = threading.Event()

    def fail(message: str) -> None:
        if json.loads(message)["kind"] == "heartbeat":
            tried.set()
        raise ConnectionError("no topic")

    with heartbeat(request(), fail, every_seconds=0.001):
        assert tried.wait(30)
    assert "started 0 was not published" in caplog.messages


@pytest.mark.parametrize(("kind", "status"), [("completed", None), ("started", "success"), ("heartbeat", "success")])
def test_only_the_event_of_an_end_has_a_status(kind: str, status: str | None) -> None:
    event = completed_event(request(), DONE, datetime(2026, 1, 1, tzinfo=UTC)).model_dump()
    with pytest.raises(ValueError, match=f"status: a {kind} event has"):
        Completion.model_validate(event | {"kind": kind, "status": status})


def test_a_range_without_an_end_is_its_first_date() -> None:
    assert RangeRequest.model_validate(body()).last == DAY


def old_rows(warehouse: Warehouse, fence: int | None) -> WorkerService:
    """A service whose function finds nothing for a date of which a table holds a row."""
    warehouse.apply_schema("CREATE TABLE IF NOT EXISTS `ref.old` (d DATE, k STRING, _fence INT64)")
    partition = Partition("ref.old", "d", DAY)
    warehouse.load_partition(partition, f'{{"d": "{DAY}", "k": "a"}}\n'.encode(), fence or 0)

    def nothing(request: WorkerRequest) -> ProcessorResult:
        rows = warehouse.load_partition(partition, b"", request.fence)
        return ProcessorResult(status=ResultStatus.EMPTY, rows=rows, message="nothing sold")

    return service_of(nothing)


def held_of_old(warehouse: Warehouse) -> int:
    return int(warehouse.query("SELECT COUNT(*) AS n FROM `ref.old`")[0]["n"])


def test_a_function_that_yields_nothing_over_rows_fails_where_rows_are_expected(warehouse: Warehouse) -> None:
    status, answer = old_rows(warehouse, 3).handle("/process", body())
    result = answer["results"]["a"]
    assert (status, result["status"], result["error_class"], held_of_old(warehouse)) == (200, "failed", "not_yet", 1)
    assert result["message"] == (
        f"ref.old of {DAY} holds 1 row, and this attempt yields 0: nothing was changed; rows are expected there"
    )


def test_where_nothing_is_right_the_rows_of_an_earlier_attempt_go_and_are_counted(warehouse: Warehouse) -> None:
    status, answer = old_rows(warehouse, 3).handle("/process", body(may_be_empty=True))
    result = answer["results"]["a"]
    assert (status, result["status"], held_of_old(warehouse)) == (200, "empty", 0)
    assert result["message"] == "nothing sold; 1 row of before deleted"


def test_rows_that_no_attempt_wrote_are_left_to_a_person(warehouse: Warehouse) -> None:
    _, answer = old_rows(warehouse, None).handle("/process", body(may_be_empty=True))
    result = answer["results"]["a"]
    assert (result["status"], result["error_class"], held_of_old(warehouse)) == ("failed", "bug", 1)
    assert (
        "which no attempt wrote, and this attempt yields 0: nothing was changed; look whose they are"
        in result["message"]
    )
