"""Two runs that are not over do not work on the same date of the same processor, whoever begins them and when."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.operations.overrides import Overrides
from phasegate.domain.plan import compile_plan
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import DesiredState, RunStatus
from phasegate.embedded_start import HomeStart
from phasegate.services.operating import operators
from phasegate.services.operating.decisions import approve, waive
from phasegate.services.starting import start as line
from phasegate.services.starting.alongside import withdraw_if_later
from tests.contract.spoiling import change_stored, newer_layout
from tests.unit.builders import plan, run
from tests.unit.starting.test_start import begin, change, request
from tests.world import START, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world in which ``r`` has begun over all of its dates, and nobody drives it."""
    made = World(tmp_path, dates=3)
    begin(made, "r")
    return made


def on(world: World, *days: int) -> Selection:
    """These dates alone."""
    return Selection(dates=tuple(world.days[day] for day in days))


def test_a_run_over_a_task_of_an_unfinished_one_is_refused_by_its_name_and_not_written(world: World) -> None:
    said = "run 'r' is not over and has fetch/a and 3 more on 1 of these dates, 2024-01-02 to 2024-01-02: let it come"
    with pytest.raises(InputError, match=said):
        begin(world, "second", selection=on(world, 1), phases="1..2")
    with world.open() as embedded:
        assert [each.run_id for each in embedded.state.runs()] == ["r"]


@pytest.mark.parametrize("state", [DesiredState.PAUSED, DesiredState.DRAINING])
def test_a_run_that_rests_is_not_over(world: World, state: DesiredState) -> None:
    change(world, "r", desired_state=state)
    with pytest.raises(InputError, match="run 'r' is not over"):
        begin(world, "second", selection=on(world, 1))


def test_who_insists_has_it_beside_the_other(world: World) -> None:
    assert begin(world, "second", selection=on(world, 1), overrides=Overrides(alongside=True)).is_new


def test_other_phases_and_other_dates_are_no_work_of_it(tmp_path: Path) -> None:
    world = World(tmp_path, dates=3)
    begin(world, "r", selection=on(world, 0), phases="1..2")
    assert begin(world, "dates", selection=on(world, 1), phases="1..2").is_new
    assert begin(world, "phases", selection=on(world, 0), phases="3..4").is_new


def test_a_run_that_was_cancelled_or_that_nobody_can_read_stops_nobody(world: World) -> None:
    with world.open() as embedded:
        change_stored(embedded.state, "run", "r", newer_layout)
    assert begin(world, "second", selection=on(world, 1), phases="1..2").is_new
    change(world, "second", desired_state=DesiredState.CANCELLED)
    assert begin(world, "third", selection=on(world, 1), phases="1..2").is_new


@pytest.mark.parametrize(
    ("seconds", "name", "withdraws"),
    [(-1, "z", True), (1, "a", False), (0, "a", True), (0, "z", False)],
    ids=["it is later", "it is earlier", "later by name", "earlier by name"],
)
def test_of_two_that_were_written_at_once_the_later_withdraws(
    tmp_path: Path, seconds: int, name: str, withdraws: bool
) -> None:
    with World(tmp_path, dates=3).open() as embedded:
        frozen = plan(dates=3)
        other = run(run_id=name, created_at=START + timedelta(seconds=seconds))
        mine = run(run_id="m", created_at=START)
        for each in (other, mine):
            embedded.state.create_run(each, frozen, Board.blank(each.run_id, compile_plan(frozen), each.created_at))
        if withdraws:
            with pytest.raises(InputError, match=f"run '{name}' is not over .* 'm' was cancelled before it began"):
                withdraw_if_later(embedded.state, mine, frozen)
        else:
            withdraw_if_later(embedded.state, mine, frozen)
        wanted = {each.run_id: each.desired_state for each in embedded.state.runs()}
        assert wanted[name] is DesiredState.RUNNING
        assert wanted["m"] is (DesiredState.CANCELLED if withdraws else DesiredState.RUNNING)


