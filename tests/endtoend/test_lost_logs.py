"""A write-ahead log of the home is gone, of its state or of its warehouse: what was lost with it is made again."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from phasegate.adapters.embedded.home import Home
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.state.run import RunStatus
from tests.commands import type_command
from tests.endtoend.test_command_line import Answer
from tests.simulation.lives import ComparedWorld
from tests.world import drive

STATE, WAREHOUSE = "state.sqlite-wal", "warehouse.duckdb.wal"
LOSSES = {
    "all of the state": ((STATE,), 0),
    "the end of the state": ((STATE,), 1),
    "the end of the warehouse": ((WAREHOUSE,), 1),
    "the end of both": ((STATE, WAREHOUSE), 1),
}
"""The logs that are gone, and of which copy."""

BETWEEN = 12
"""Turns of the engine from one copy of the home to the next, of the 30 or so that the run takes."""


@dataclass(frozen=True)
class Killed:
    """Homes as ``kill -9`` leaves them, each with what its files hold without their logs: the copy before it."""

    world: ComparedWorld
    homes: tuple[Path, ...]
    expected: object


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """Copies of a home that is driven, each made just before all that was written is folded into the files."""
    folder = tmp_path_factory.mktemp("killed")
    world, homes, turns = ComparedWorld(folder, dates=4), list[Path](), 0
    with world.open() as home:
        world.begin(home)

        def look() -> bool:
            nonlocal turns
            turns += 1
            if turns % BETWEEN == 0:
                homes.append(Path(shutil.copytree(world.home.root, folder / f"after-{turns}")))
                home.database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                home.warehouse._connection.execute("CHECKPOINT")
            return False

        home.drive("r", stop=look)
    return Killed(world, tuple(homes[:2]), world.tables())


def typed(killed: Killed, *words: str) -> Answer:
    """The answer to a command."""
    done = type_command("--home", killed.world.home.root, *words, folder=killed.world.pipeline_file.parent)
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(("logs", "number"), LOSSES.values(), ids=LOSSES)
def test_what_is_typed_next_or_what_that_advises_ends_with_every_row(
    killed: Killed, tmp_path: Path, logs: Sequence[str], number: int
) -> None:
    killed.world.home = Home(Path(shutil.copytree(killed.homes[number], tmp_path / "home")))
    for log in logs:
        (killed.world.home.root / log).unlink()
    anew = ("run", "--pipeline", "pipeline.yaml", "--source", "source", "--season", "2023-24")
    is_known = typed(killed, "status", "r").code == 0
    answer = typed(killed, "resume", "r") if is_known else typed(killed, *anew)
    assert answer.code == 0 or "the tables no longer hold what it found right" in answer.err, answer.err
    if answer.code == 3:
        assert typed(killed, "cancel", "r").code == 0
        assert typed(killed, *anew).code == 0
    assert killed.world.tables() == killed.expected


def test_after_the_state_was_lost_rows_are_replaced_as_ever(tmp_path: Path) -> None:
    world = ComparedWorld(tmp_path)
    drive(world)
    for path in world.home.root.glob("state.sqlite*"):
        path.unlink()
    last = Selection(dates=tuple(world.days[-1:]))
    board, found = drive(world, "again", selection=last, reprocess="all")
    assert (board.status, found.failures) == (RunStatus.COMPLETED, ())


def test_after_the_state_was_lost_no_attempt_has_the_fence_of_an_earlier_ones_rows(tmp_path: Path) -> None:
    world = ComparedWorld(tmp_path, dates=2)
    drive(world)
    for path in world.home.root.glob("state.sqlite*"):
        path.unlink()
    world.misbehave(**{f"raw__a__{day}": ["lie"] * 3 for day in range(2)})
    _, found = drive(world, "again", reprocess="all")
    assert found.status is RunStatus.COMPLETED_WITH_FAILURES
    assert {"of an earlier attempt" in failed.failure.message for failed in found.failures} == {True}
