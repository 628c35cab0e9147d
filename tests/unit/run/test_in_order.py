"""The decision where a plan stops at bad dates: the dates enter in order, and none after one that ended badly."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.domain.decisions.advance import GroupOutcome, limit_reached
from phasegate.domain.decisions.edges import Blockage, obstacles, stopped_at
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.spec.pipeline import RampStep
from phasegate.domain.state.board import BADLY_ENDED, BoardLetter
from phasegate.domain.state.run import RunStatus
from phasegate.domain.state.unsound import Failure, NotRun, Unsound
from tests.unit.builders import Conduct, days

GROUPS = ("fetch", "raw", "shape.1", "shape.2", "final")
RAMP = (RampStep(active_dates=1, until_finished=3), RampStep(active_dates=3))


def unlimited(document: dict[str, Any]) -> None:
    """No limit on active dates."""
    document["phases"][0]["limits"] = {}


def in_order(**plan_of: Any) -> Conduct:
    """A plan that stops at bad dates; nothing but that and its ramp limits how many dates are active."""
    return Conduct(unlimited, stops_at_bad_date=True, **plan_of)


def entered(conduct: Conduct) -> str:
    """``x`` for each date that has entered the run."""
    strips = conduct.strips().values()
    return "".join("." if set(letters) == {BoardLetter.PENDING} else "x" for letters in zip(*strips, strict=True))


def finish(conduct: Conduct, *positions: int) -> None:
    """Pass all of these dates."""
    for position in positions:
        for group in GROUPS:
            conduct.advance(*conduct.ends(group, position))


def end_badly(conduct: Conduct, position: int, letter: str = BoardLetter.BLOCKED) -> None:
    """Bring a date as far as its second phase, which ends badly."""
    conduct.advance(*conduct.ends("fetch", position))
    conduct.advance(*conduct.ends("raw", position, letter=letter, a="3 of 4 rows"))


def test_without_a_ramp_all_dates_enter_at_once_and_in_order() -> None:
    conduct = in_order()
    assert sorted(conduct.advance()) == sorted((group, p) for group in ("fetch", "raw") for p in range(6))


def test_with_a_ramp_of_one_each_date_goes_through_all_phases_before_the_next_enters() -> None:
    conduct = in_order(ramp=RAMP)
    conduct.advance()
    for position in range(3):
        for group in GROUPS:
            assert entered(conduct) == "x" * (position + 1) + "." * (5 - position)
            conduct.advance(*conduct.ends(group, position))
    assert entered(conduct) == "xxxxxx", "then the ramp"


@pytest.mark.parametrize("letter", [BoardLetter.BLOCKED, BoardLetter.FAILED])
def test_a_date_that_ended_badly_lets_no_later_one_in(letter: str) -> None:
    conduct = in_order(ramp=RAMP)
    conduct.advance()
    end_badly(conduct, 0, letter)
    assert entered(conduct) == "x....."
    assert (conduct.board.status, conduct.board.halted_because) == (RunStatus.COMPLETED_WITH_FAILURES, "")


def test_without_the_key_it_does_let_them_in() -> None:
    conduct = Conduct(unlimited, ramp=RAMP)
    conduct.advance()
    end_badly(conduct, 0)
    assert entered(conduct) == "xx...."


def test_a_date_that_ended_badly_under_a_lenient_policy_stops_them_too() -> None:
    def lenient(document: dict[str, Any]) -> None:
        unlimited(document)
        document["phases"][1]["failure"]["then"] = "continue"

    conduct = Conduct(lenient, stops_at_bad_date=True, ramp=RAMP)
    conduct.advance()
    end_badly(conduct, 0, BoardLetter.FAILED)
    assert entered(conduct) == "x....."


def test_dates_in_flight_end_as_they_end() -> None:
    conduct = in_order(ramp=(RampStep(active_dates=3),))
    conduct.advance()
    end_badly(conduct, 1)
    assert entered(conduct) == "xxx..."
    finish(conduct, 0)
    for group in ("fetch", "raw", "shape.1"):
        conduct.advance(*conduct.ends(group, 2))
    assert (entered(conduct), conduct.strips()["final"]) == ("xxx...", "p....."), "the third waits for its window"
    assert conduct.board.status is RunStatus.COMPLETED_WITH_FAILURES


def test_the_bad_date_is_the_root_of_every_date_behind_it() -> None:
    conduct = in_order(ramp=RAMP)
    conduct.advance()
    finish(conduct, 0)
    end_badly(conduct, 1)
    blockage = Blockage(conduct.index, conduct.board)
    roots = {blockage.roots(group.number, p) for group in conduct.index.groups for p in range(2, 6)}
    assert {(root.day, root.ref, root.letter, root.detail) for each in roots for root in each} == {
        (days(6)[1], "raw/a", BoardLetter.BLOCKED, "3 of 4 rows")
    }
    assert stopped_at(conduct.index, conduct.board) == 1
    assert limit_reached(conduct.index, conduct.board, conduct.run) is None, "no limit holds them"


def test_what_was_not_run_for_a_failure_is_no_root() -> None:
    conduct = in_order(ramp=RAMP)
    conduct.advance()
    bad: dict[str, Unsound] = {"raw/a": NotRun("it needs fetch/a"), "raw/b": Failure(ErrorClass.BUG, "why")}
    conduct.advance(*conduct.ends("fetch", 0), GroupOutcome(0, conduct.groups["raw"], BoardLetter.FAILED, bad))
    group = conduct.index.groups[conduct.groups["fetch"]]
    assert [o.ref for o in obstacles(conduct.index, conduct.board, group, 1)] == ["raw/b"]


def test_when_it_is_freed_the_rest_follows_by_itself() -> None:
    conduct = in_order(ramp=RAMP)
    conduct.advance()
    end_badly(conduct, 0)
    conduct.board.set_letter("raw", 0, BoardLetter.RELEASED)  # As a retry, or a waiver, leaves it.
    conduct.board.forget(days(1)[0], ["raw/a"])
    conduct.advance()
    assert entered(conduct) == "x.....", "it is the one date of the ramp"
    conduct.pass_all()
    finish(conduct, *range(6))
    assert conduct.board.status is RunStatus.COMPLETED


def test_a_date_that_reads_what_is_missing_outside_the_run_stops_those_behind_it() -> None:
    conduct = in_order(selected=days(6)[2:], ramp=(RampStep(active_dates=1),))
    conduct.board.outside = {"shape/left": {days(2)[1]: "left: no rows"}}
    conduct.advance()
    for group in ("fetch", "raw", "shape.1"):
        conduct.advance(*conduct.ends(group, 0))
    assert entered(conduct) == "x..."
    root = {o for p in range(1, 4) for o in Blockage(conduct.index, conduct.board).roots(0, p)}
    assert {(o.day, o.ref, o.detail) for o in root} == {(days(2)[1], "shape/left", "left: no rows")}
    assert conduct.board.status is RunStatus.COMPLETED_WITH_FAILURES


steps = st.lists(
    st.tuples(
        st.integers(0, 99),
        st.sampled_from([BoardLetter.PASSED] * 8 + [BoardLetter.BLOCKED, BoardLetter.FAILED, BoardLetter.UNJUDGED]),
        st.booleans(),
    ),
    max_size=50,
)


@given(steps, st.sampled_from([(), RAMP]))
def test_no_date_enters_before_an_earlier_one_or_behind_a_bad_one(
    all_steps: list[tuple[int, str, bool]], ramp: tuple[RampStep, ...]
) -> None:
    """The oracle reads the letters alone: which dates have begun, and which have ended badly."""
    conduct = in_order(ramp=ramp)
    before = "......"
    for which, letter, is_freed in [(0, BoardLetter.PASSED, False), *all_steps]:
        strips = conduct.strips()
        badly = [(g, p) for p in range(6) for g in GROUPS if strips[g][p] in BADLY_ENDED]
        opened = [(g, p) for p in range(6) for g in GROUPS if strips[g][p] in (BoardLetter.RELEASED, "u")]
        outcomes: list[GroupOutcome] = []
        if is_freed and badly:
            group, position = badly[which % len(badly)]
            outcomes = conduct.ends(group, position)
        elif opened:
            group, position = opened[which % len(opened)]
            task = conduct.index.tasks[conduct.index.groups[conduct.groups[group]].tasks[0]]
            bad = {task.processor: "why"} if letter in BADLY_ENDED else {}
            outcomes = conduct.ends(group, position, letter=letter, **bad)
        conduct.advance(*outcomes)
        now, strips = entered(conduct), conduct.strips()
        assert now == "x" * now.count("x") + "." * now.count("."), "in order, without a gap"
        first_bad = next((p for p in range(6) if any(strips[g][p] in BADLY_ENDED for g in GROUPS)), 5)
        assert now.count("x") <= max(before.count("x"), first_bad + 1), "nothing enters behind a bad date"
        before = now