def test_a_run_that_another_starter_wrote_meanwhile_is_seen_and_nothing_is_woken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, dates=3)
    woken: list[str] = []
    with HomeStart(world.home, world.source, world.options) as environment:
        write_run = line.write_run

        def raced(state: Any, *more: Any) -> Any:
            frozen = plan(dates=3)
            other = run(run_id="other", created_at=START - timedelta(seconds=1))
            state.create_run(other, frozen, Board.blank("other", compile_plan(frozen), START))
            return write_run(state, *more)

        monkeypatch.setattr(line, "write_run", raced)
        monkeypatch.setattr(environment, "wake", woken.append)
        with pytest.raises(InputError, match="run 'other' is not over"):
            line.start(request(world), environment, "mine")
        assert environment.embedded.state.run("mine").desired_state is DesiredState.CANCELLED
    assert woken == []


@pytest.fixture
def ended(tmp_path: Path) -> World:
    """A world in which ``r`` is over, with a failure on its first and its last date."""
    made = World(tmp_path, dates=5)
    made.misbehave(shape__left__0=["fail:bug"], shape__left__4=["fail:bug"])
    made.run()
    return made


def retry(world: World, *days: int, alongside: bool = False) -> list[tuple[date, str]]:
    """Retry ``r``, on these dates or on all."""
    with world.open() as embedded:
        return operators.retry(
            embedded.state,
            world.clock,
            "r",
            dates=tuple(world.days[day] for day in days),
            phase=None,
            processor=None,
            signature=None,
            why="",
            alongside=alongside,
        )


def test_a_retry_of_a_run_that_is_over_is_refused_beside_one_that_works_on_the_same(ended: World) -> None:
    begin(ended, "second", selection=on(ended, 4))
    with ended.open() as embedded:
        before = embedded.state.run("r")
    for days in ((), (4,)):
        with pytest.raises(InputError, match=r"run 'second' is not over and has .* on 1 of these dates, 2024-01-05"):
            retry(ended, *days)
    with ended.open() as embedded:
        assert embedded.state.run("r") == before, "nothing was written"
    assert [day for day, _ in retry(ended, 4, alongside=True)] == [ended.days[4]]


def test_a_retry_that_touches_no_date_of_the_other_run_is_nobodys_business(ended: World) -> None:
    """What is made from the first date reaches into windows of dates behind it, and into none of the last date."""
    begin(ended, "second", selection=on(ended, 4), phases="1..2")
    assert len(retry(ended, 0)) == 1
    assert len(retry(ended, 4)) == 1, "the run goes on by now, and began before the other"


def test_a_retry_of_a_run_that_goes_on_is_no_beginning(ended: World) -> None:
    begin(ended, "second", selection=on(ended, 4))
    retry(ended, 4, alongside=True)
    assert len(retry(ended, 4)) == 1
    assert len(retry(ended)) == 2


def test_what_a_person_lets_pass_or_go_opens_no_run_beside_one_that_works_on_the_same(tmp_path: Path) -> None:
    world = World(tmp_path, dates=1, change=lambda d: d["phases"][3]["gates"].append({"check": "approval"}))
    world.misbehave(raw__a__0=["short"] * 9)
    assert world.run().status is RunStatus.COMPLETED_WITH_FAILURES
    begin(world, "second")
    scope: Any = {"dates": world.days, "check": "rows", "phase": None, "processor": None, "until": "2030-01-01"}
    with world.open() as embedded:
        decisions: list[Callable[..., Any]] = [
            partial(waive, embedded.state, world.clock, "r", **scope, by="ann", why="known"),
            partial(approve, embedded.state, world.clock, "r", "final", by="ann", why=""),
        ]
        for decide in decisions:
            with pytest.raises(InputError, match=r"run 'second' is not over and has .* on 1 of these dates"):
                decide()
        run = embedded.state.run("r")
        assert (run.waivers, run.approvals) == ((), ())
        decisions[0](alongside=True)
