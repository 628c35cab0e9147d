"""What preflight makes of answers that no emulator gives: rights, quotas, locations, health; with our own clients."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions

from phasegate import __version__
from phasegate.adapters.gcp.layout import layout_of
from phasegate.adapters.gcp.preflight import data, queues, services
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.errors import TransientError
from phasegate.domain.operations.preflight import Level, PreflightLine
from phasegate.domain.protocol.worker import Batches
from phasegate.domain.spec.pipeline import WorkerSpec
from phasegate.stack.emulators import BIGQUERY, CLOUD_TASKS, STORAGE
from tests.fakes.health import answering
from tests.unit.builders import pipeline

SETTINGS = CloudSettings(project="demo")
TABLES = ["raw.a", "shape.left_side"]


@pytest.fixture(autouse=True)
def _no_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    for emulator in (BIGQUERY, CLOUD_TASKS, STORAGE):
        monkeypatch.delenv(emulator.variable, raising=False)


def bigquery(monkeypatch: pytest.MonkeyPatch, **methods: Callable[..., Any]) -> None:
    """BigQuery's client has these methods."""
    monkeypatch.setattr(data, "bigquery_client", lambda _: SimpleNamespace(**methods))


def raises(error: Exception) -> Callable[..., Any]:
    """A method that fails."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def told(lines: Sequence[PreflightLine]) -> list[tuple[str, str, str]]:
    """(level, subject, detail) of each line."""
    return [(line.level.value, line.subject, line.detail) for line in lines]


# locations


def test_a_dataset_in_another_location_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    where = {"raw": "us", "shape": "EU"}
    bigquery(monkeypatch, get_dataset=lambda name, timeout: SimpleNamespace(location=where[name]))
    assert told(data.inspect_datasets(SETTINGS, TABLES)) == [
        ("PASS", "raw", "is as it must be"),
        ("FAIL", "shape", "is in location EU"),
    ]


@pytest.mark.parametrize(
    ("error", "level", "may_pass"),
    [
        (exceptions.NotFound("no"), Level.FAIL, False),
        (exceptions.Forbidden("no"), Level.WARN, False),
        (exceptions.ServiceUnavailable("later"), Level.FAIL, True),
        (ConnectionError("broken"), Level.FAIL, True),
    ],
    ids=["it is not there", "we may not look", "it does not answer", "the line is dead"],
)
def test_what_cannot_be_looked_at_is_never_a_pass(
    monkeypatch: pytest.MonkeyPatch, error: Exception, level: Level, may_pass: bool
) -> None:
    bigquery(monkeypatch, get_dataset=raises(error))
    (line,) = data.inspect_datasets(SETTINGS, ["raw.a"])
    assert (line.level, line.may_pass, bool(line.remedy)) == (level, may_pass, True)


# rights


def rights(monkeypatch: pytest.MonkeyPatch, table: list[str], bucket: list[str]) -> list[tuple[str, str, str]]:
    """The lines when these rights are granted."""
    bigquery(monkeypatch, test_iam_permissions=lambda *_, **__: {"permissions": table} if table else {})
    granted = SimpleNamespace(test_iam_permissions=lambda *_, **__: bucket)
    monkeypatch.setattr(data, "storage_client", lambda _: SimpleNamespace(bucket=lambda _: granted))
    return told(data.inspect_rights(SETTINGS, "raw.schedule"))


def test_rights_that_are_granted_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {level for level, *_ in rights(monkeypatch, [data.READ], list(data.OBJECTS))} == {"PASS"}


def test_rights_that_are_missing_fail_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rights(monkeypatch, [], ["storage.objects.get"]) == [
        ("FAIL", "bigquery.tables.getData", "is not granted on raw.schedule"),
        ("FAIL", "storage.objects", "storage.objects.list not granted on phasegate-objects"),
    ]


@pytest.mark.parametrize(("granted", "level"), [([queues.CREATE], Level.PASS), ([], Level.FAIL)])
def test_the_right_to_make_tasks_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, granted: list[str], level: Level
) -> None:
    client = SimpleNamespace(
        get_queue=raises(exceptions.NotFound("no")),
        test_iam_permissions=lambda **_: SimpleNamespace(permissions=granted),
    )
    monkeypatch.setattr(queues, "tasks_client", lambda: client)
    lines = queues.inspect_queues(SETTINGS, layout_of(pipeline()))
    assert lines[-1].level is level
    assert {line.level for line in lines[:-1]} == {Level.FAIL}


# quotas


def quotas(monkeypatch: pytest.MonkeyPatch, *used: tuple[str, int, int]) -> list[tuple[str, str, str]]:
    """The lines when (table, loads, changes) were counted today."""
    rows = [{"name": name, "loads": loads, "changes": changes} for name, loads, changes in used]
    bigquery(monkeypatch, query_and_wait=lambda *_, **__: rows)
    return told(data.inspect_quotas(SETTINGS, TABLES))


def test_a_quota_that_is_hardly_used_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert quotas(monkeypatch, ("raw.a", 3, 800), ("other.table", 1500, 0)) == [
        ("PASS", "BigQuery", "is as it must be")
    ]


def test_a_quota_that_is_nearly_used_up_fails_with_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    assert quotas(monkeypatch, ("raw.a", 1200, 0), ("shape.left_side", 0, 24_000)) == [
        ("FAIL", "BigQuery", "raw.a: 1,200 of 1,500 loads a day are used"),
        ("FAIL", "BigQuery", "shape.left_side: 24,000 of 30,000 changes a day are used"),
    ]


def test_an_emulator_is_not_asked_for_what_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    for emulator in (BIGQUERY, STORAGE):
        monkeypatch.setenv(emulator.variable, "127.0.0.1:1")
    lines = [*data.inspect_quotas(SETTINGS, TABLES), *data.inspect_rights(SETTINGS, "raw.schedule")]
    assert {(line.level, line.detail) for line in lines} == {(Level.WARN, "not checked: an emulator")}


# health


def function(url: str) -> PreflightLine:
    """The line of the function ``runner`` at a URL."""
    (line,) = services.inspect_functions({"runner": [url]}, None)
    return line


def test_a_function_of_the_wanted_version_passes() -> None:
    with answering("runner") as url:
        assert function(url).level is Level.PASS


def test_a_function_of_another_version_fails() -> None:
    with answering("runner", version="0.0.1") as url:
        line = function(url)
    assert (line.level, line.detail) == (Level.FAIL, "runs version 0.0.1")
    assert line.remedy == f"deploy version {__version__}"


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1", "no url"])
def test_a_function_that_nobody_reaches_fails(url: str) -> None:
    assert (function(url).level, function(url).may_pass) == (Level.FAIL, False)


def worker(url: str | None, version: str | None = None) -> PreflightLine:
    """The line of a worker."""
    (line,) = services.inspect_workers({"nba": WorkerSpec(url=url, version=version)}, {}, None)
    return line


@pytest.mark.parametrize(
    ("status", "level"), [(200, Level.PASS), (404, Level.WARN), (403, Level.WARN), (500, Level.FAIL), (302, Level.FAIL)]
)
def test_a_worker_is_judged_by_its_health(status: int, level: Level) -> None:
    with answering("nba", status=status) as url:
        assert worker(url).level is level


def test_a_worker_must_have_the_version_that_the_pipeline_file_names() -> None:
    with answering("nba", version="7") as url:
        assert worker(url, "7").level is Level.PASS
        assert worker(url, "8").detail == "runs version 7, the pipeline file wants 8"


@pytest.mark.parametrize(
    ("says", "batches", "level", "detail"),
    [
        ({"/process": "list"}, "list", Level.PASS, "version"),
        ({"/process": "list"}, "none", Level.PASS, "version"),
        ({"/process": "range"}, "list", Level.FAIL, "takes several dates at /process as range, "),
        ({"/other": "list"}, "list", Level.FAIL, "takes several dates at /process as none, "),
        ({}, "list", Level.FAIL, "takes several dates at /process as none, "),
        (None, "range", Level.WARN, "does not say how it takes several dates, "),
    ],
)
def test_a_worker_must_take_batches_as_the_pipeline_file_says(
    says: dict[str, str] | None, batches: Batches, level: Level, detail: str
) -> None:
    with answering("nba", batches=says) as url:
        spec = {"nba": WorkerSpec(url=url, batches=batches)}
        (line,) = services.inspect_workers(spec, {"nba": {"/process"}}, None)
    assert line.level is level and line.detail.startswith(detail)
    assert line.level is Level.PASS or "workers.nba.batches" in (line.remedy or "")


def test_a_worker_without_a_url_fails() -> None:
    assert worker(None).level is Level.FAIL


def test_without_an_identity_token_nothing_is_asked_and_that_is_said() -> None:
    def no_token(_: str) -> str:
        raise TransientError("no identity token")

    with answering("nba") as url:
        (line,) = services.inspect_workers({"nba": WorkerSpec(url=url)}, {}, no_token)
    assert (line.level, line.detail) == (Level.WARN, "not checked: no identity token")
