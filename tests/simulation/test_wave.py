"""A change goes as far as contents change: where something came out the same, what is made from it is left alone."""

from datetime import date
from pathlib import Path

import pytest

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.decisions.reconcile import LEFT_ALONE, TaskStatus, derive
from phasegate.domain.errors import NothingStale
from phasegate.domain.state.run import RunStatus
from phasegate.services.operating import operators
from tests.conftest import FULL
from tests.simulation.effects import Crash, Effects
from tests.simulation.lives import LONGEST, MortalWorld
from tests.simulation.test_stale import findings, forget_contents, planned, seeds
from tests.world import World, drive, reading, write_source

DATES = 10
CHANGED = 4
CARRIED = {"left": [4], "right": [4], "ahead": [4, 5, 6, 7], "total": [4, 5, 6]}
"""The rows of two teams change places on a date. ``left`` and ``right`` of it hold something else; sums over it do not.
So ``ahead``, which adds up three dates before it, is made again and comes out the same; ``total`` of the last of these
dates, which has the date in no window of its own, is left alone."""

PARTS = 2
"""Into how many tests the boundaries of a run are dealt, so that several processes share the work."""

STEP = 1 if FULL else 72
"""Every boundary, or every seventy-second."""


def exchanged(world: World) -> None:
    """The source of ``a`` has the values of two teams exchanged on one date, and its raw tables are loaded again."""
    data = world.data()
    rows = data["a"][str(world.days[CHANGED])]
    rows[0]["v"], rows[1]["v"] = rows[1]["v"], rows[0]["v"]
    world.rewrite(data)
    one = Selection(dates=(world.days[CHANGED],))
    assert drive(world, "one", selection=one, phases="fetch..raw", reprocess="all")[0].status is RunStatus.COMPLETED


def carried(world: World, run_id: str) -> dict[str, list[int]]:
    """The tables that a run made again, by processor and number of the date."""
    with world.open() as embedded:
        made = embedded.state.dates(run_id, world.days)
    found: dict[str, list[int]] = {}
    for number, day in enumerate(world.days):
        for (_, processor), attempts in made[day].tasks.items() if day in made else ():
            if attempts and processor != "note":
                found.setdefault(processor, []).append(number)
    return found


def fences(world: World, table: str) -> dict[date, int]:
    with reading(world.home.warehouse) as connection:
        return dict(connection.execute(f"SELECT d, MAX(_fence) FROM {table} GROUP BY d").fetchall())


def assert_like_a_clean_run(world: World, folder: Path) -> None:
    clean = World(folder, dates=DATES)
    clean.rewrite(world.data())
    drive(clean)
    assert world.tables() == clean.tables()


@pytest.mark.parametrize("reprocess", ["missing", "stale"])
def test_the_wave_stops_where_an_output_came_out_the_same(tmp_path: Path, reprocess: str) -> None:
    world = World(tmp_path / "changed", dates=DATES)
    drive(world)
    exchanged(world)
    before = fences(world, "final.total")
    board, report = drive(world, "rest", reprocess=reprocess)
    assert (board.status, report.tasks["pending"]) == (RunStatus.COMPLETED, 0)
    assert carried(world, "rest") == CARRIED
    after = fences(world, "final.total")
    assert [n for n, day in enumerate(world.days) if after.get(day) != before.get(day)] == CARRIED["total"]
    assert_like_a_clean_run(world, tmp_path / "clean")
    assert seeds(planned(world)) == {} and findings(world) == set()


def test_what_was_left_alone_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES)
    drive(world)
    exchanged(world)
    drive(world, "rest")
    with world.open() as embedded:
        facts = embedded.state.dates("rest", [world.days[7]])[world.days[7]]
        index = embedded.state.index("rest")
    assert facts.cells["final"].groups["final"].same == ("total",)
    view = derive(facts, index)[index.by_ref["final/total"].number]
    assert (view.status, view.note) == (TaskStatus.SUCCEEDED, LEFT_ALONE)


def test_without_a_record_all_of_the_plan_runs(tmp_path: Path) -> None:
    world = World(tmp_path / "changed", dates=DATES)
    drive(world)
    exchanged(world)
    forget_contents(world)
    drive(world, "rest")
    assert carried(world, "rest")["total"] == [4, 5, 6, 7]
    assert_like_a_clean_run(world, tmp_path / "clean")


