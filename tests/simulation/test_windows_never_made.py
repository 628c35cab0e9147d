"""A window over a table that may be empty: a date of it counts when it was run and proved empty, never when nobody ran
it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.decisions.needed import Why
from phasegate.domain.plan import compile_plan
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import RunStatus
from phasegate.report.explain import explain
from phasegate.services.reading.prover import Prover
from phasegate.services.starting.planner import make_plan, missing_outside
from tests.simulation.test_needed import delete, letters
from tests.world import START, World, drive

Document = dict[str, Any]
NOBODY_RAN_IT = "b: no rows, and nothing proves that it was ever run"


def b_may_be_empty(document: Document) -> None:
    """``raw/b`` may be empty, and ``final`` looks back on it over two dates."""
    document["phases"][1]["processors"][1] |= {"may_be_empty": "no odds", "checks": []}
    document["phases"][3]["gates"].append({"check": "lookback", "processors": ["raw/b"], "dates": 2})


def neither_must_hold_rows(document: Document) -> None:
    """Beside it no table of its phase says whether it was run."""
    b_may_be_empty(document)
    document["phases"][1]["processors"][0] |= {"may_be_empty": "no games", "checks": []}


def world_without(folder: Path, change: Callable[[Document], None], day: int) -> World:
    """A world in which the source of ``b`` holds nothing of a date."""
    world = World(folder, change=change)
    data = world.data()
    data["b"][str(world.days[day])] = []
    world.rewrite(data)
    return world


def last_alone(world: World, run_id: str = "last") -> Board:
    """A run of the last date alone."""
    return world.run(run_id, selection=Selection(dates=(world.days[-1],)), reprocess="all")


@pytest.mark.parametrize("change", [b_may_be_empty, neither_must_hold_rows], ids=["beside others", "alone"])
def test_a_window_that_nobody_ever_made_holds_a_date_back_and_the_plan_says_so(
    tmp_path: Path, change: Callable[[Document], None]
) -> None:
    world = World(tmp_path, change=change)
    board = last_alone(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    window = dict.fromkeys(world.days[-3:-1], NOBODY_RAN_IT)
    assert board.outside is not None
    assert board.outside["raw/b"] == window
    assert world.tables()["final.total"] == []
    with world.open() as embedded:
        index, prover = embedded.state.index("last"), Prover(embedded.warehouse, embedded.objects)
        assert missing_outside(index, prover, embedded.state, START) == board.outside
        roots = [r for r in explain(embedded.state, "last", None, None).roots if (r.phase, r.processor) == ("raw", "b")]
    assert [(root.day, root.detail) for root in roots] == list(window.items())
    assert all("phasegate run" in root.remedy for root in roots)


def test_before_there_are_tables_a_plan_misses_what_may_be_empty_and_not_what_must_be(tmp_path: Path) -> None:
    def b_and_left_empty(document: Document) -> None:
        b_may_be_empty(document)
        document["phases"][2]["processors"][0]["bootstrap"] = True

    world = World(tmp_path, dates=3, change=b_and_left_empty)
    made = make_plan(world.pipeline, world.calendar(), Selection(dates=(world.days[-1],)))
    missing = missing_outside(compile_plan(made.plan), None, None, START)
    assert missing == {"raw/b": dict.fromkeys(world.days[:2], "the table does not exist yet")}


def test_tables_of_the_same_cell_that_must_hold_rows_prove_that_an_empty_one_was_run(tmp_path: Path) -> None:
    world = world_without(tmp_path, b_may_be_empty, 4)
    world.run()
    before = world.tables()
    board = last_alone(world)
    assert (board.status, board.outside) == (RunStatus.COMPLETED, {})
    assert world.tables() == before


def test_tables_of_the_same_cell_that_are_gone_prove_nothing(tmp_path: Path) -> None:
    world = world_without(tmp_path, b_may_be_empty, 4)
    delete(world, "raw.a", 4)
    board = last_alone(world)
    assert board.outside is not None
    assert board.outside["raw/b"][world.days[4]] == NOBODY_RAN_IT


def test_a_run_that_proved_it_empty_proves_that_it_was_run(tmp_path: Path) -> None:
    world = world_without(tmp_path, neither_must_hold_rows, 4)
    world.run()
    board = last_alone(world)
    assert (board.status, board.outside) == (RunStatus.COMPLETED, {})


def test_a_run_that_was_forgotten_proves_nothing(tmp_path: Path) -> None:
    world = world_without(tmp_path, neither_must_hold_rows, 4)
    world.run()
    with world.open() as embedded:
        embedded.state.forget_run("r", world.clock.now())
    board = last_alone(world)
    assert board.outside == {"raw/b": {world.days[4]: NOBODY_RAN_IT}}


def test_rows_that_a_run_wrote_and_that_are_gone_are_not_proved_to_be_empty(tmp_path: Path) -> None:
    world = World(tmp_path, change=neither_must_hold_rows)
    world.run()
    delete(world, "raw.b", 4)
    board = last_alone(world)
    assert board.outside == {"raw/b": {world.days[4]: NOBODY_RAN_IT}}


def test_the_newest_run_that_worked_on_a_table_speaks_for_it(tmp_path: Path) -> None:
    world = world_without(tmp_path, neither_must_hold_rows, 4)
    world.run()
    world.misbehave(raw__b__4=["fail:bug"])
    world.run("failed", reprocess="all")
    board = last_alone(world)
    assert board.outside == {"raw/b": {world.days[4]: NOBODY_RAN_IT}}


def test_a_plan_takes_over_what_a_run_proved_to_be_empty_and_makes_what_nobody_ran(tmp_path: Path) -> None:
    world = world_without(tmp_path, neither_must_hold_rows, 4)
    with world.open() as embedded:
        world.begin(embedded, "first", reprocess="missing")
        assert letters(embedded.state.plan("first"), "raw/b") == {"raw/b": "r"}
    world.run("first")
    board, found = drive(world, "again")
    with world.open() as embedded:
        plan = embedded.state.plan("again")
    assert letters(plan, "raw/b", "fetch/b") == {"raw/b": "aaaaoa", "fetch/b": "n"}
    assert (board.status, found.missing) == (RunStatus.COMPLETED, ())


def test_a_plan_says_that_nothing_proves_a_table_to_have_run(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2, change=neither_must_hold_rows)
    made = make_plan(world.pipeline, world.calendar(), Selection(seasons=("2023-24",)), reprocess="missing")
    assert made.why["raw/b"] == [Why.NEVER_RAN, Why.NEVER_RAN]
