"""Who watches a run asks every few seconds, for days: the run and its board are read, and no date."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from phasegate.adapters.embedded.state import SqliteState
from phasegate.cli.backends import cloud, embedded
from phasegate.cli.settings import Settings
from phasegate.ports import ReportNote
from tests.world import World

ROUNDS = 3


class Watched:
    """The run ``r`` of a world. ``sleep`` is what a watcher does between two looks; after some the run is driven.

    read: how often dates were read while it was watched. looks: how often it was looked at before its end.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.world, self.read, self.looks = World(folder, dates=2), 0, 0
        with self.world.open() as home:
            self.world.begin(home)
        dates = SqliteState.dates

        def noting(state: SqliteState, *given: Any) -> Any:
            self.read += 1
            return dates(state, *given)

        patch.setattr(SqliteState, "dates", noting)

    def sleep(self, _: float) -> None:
        """Note that the watcher has looked, and let the run come to its end after some looks."""
        self.looks += 1
        assert self.read == 0
        if self.looks == ROUNDS:
            with self.world.open() as home:
                home.drive("r")


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """A run that both backends find to be going on at first."""
    made = Watched(tmp_path, monkeypatch)
    for module in (cloud, embedded):
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=made.sleep, monotonic=lambda: 0.0))
    return made


def test_in_a_home_no_date_is_read_before_the_run_is_at_rest(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = embedded.EmbeddedCommands(Settings(home=watched.world.home.root))
    monkeypatch.setattr(commands, "driver", lambda: "process 1, run r" if watched.looks < ROUNDS else None)
    assert (commands.watch("r", as_json=False), watched.looks) == (0, ROUNDS)


def test_in_a_home_the_report_that_the_driver_makes_after_the_end_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, dates=2)
    with world.open() as home:
        world.begin(home)
        home.drive("r")
    commands = embedded.EmbeddedCommands(Settings(home=world.home.root))
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        """What the driver does meanwhile: it finds that the tables do not bear the run out, and says so."""
        looks.append(seconds)
        if len(looks) == ROUNDS:
            at = datetime(2099, 1, 1, tzinfo=UTC)
            note = ReportNote("one", at, agrees=False, is_final=True, findings=1, kinds={}, verdict="no", place="p")
            commands.state().note_report("r", note)

    monkeypatch.setattr(embedded, "time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(commands, "driver", lambda: "process 1, run r")
    assert (commands.watch("r", as_json=False), len(looks)) == (1, ROUNDS)
    monkeypatch.setattr(commands, "driver", lambda: "process 1, run another")
    assert (commands.watch("r", as_json=False), len(looks)) == (1, ROUNDS)


def test_on_a_cloud_no_date_is_read_before_the_run_is_at_rest(watched: Watched) -> None:
    commands = cloud.CloudCommands()
    state = embedded.open_state(watched.world.home)
    commands.__dict__["deployment"] = SimpleNamespace(backend=SimpleNamespace(state=state, clock=watched.world.clock))
    last = list(commands._followed("r"))[-1]
    assert (last.is_at_rest, watched.looks) == (True, ROUNDS)
