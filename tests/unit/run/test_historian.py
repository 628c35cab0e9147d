"""The historian keeps little in memory, in a process that serves many runs for weeks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from phasegate.services.running import historian
from phasegate.services.running.historian import Historian
from tests.world import World


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs whose history was completed; at most two are kept in memory."""
    monkeypatch.setattr(historian, "RUNS_KEPT", 2)
    return []


def test_of_many_runs_the_history_of_the_oldest_is_written_and_forgotten(
    tmp_path: Path, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, dates=2)
    with world.open() as embedded:
        world.begin(embedded)
        embedded.drive("r")
        facts = embedded.state.dates("r", world.days)[world.days[0]]
        backend: Any = embedded.engine("r")._handlers.backend  # type: ignore[attr-defined]
        kept = Historian(backend)
        monkeypatch.setattr(kept, "complete", lambda run_id, days: written.append(run_id))
        for run_id in ("one", "two", "three", "four"):
            kept.note(run_id, replace(facts))
        assert written == ["one", "two"]
        kept.finish("three", world.days)
        assert (written, list(kept._waiting)) == (["one", "two", "three"], ["four"])


def test_a_run_whose_history_cannot_be_written_holds_up_no_other(tmp_path: Path, written: list[str]) -> None:
    world = World(tmp_path, dates=2)
    with world.open() as embedded:
        world.begin(embedded)
        embedded.drive("r")
        facts = embedded.state.dates("r", world.days)[world.days[0]]
        kept = Historian(embedded.engine("r")._handlers.backend)  # type: ignore[attr-defined]
        for run_id in ("forgotten meanwhile", "another such", "r"):
            kept.note(run_id, replace(facts))
    assert list(kept._waiting) == ["another such", "r"]


def test_a_run_that_has_ended_reads_its_dates_for_the_history_once_however_often_it_is_woken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, finished = World(tmp_path, dates=2), list[str]()
    with world.open() as embedded:
        world.begin(embedded)
        embedded.drive("r")
        monkeypatch.setattr(Historian, "finish", lambda self, run_id, days: finished.append(run_id))
        conductor: Any = embedded.engine("r")._handlers.conductor  # type: ignore[attr-defined]
        for _ in range(3):
            conductor.conduct("r")
    assert finished == ["r"]
