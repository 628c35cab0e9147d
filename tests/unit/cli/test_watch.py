"""Who watches a run asks every few seconds, for days: the run and its board are read, and no date."""

import os
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from phasegate.adapters.embedded.home import HomeLock, may_drive
from phasegate.adapters.embedded.state import SqliteState, open_state
from phasegate.cli.backends import cloud, embedded
from phasegate.cli.settings import Settings
from phasegate.ports import ReportNote
from tests.commands import type_command
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


def test_a_run_that_nobody_drives_is_not_called_driven_since_another_one_of_its_home_is(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    with world.open() as home:
        world.begin(home)
    here = ("--home", world.home.root)
    with HomeLock(world.home) as lock:
        lock.name_run("big")
        status, watched = type_command(*here, "status", "r"), type_command(*here, "watch", "r", seconds=20)
        lock.name_run("r")
        driven = type_command(*here, "status", "r")
    remedy = f"process {os.getpid()}, run big has this home; when that has ended, go on with: phasegate "
    assert f"no process drives it; {remedy}" in status.stdout and "s to go" not in status.stdout
    assert watched.returncode == 2
    assert f"error: no process drives run 'r'; {remedy}" in watched.stderr
    assert "no process drives it" not in driven.stdout


def test_a_process_that_has_not_said_yet_which_run_it_drives_may_be_about_to_drive_this_one() -> None:
    assert may_drive("process 1", "r") and may_drive("process 1, about to drive run r", "r")
    assert not may_drive("process 1, run r-2", "r") and not may_drive("process 1, about to drive run big", "r")


def test_on_a_cloud_no_date_is_read_before_the_run_is_at_rest(watched: Watched) -> None:
    commands = cloud.CloudCommands()
    state = open_state(watched.world.home)
    commands.__dict__["deployment"] = SimpleNamespace(backend=SimpleNamespace(state=state, clock=watched.world.clock))
    last = list(commands._followed("r"))[-1]
    assert (last.is_at_rest, watched.looks) == (True, ROUNDS)