def test_a_run_of_everything_leaves_nothing_alone(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES)
    drive(world)
    drive(world, "again", reprocess="all")
    assert carried(world, "again")["total"] == list(range(2, DATES))


def test_rows_that_somebody_changed_under_the_same_fence_are_not_left_alone(tmp_path: Path) -> None:
    world = World(tmp_path / "changed", dates=DATES)
    drive(world)
    exchanged(world)
    with world.open() as embedded, embedded.warehouse._transaction() as cursor:
        cursor.execute("UPDATE final.total SET v = v + 1 WHERE d = $d", {"d": world.days[7]})
    drive(world, "rest")
    assert carried(world, "rest")["total"] == [4, 5, 6, 7]
    assert_like_a_clean_run(world, tmp_path / "clean")


def test_the_wave_stops_as_well_where_what_came_out_the_same_needed_a_retry(tmp_path: Path) -> None:
    world = World(tmp_path / "changed", dates=DATES)
    drive(world)
    exchanged(world)
    world.misbehave(shape__ahead__7=["fail:bug"])
    assert drive(world, "rest")[0].status is RunStatus.COMPLETED_WITH_FAILURES
    assert carried(world, "rest") == CARRIED
    with world.open() as embedded:
        operators.retry(
            embedded.state, world.clock, "rest", dates=(), phase=None, processor=None, signature=None, why=""
        )
        assert embedded.drive("rest").status is RunStatus.COMPLETED
    assert carried(world, "rest") == CARRIED
    assert_like_a_clean_run(world, tmp_path / "clean")


def test_a_game_that_is_put_back_runs_exactly_what_its_windows_and_contents_reach(tmp_path: Path) -> None:
    """Its raw tables do not pass any more, as the schedule has the game; all else follows from what they hold."""
    world = World(tmp_path / "mended", dates=DATES)
    write_source(world.source, {day: 1 if n == CHANGED else 2 for n, day in enumerate(world.days)})
    assert drive(world)[0].status is RunStatus.COMPLETED
    write_source(world.source, dict.fromkeys(world.days, 2))
    assert drive(world, "repair", reprocess="stale")[0].status is RunStatus.COMPLETED
    window = [4, 5, 6, 7]
    both = {"a": [4, 4], "b": [4, 4]}
    assert carried(world, "repair") == {**both, "left": [4], "right": [4], "ahead": window, "total": window}
    assert_like_a_clean_run(world, tmp_path / "clean")
    with pytest.raises(NothingStale):
        drive(world, "once more", reprocess="stale")


def life(world: MortalWorld, effects: Effects) -> RunStatus:
    """One life, which begins the run of what is missing or finds it. Raises Crash when it is cut off."""
    end = world.clock.now() + LONGEST
    with effects.installed(), world.open() as embedded:
        if "rest" not in {run.run_id for run in embedded.state.runs()}:
            world.begin(embedded, "rest")
        return embedded.drive("rest", stop=lambda: world.clock.now() > end).status


@pytest.mark.parametrize("part", range(PARTS))
def test_a_process_that_dies_anywhere_leaves_the_same_alone_in_its_next_life(tmp_path: Path, part: int) -> None:
    world = MortalWorld(tmp_path, dates=DATES)
    drive(world, "first")
    exchanged(world)
    undisturbed = Effects()
    with world.home_of_its_own(world.home):
        assert life(world, undisturbed) is RunStatus.COMPLETED
        assert carried(world, "rest") == CARRIED
        expected = world.tables()
    numbers = range(1, len(undisturbed.reached) + 1, STEP)[part::PARTS]
    for number in numbers:
        with world.home_of_its_own(world.home):
            lives = [Effects(number), Effects()]
            with pytest.raises(Crash):
                life(world, lives[0])
            assert life(world, lives[1]) is RunStatus.COMPLETED, lives[0].where
            assert (carried(world, "rest"), world.tables()) == (CARRIED, expected), lives[0].where
            calls = [attempt for each in lives for attempt in each.attempts]
            assert len(calls) == len(set(calls)), f"{lives[0].where}: a worker was called twice for an attempt"
