"""Every morning the same request: what it takes, what it leaves alone while a bad date stops the season, and how it
goes on when somebody has freed that date."""

import json
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.state.run import DesiredState, RunStatus
from phasegate.embedded_start import HomeStart
from phasegate.report.stopped import stopped_text
from phasegate.services.operating import operators
from phasegate.services.operating.decisions import waive
from phasegate.services.starting.start import Started, start
from tests.unit.starting.test_start import request
from tests.world import START, World, reading, write_source

DAYS = [START.date() + timedelta(days=n) for n in range(-5, 5)]
BAD = DAYS[2]


def current(document: dict[str, Any]) -> None:
    """A profile that takes one date at a time and stops at a bad one."""
    ramp = [{"active_dates": 1}]
    document["profiles"] = {"current": {"phases": "fetch..final", "ramp": ramp, "stops_at_bad_date": True}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A season of ten dates, of which four have left the live window on the first morning."""
    write_source(tmp_path / "source", dict.fromkeys(DAYS, 2))
    made = World(tmp_path, change=current)
    made.days = DAYS
    return made


def spoil(world: World) -> None:
    """Take a row of the source from the date that is to be bad."""
    data = world.data()
    data["a"][str(BAD)].pop()
    world.rewrite(data)


def mend(world: World) -> None:
    """Put it back."""
    data = world.data()
    data["a"][str(BAD)].append({"d": str(BAD), "k": "T3", "v": 3})
    world.rewrite(data)


def sleep(world: World) -> None:
    """Wait for midnight."""
    world.clock.move_to(START + timedelta(days=1 + (world.clock.now() - START).days))


def morning(world: World, **changes: object) -> Started:
    """Ask as the schedule does, and let the run that answers go on until it rests; a day passes."""
    selection = Selection(seasons=("2023-24",), exclude_live=True)
    asked = request(world, **{"profile": "current", "selection": selection, **changes})
    with HomeStart(world.home, world.source, world.options) as environment:
        started = start(asked, environment)
        environment.embedded.drive(started.run.run_id)
    sleep(world)
    return started


def calls(world: World, processor: str = "left") -> dict[date, int]:
    """How often a processor was called on each date, by the history table."""
    with reading(world.home.warehouse) as connection:
        found = connection.execute("SELECT data_date FROM ref.history WHERE processor_name = ?", [processor]).fetchall()
    return dict(Counter(day for (day,) in found))


def status(world: World, run_id: str) -> RunStatus:
    """How a run stands."""
    with world.open() as embedded:
        return embedded.state.board(run_id)[0].status


def free(world: World, run_id: str) -> None:
    """Retry the date of the run that stopped there, and let the run go on until it rests."""
    with world.open() as embedded:
        operators.retry(
            embedded.state, world.clock, run_id, dates=(BAD,), phase="raw", processor=None, signature=None, why=""
        )
        embedded.drive(run_id)


def test_each_morning_takes_the_dates_that_have_left_the_live_window_since(world: World) -> None:
    mornings = [morning(world) for _ in range(3)]
    assert [each.is_new for each in mornings] == [True] * 3
    assert calls(world) == dict.fromkeys(DAYS[:6], 1)


def test_a_morning_finds_the_run_of_the_morning_before_while_that_goes_on(world: World) -> None:
    selection = Selection(seasons=("2023-24",), exclude_live=True)
    with HomeStart(world.home, world.source, world.options) as environment:
        first = start(request(world, profile="current", selection=selection), environment)
    sleep(world)
    assert morning(world) == Started(first.run, is_new=False)
    assert set(calls(world)) == set(DAYS[:4]), "its own dates"
    assert morning(world).is_new
    assert calls(world) == dict.fromkeys(DAYS[:6], 1), "and the next one what has become due meanwhile"


def test_after_a_stop_the_mornings_call_neither_the_bad_date_nor_a_later_one_and_say_what_frees_it(
    world: World,
) -> None:
    spoil(world)
    first = morning(world)
    assert (first.stopped_by, status(world, first.run.run_id)) == ((), RunStatus.COMPLETED_WITH_FAILURES)
    before = calls(world, "a")
    for _ in range(2):
        again = morning(world)
        assert (again.run.run_id, again.is_new, again.stopped_by) == (first.run.run_id, False, (BAD,))
    assert calls(world, "a") == before
    assert set(before) == set(DAYS[:3])
    with world.open() as embedded:
        said = stopped_text(embedded.state, first.run.run_id, again.stopped_by)
        assert [run.run_id for run in embedded.state.runs()] == [first.run.run_id]
    assert f"nothing was begun: run {first.run.run_id} stopped at {BAD}, which ended badly" in said
    assert "a: 3 of 4 rows" in said
    assert f"-> mend the source, then: phasegate retry {first.run.run_id} --date {BAD} --phase raw" in said


def test_once_freed_the_run_goes_on_and_the_next_morning_takes_all_that_is_missing_each_date_once(
    world: World,
) -> None:
    spoil(world)
    first = morning(world)
    morning(world)
    mend(world)
    free(world, first.run.run_id)
    assert (status(world, first.run.run_id), set(calls(world))) == (RunStatus.COMPLETED, set(DAYS[:4]))
    after = morning(world)
    assert (after.is_new, after.stopped_by) == (True, ())
    assert (status(world, after.run.run_id), calls(world)) == (RunStatus.COMPLETED, dict.fromkeys(DAYS[:6], 1))


def test_what_the_tables_hold_since_frees_the_date_too(world: World) -> None:
    spoil(world)
    morning(world)
    mend(world)
    world.run("by-hand", selection=Selection(dates=(BAD,)))
    after = morning(world)
    assert (after.is_new, status(world, after.run.run_id)) == (True, RunStatus.COMPLETED)
    assert calls(world) == dict.fromkeys(DAYS[:5], 1)


def test_what_a_person_let_pass_passes_in_the_next_mornings_too_and_is_not_called_again(world: World) -> None:
    (world.source / "behaviour.json").write_text(json.dumps({f"shape/right/{BAD}": ["short"]}))
    first = morning(world)
    assert status(world, first.run.run_id) is RunStatus.COMPLETED_WITH_FAILURES
    with world.open() as embedded:
        _, waiver = waive(
            embedded.state,
            world.clock,
            first.run.run_id,
            dates=[BAD],
            check="rows",
            phase="shape",
            processor="right",
            until=str(DAYS[7]),
            by="ann",
            why="known",
        )
        embedded.drive(first.run.run_id)
    for _ in range(2):
        after = morning(world)
        assert (after.is_new, after.run.waivers) == (True, (waiver,))
        assert status(world, after.run.run_id) is RunStatus.COMPLETED
    assert calls(world, "right") == dict.fromkeys(DAYS[:6], 1)
    for _ in range(3):
        ended = morning(world)
    assert (ended.stopped_by, status(world, ended.run.run_id)) == ((BAD,), RunStatus.COMPLETED_WITH_FAILURES), (
        "it is not let pass any more"
    )


def test_a_pipeline_file_that_somebody_has_changed_frees_the_date(world: World) -> None:
    spoil(world)
    first = morning(world)
    text = world.pipeline_file.read_text()
    world.pipeline_file.write_text(f"description: another\n{text}")
    assert morning(world).stopped_by == (BAD,), "words change nothing"
    world.pipeline_file.write_text(text.replace("retries: 2", "retries: 1"))
    after = morning(world)
    assert (after.is_new, after.run.run_id != first.run.run_id) == (True, True)
    assert morning(world).run == after.run, "it has stopped there as well"


@pytest.mark.parametrize(
    "changes",
    [
        {"reprocess": "failed", "selection": Selection(dates=(BAD,))},
        {"profile": None},
        {"selection": Selection(seasons=("2023-24",), exclude=(BAD,), exclude_live=True)},
    ],
    ids=["named by what is made again", "a profile that does not stop", "without the bad date"],
)
def test_who_asks_for_something_else_is_not_held_back(world: World, changes: dict[str, object]) -> None:
    spoil(world)
    morning(world)
    assert morning(world, **changes).is_new


def test_a_run_without_the_bad_date_frees_nothing(world: World) -> None:
    spoil(world)
    first = morning(world)
    assert morning(world, selection=Selection(seasons=("2023-24",), exclude=(BAD,), exclude_live=True)).is_new
    after = morning(world)
    assert (after.stopped_by, after.run.run_id) == ((BAD,), first.run.run_id)


def test_a_run_without_the_date_loses_no_waiver(world: World) -> None:
    (world.source / "behaviour.json").write_text(json.dumps({f"shape/right/{BAD}": ["short"]}))
    first = morning(world)
    signed = {
        "check": "rows",
        "phase": "shape",
        "processor": "right",
        "until": "2099-12-31",
        "by": "ann",
        "why": "known",
    }
    with world.open() as embedded:
        _, waiver = waive(embedded.state, world.clock, first.run.run_id, dates=[BAD], **signed)
        embedded.drive(first.run.run_id)
    morning(world, selection=Selection(seasons=("2023-24",), exclude=(BAD,), exclude_live=True))
    assert morning(world).run.waivers == (waiver,)


def test_a_cancelled_run_which_nothing_can_free_holds_nothing_back(world: World) -> None:
    spoil(world)
    first = morning(world)
    with world.open() as embedded:
        cancelled = {"desired_state": DesiredState.CANCELLED}
        embedded.state.change_run(first.run.run_id, lambda run: run.model_copy(update=cancelled))
    assert morning(world).is_new
