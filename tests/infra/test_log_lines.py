"""The metrics of ``alerts.tf`` count log lines that the code really writes, in runs that go wrong."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import structlog

from phasegate.domain.errors import TransientError
from phasegate.domain.state.run import RunStatus
from phasegate.services.running.quarantine import set_aside
from phasegate.telemetry.logs import configure_logs
from tests.conftest import ROOT
from tests.contract.spoiling import change_stored, newer_layout
from tests.world import World

Line = dict[str, Any]
ALERTS = (ROOT / "infra" / "terraform" / "alerts.tf").read_text()
METRICS = {
    name: (labels, lines.replace('\\"', '"'))
    for name, labels, lines in re.findall(r'"phasegate/(\w+)" = \{\n.*?labels = (\{.*\})\n\s*lines = "(.*)"\n', ALERTS)
}


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """What is written meanwhile, as Cloud Logging gets it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logs("any")
    yield lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def counted(metric: str, lines: list[Line]) -> list[Line]:
    """The lines that a metric counts."""
    _, wanted = METRICS[metric]
    (pattern,) = re.findall(r'jsonPayload\.message =~ "([^"]*)"', wanted)
    services = re.findall(r'resource\.labels\.service_name = "(\w+)"', wanted)
    return [
        line
        for line in lines
        if re.search(pattern, line["message"])
        and all(line["logger"] == f"phasegate.services.running.{service}" for service in services)
    ]


def failing(folder: Path, then: str, breaker: int | None, **acts: list[str]) -> World:
    """A world in which processors of the phase ``shape`` fail on every date."""

    def change(document: dict[str, Any]) -> None:
        document["phases"][2]["failure"] |= {"then": then, "brake": breaker}

    world = World(folder, dates=8, change=change)
    world.misbehave(**{f"shape__left__{n}": ["fail:bug"] * 9 for n in range(8)})
    return world


def test_every_metric_is_looked_at_here_but_that_of_cloud_runs_own_log() -> None:
    assert set(METRICS) == {
        "halted",
        "braked",
        "failed_tasks",
        "set_aside",
        "refused_calls",
        "unreadable_runs",
        "unswept_runs",
    }


def test_a_run_that_halts_is_counted_once(tmp_path: Path, logged: Any) -> None:
    assert failing(tmp_path, "halt_run", None).run().status is RunStatus.HALTED
    (line,) = counted("halted", logged())
    assert line["severity"] == "ERROR"


def test_a_braked_processor_is_counted_once_and_named(tmp_path: Path, logged: Any) -> None:
    failing(tmp_path, "continue", 3).run()
    (line,) = counted("braked", logged())
    labels, _ = METRICS["braked"]
    (pattern,) = re.findall(r'REGEXP_EXTRACT\(jsonPayload\.message, \\"(.*?)\\"\)', labels)
    found = re.search(pattern, line["message"])
    assert found is not None and found.group(1) == "shape/left"


def test_failed_tasks_are_counted_by_phase_and_others_are_not(tmp_path: Path, logged: Any) -> None:
    failing(tmp_path, "continue", None).run()
    lines = logged()
    failed = counted("failed_tasks", lines)
    assert {line["phase"] for line in failed} == {"shape"} and len(failed) == 8
    ended = [line for line in lines if line["message"].startswith("the worker ended: ")]
    assert len(ended) > len(failed)
    assert "EXTRACT(jsonPayload.phase)" in METRICS["failed_tasks"][0]


def test_what_is_set_aside_is_counted(tmp_path: Path, logged: Any) -> None:
    world = World(tmp_path, dates=1)
    with world.open() as embedded:
        backend: Any = SimpleNamespace(state=embedded.state, clock=world.clock)
        set_aside(backend, "{}", None, "not a completion event")
    assert len(counted("set_aside", logged())) == 1


def test_an_unfinished_run_that_cannot_be_read_is_counted_and_named(tmp_path: Path, logged: Any) -> None:
    world = World(tmp_path, dates=1)
    with world.open() as embedded:
        world.begin(embedded)
        change_stored(embedded.state, "run", "r", newer_layout)
        backend: Any = embedded.engine("r")._handlers
        backend.sweeper.sweep_all(["r"])
    (line,) = counted("unreadable_runs", logged())
    labels, _ = METRICS["unreadable_runs"]
    (pattern,) = re.findall(r'REGEXP_EXTRACT\(jsonPayload\.message, \\"(.*?)\\"\)', labels)
    found = re.search(pattern, line["message"])
    assert (line["severity"], found and found.group(1)) == ("ERROR", "r")


def test_a_sweep_that_fails_is_counted_whatever_went_wrong(
    tmp_path: Path, logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, dates=1)
    with world.open() as embedded:
        world.begin(embedded)
        sweeper: Any = embedded.engine("r")._handlers.sweeper  # type: ignore[attr-defined]
        for error in (TransientError("the state did not answer"), KeyError("a hole")):
            monkeypatch.setattr(sweeper, "sweep", MagicMock(side_effect=error))
            assert list(sweeper.sweep_all(["r"]).failed) == ["r"]
    assert len(counted("unswept_runs", logged())) == 2
