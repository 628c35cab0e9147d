"""The decision: which release groups are released when, under which limits, and where the run stands."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.domain.decisions.advance import GroupOutcome
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.spec.pipeline import RampStep
from phasegate.domain.state.board import GOOD, BoardLetter
from phasegate.domain.state.run import DesiredState, RunStatus
from phasegate.domain.state.unsound import Blocked, Failure, NotRun, Unsound
from tests.unit.builders import NOW, Change, Conduct, calendar, days, run

Document = dict[str, Any]


def unlimited(document: Document) -> None:
    """No limit on active dates."""
    document["phases"][0]["limits"] = {}


def policy(phase: int, **keys: Any) -> Change:
    """No limit, and another failure policy."""

    def change(document: Document) -> None:
        unlimited(document)
        document["phases"][phase]["failure"].update(keys)

    return change


def walled(scope: str) -> Change:
    """No limit, and a barrier in place of the edges of the last phase."""

    def change(document: Document) -> None:
        unlimited(document)
        document["phases"][3]["gates"] = [{"check": "barrier", "phase": "shape", "scope": scope}]

    return change


def through(conduct: Conduct, *groups: str, positions: range | None = None) -> set[tuple[str, int]]:
    """Pass these release groups, one after the other, on all dates; what the last of them released."""
    released = conduct.advance()
    for group in groups:
        released = conduct.advance(*conduct.ends(group, *(positions or range(len(conduct.index.days)))))
    return released


# Edges


def test_the_first_phase_and_its_companion_are_released_at_once() -> None:
    assert Conduct(dates=1).advance() == {("fetch", 0), ("raw", 0)}


def test_a_phase_waits_for_every_lane_of_the_one_before() -> None:
    conduct = Conduct(unlimited, dates=1)
    assert through(conduct, "fetch") == set()
    assert conduct.advance(*conduct.ends("raw", 0)) == {("shape.1", 0), ("shape.2", 0)}


def test_a_rightly_empty_lane_counts_as_passed() -> None:
    conduct = Conduct(unlimited, dates=1)
    through(conduct, "fetch")
    assert conduct.advance(*conduct.ends("raw", 0, letter=BoardLetter.SKIPPED)) == {("shape.1", 0), ("shape.2", 0)}


def test_a_lookback_waits_for_its_own_processors_on_exactly_its_window() -> None:
    conduct = Conduct(unlimited)
    through(conduct, "fetch", "raw")
    conduct.advance(*conduct.ends("shape.1", 0, 2, 3, 4, 5))
    assert conduct.strips()["shape.2"] == "rr...r"
    assert conduct.advance(*conduct.ends("shape.1", 1)) == {("shape.2", p) for p in (2, 3, 4)}


def test_a_lookback_does_not_wait_for_other_lanes_of_its_dates() -> None:
    conduct = Conduct(unlimited, dates=3)
    through(conduct, "fetch", "raw", "shape.1")
    assert conduct.strips()["shape.2"] == "rrr"


def test_a_lookback_ends_at_the_start_of_a_season() -> None:
    conduct = Conduct(unlimited, among=calendar(days(2), days(2, days(400)[-1])))
    through(conduct, "fetch", "raw")
    assert conduct.strips()["shape.2"] == "r.r."


@pytest.mark.parametrize(
    ("letter", "blocked", "waiting"),
    [
        (BoardLetter.FAILED, "left", "r...rr"),
        (BoardLetter.BLOCKED, "left", "r...rr"),
        (BoardLetter.FAILED, "right", "rrrrrr"),
        (BoardLetter.BLOCKED, "right", "rrrrrr"),
    ],
    ids=["left failed", "left is blocked", "right failed", "right is blocked"],
)
def test_a_bad_processor_holds_back_exactly_the_windows_that_read_it(letter: str, blocked: str, waiting: str) -> None:
    conduct = Conduct(unlimited)
    through(conduct, "fetch", "raw")
    conduct.advance(*conduct.ends("shape.1", 0, letter=letter, **{blocked: "why"}))
    conduct.advance(*conduct.ends("shape.1", 1, 2, 3, 4, 5))
    assert conduct.strips()["shape.2"] == waiting


def test_what_was_not_run_for_a_failed_need_holds_back_its_windows_too() -> None:
    conduct = Conduct(lambda d: (unlimited(d), d["phases"][2]["gates"][1].update(processors=["right"]))[0], dates=3)
    through(conduct, "fetch", "raw")
    bad: dict[str, Unsound] = {"shape/left": Failure(ErrorClass.BUG, "why"), "shape/right": NotRun("not run")}
    conduct.advance(GroupOutcome(0, conduct.groups["shape.1"], BoardLetter.FAILED, bad), *conduct.ends("shape.1", 1, 2))
    assert conduct.strips()["shape.2"] == "r.."


@pytest.mark.parametrize(("then", "released"), [("block_date", "."), ("continue", "r")], ids=["block_date", "continue"])
def test_a_failure_that_nothing_names_holds_back_the_date_only_if_the_policy_says_so(then: str, released: str) -> None:
    def change(document: Document) -> None:
        policy(1, then=then)(document)
        document["phases"][2]["gates"][0]["processors"] = ["a"]

    conduct = Conduct(change, dates=1)
    through(conduct, "fetch")
    conduct.advance(*conduct.ends("raw", 0, letter=BoardLetter.FAILED, b="why"))
    assert conduct.strips()["shape.1"] == released


def test_a_failure_that_an_edge_names_holds_back_the_lane_under_every_policy() -> None:
    conduct = Conduct(policy(1, then="continue"), dates=1)
    through(conduct, "fetch")
    assert conduct.advance(*conduct.ends("raw", 0, letter=BoardLetter.FAILED, b="why")) == set()


def test_a_lane_whose_check_could_not_be_asked_does_not_let_the_next_one_go() -> None:
    conduct = Conduct(unlimited, dates=1)
    through(conduct, "fetch")
    assert conduct.advance(*conduct.ends("raw", 0, letter=BoardLetter.UNJUDGED)) == set()


def test_a_lane_whose_check_could_be_asked_in_the_end_lets_the_next_one_go() -> None:
    conduct = Conduct(unlimited, dates=1)
    through(conduct, "fetch")
    conduct.advance(*conduct.ends("raw", 0, letter=BoardLetter.UNJUDGED))
    assert conduct.advance(*conduct.ends("raw", 0)) == {("shape.1", 0), ("shape.2", 0)}


def test_a_barrier_over_the_run_waits_for_every_date() -> None:
    conduct = Conduct(walled("run"), dates=3)
    through(conduct, "fetch", "raw", "shape.1")
    assert conduct.advance(*conduct.ends("shape.2", 0, 1)) == set()
    assert conduct.advance(*conduct.ends("shape.2", 2)) == {("final", 0), ("final", 1), ("final", 2)}


def test_a_barrier_over_the_season_waits_for_the_dates_of_the_season_only() -> None:
    conduct = Conduct(walled("season"), among=calendar(days(2), days(2, days(400)[-1])))
    through(conduct, "fetch", "raw", "shape.1")
    assert conduct.advance(*conduct.ends("shape.2", 0, 1)) == {("final", 0), ("final", 1)}


def test_a_barrier_does_not_fall_while_one_date_failed() -> None:
    conduct = Conduct(walled("run"), dates=2)
    through(conduct, "fetch", "raw", "shape.1")
    conduct.advance(*conduct.ends("shape.2", 0), *conduct.ends("shape.2", 1, letter=BoardLetter.FAILED, ahead="why"))
    assert conduct.strips()["final"] == ".."


# What the run reads and does not make


def outside(missing: dict[str, Any] | None) -> Conduct:
    """A run of the last two of four dates; ``shape/left`` of the first two is read from the tables."""
    conduct = Conduct(unlimited, selected=days(4)[2:], among=calendar(days(4)))
    conduct.board.outside = missing
    through(conduct, "fetch", "raw")
    return conduct


def test_a_window_outside_the_run_holds_back_until_it_was_judged() -> None:
    assert outside(None).strips()["shape.2"] == ".."


def test_a_run_whose_outside_was_not_judged_yet_is_still_running() -> None:
    conduct = outside(None)
    conduct.advance(*conduct.ends("shape.1", 0, 1))
    assert conduct.board.status is RunStatus.RUNNING


def test_a_sound_window_outside_the_run_lets_the_lane_go() -> None:
    assert outside({}).strips()["shape.2"] == "r."


def test_a_missing_date_outside_the_run_holds_back_the_windows_that_read_it() -> None:
    conduct = Conduct(
        lambda d: (unlimited(d), d["phases"][2]["gates"][1].update(dates=1))[0],
        selected=days(4)[2:],
        among=calendar(days(4)),
    )
    conduct.board.outside = {"shape/left": {days(4)[1]: "left: no rows"}}
    through(conduct, "fetch", "raw", "shape.1")
    assert conduct.strips()["shape.2"] == ".r"


# Limits


def test_no_more_dates_are_active_than_the_phase_allows() -> None:
    assert Conduct().advance() == {(group, p) for group in ("fetch", "raw") for p in range(3)}


def test_a_date_that_has_settled_makes_room_for_the_next() -> None:
    conduct = Conduct()
    conduct.advance()
    assert ("fetch", 3) not in conduct.advance(*conduct.ends("fetch", 0))
    assert {("fetch", 3), ("raw", 3)} <= conduct.advance(*conduct.ends("raw", 0))


def test_a_live_limit_stands_in_place_of_the_pipelines() -> None:
    assert Conduct(run=run(active_dates={"fetch": 1})).advance() == {("fetch", 0), ("raw", 0)}


def test_a_live_limit_that_is_raised_lets_more_dates_in() -> None:
    conduct = Conduct()
    conduct.advance()
    conduct.run = run(active_dates={"fetch": 5})
    assert conduct.advance() == {(group, p) for group in ("fetch", "raw") for p in (3, 4)}


def test_a_live_limit_that_is_lowered_lets_nothing_in_until_enough_has_settled() -> None:
    conduct = Conduct()
    conduct.advance()
    conduct.run = run(active_dates={"fetch": 2})
    conduct.advance(*conduct.ends("fetch", 0), *conduct.ends("raw", 0))
    assert conduct.strips()["fetch"] == "prr..."


def test_earlier_dates_go_first() -> None:
    conduct = Conduct(run=run(active_dates={"fetch": 1}))
    order = []
    for _ in range(4):
        order += sorted(p for group, p in conduct.advance() if group == "fetch")
        conduct.advance(*conduct.ends("fetch", order[-1]))
        order += sorted(p for group, p in conduct.advance(*conduct.ends("raw", order[-1])) if group == "fetch")
    assert order == [0, 1, 2, 3, 4]


RAMP = (RampStep(active_dates=1, until_finished=1), RampStep(active_dates=2))


def entered(conduct: Conduct) -> str:
    """``x`` for each date that has entered the run."""
    return "".join(
        "." if all(s[p] == BoardLetter.PENDING for s in conduct.strips().values()) else "x"
        for p in range(len(conduct.index.days))
    )


def finish(conduct: Conduct, position: int) -> None:
    """Pass everything of a date."""
    for group in ("fetch", "raw", "shape.1", "shape.2", "final"):
        conduct.advance(*conduct.ends(group, position))


def test_a_ramp_begins_with_so_many_dates_in_the_whole_run() -> None:
    conduct = Conduct(unlimited, ramp=RAMP)
    conduct.advance()
    assert entered(conduct) == "x....."


def test_a_ramp_goes_on_with_more_when_enough_dates_have_finished_the_run() -> None:
    conduct = Conduct(unlimited, ramp=RAMP)
    conduct.advance()
    finish(conduct, 0)
    assert entered(conduct) == "xxx..."


def test_a_date_that_failed_does_not_hold_the_ramp() -> None:
    conduct = Conduct(unlimited, ramp=RAMP)
    through(conduct, "fetch", positions=range(1))
    conduct.advance(*conduct.ends("raw", 0, letter=BoardLetter.FAILED, a="why"))
    assert entered(conduct) == "xxx..."


def test_a_date_that_only_waits_for_a_failed_one_does_not_hold_the_ramp() -> None:
    conduct = Conduct(unlimited, ramp=(RampStep(active_dates=1),))
    through(conduct, "fetch", positions=range(1))
    conduct.advance(*conduct.ends("raw", 0, letter=BoardLetter.FAILED, a="why"))
    for group in ("fetch", "raw", "shape.1"):
        conduct.advance(*conduct.ends(group, 1))
    assert conduct.strips()["shape.2"] == "......"
    assert entered(conduct) == "xxx..."


# Status


def test_a_run_whose_lanes_have_all_passed_is_completed() -> None:
    conduct = Conduct()
    conduct.pass_all()
    assert (conduct.board.status, conduct.board.finished_at) == (RunStatus.COMPLETED, NOW)


def test_a_run_in_which_nothing_can_move_any_more_has_completed_with_failures() -> None:
    conduct = Conduct(unlimited, dates=1)
    through(conduct, "fetch")
    conduct.advance(*conduct.ends("raw", 0, letter=BoardLetter.BLOCKED, a="why"))
    assert conduct.board.status is RunStatus.COMPLETED_WITH_FAILURES


@pytest.mark.parametrize("letter", [BoardLetter.RELEASED, BoardLetter.UNJUDGED])
def test_a_run_with_an_open_lane_is_running(letter: str) -> None:
    conduct = Conduct(unlimited, dates=2)
    through(conduct, "fetch")
    conduct.advance(*conduct.ends("raw", 0, letter=BoardLetter.FAILED, a="why"), *conduct.ends("raw", 1, letter=letter))
    assert conduct.board.status is RunStatus.RUNNING


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        (DesiredState.PAUSED, RunStatus.PAUSED),
        (DesiredState.DRAINING, RunStatus.DRAINING),
        (DesiredState.CANCELLED, RunStatus.CANCELLED),
    ],
)
def test_nothing_is_released_in_a_run_that_is_not_wanted_running(wanted: DesiredState, status: RunStatus) -> None:
    conduct = Conduct(run=run(desired_state=wanted))
    assert (conduct.advance(), conduct.board.status) == (set(), status)


def test_a_run_that_was_paused_after_its_last_lane_passed_is_completed() -> None:
    conduct = Conduct()
    conduct.pass_all()
    conduct.run = run(desired_state=DesiredState.PAUSED)
    conduct.advance()
    assert conduct.board.status is RunStatus.COMPLETED


def test_a_failure_halts_a_run_whose_policy_says_so() -> None:
    conduct = Conduct(policy(1, then="halt_run"), dates=2)
    through(conduct, "fetch")
    conduct.advance(*conduct.ends("raw", 0, letter=BoardLetter.FAILED, a="why"))
    assert conduct.advance(*conduct.ends("raw", 1)) == set()
    assert (conduct.board.status, conduct.board.halted_because) == (
        RunStatus.HALTED,
        "raw: 1 date(s) ended badly, 0 tolerated (first: 2024-01-01)",
    )


def test_a_halting_run_is_running_until_its_open_lanes_have_ended() -> None:
    conduct = Conduct(policy(1, then="halt_run"), dates=2)
    through(conduct, "fetch")
    conduct.advance(*conduct.ends("raw", 0, letter=BoardLetter.FAILED, a="why"))
    assert conduct.board.status is RunStatus.RUNNING


@pytest.mark.parametrize(("failures", "halted"), [(1, False), (2, True)], ids=["as many as tolerated", "one more"])
def test_a_run_halts_when_more_dates_failed_than_are_tolerated(failures: int, halted: bool) -> None:
    conduct = Conduct(policy(1, tolerated_dates=1), dates=3)
    through(conduct, "fetch")
    conduct.advance(*conduct.ends("raw", *range(failures), letter=BoardLetter.FAILED, a="why"))
    assert bool(conduct.board.halted_because) is halted


def test_failures_in_several_lanes_of_one_date_count_once() -> None:
    conduct = Conduct(policy(2, tolerated_dates=1), dates=2)
    through(conduct, "fetch", "raw")
    conduct.advance(
        *conduct.ends("shape.1", 0, letter=BoardLetter.FAILED, left="why"),
        *conduct.ends("shape.2", 0, letter=BoardLetter.FAILED, ahead="why"),
    )
    assert conduct.board.halted_because == ""


@pytest.mark.parametrize(
    ("tolerated", "dates", "failures", "halted"),
    [(25, 4, 1, False), (25, 4, 2, True), (25, 3, 1, True), (0, 4, 1, True), (100, 2, 2, False)],
)
def test_a_share_of_the_dates_is_tolerated(tolerated: float, dates: int, failures: int, halted: bool) -> None:
    conduct = Conduct(policy(1, tolerated_percent=tolerated), dates=dates)
    through(conduct, "fetch")
    conduct.advance(*conduct.ends("raw", *range(failures), letter=BoardLetter.FAILED, a="why"))
    assert bool(conduct.board.halted_because) is halted


def test_of_a_count_and_a_share_the_lower_one_is_tolerated() -> None:
    conduct = Conduct(policy(1, tolerated_percent=50, tolerated_dates=1), dates=6)
    through(conduct, "fetch")
    conduct.advance(*conduct.ends("raw", 0, 1, letter=BoardLetter.FAILED, a="why"))
    assert conduct.board.halted_because == "raw: 2 date(s) ended badly, 1 tolerated (first: 2024-01-01)"


# The circuit breaker


def braked(conduct: Conduct, *reasons: Failure | Blocked) -> dict[str, int]:
    """Let ``shape/left`` end badly on one date after the other, for these reasons; the circuit breakers, with their
    dates."""
    through(conduct, "fetch", "raw")
    for position, reason in enumerate(reasons):
        letter = BoardLetter.BLOCKED if isinstance(reason, Blocked) else BoardLetter.FAILED
        conduct.advance(*conduct.ends("shape.1", position, letter=letter, left=reason))
    return {ref: breaker.dates for ref, breaker in conduct.board.breakers.items()}


def bug(message: str) -> Failure:
    """A failure that is not tried again by itself."""
    return Failure(ErrorClass.BUG, message)


def one_date_at_a_time(document: Document) -> None:
    """A circuit breaker after two dates, and one active date in the phase that fails."""
    policy(2, circuit_breaker=2)(document)
    document["phases"][2]["limits"] = {"active_dates": 1}


def test_dates_that_failed_alike_pull_the_brake_of_the_processor() -> None:
    alike = (bug("row 17 of '2024-01-01'"), bug("row 3 of '2024-01-02'"))
    assert braked(Conduct(policy(2, circuit_breaker=2)), *alike) == {"shape/left": 2}


def test_failures_of_other_kinds_do_not_add_up() -> None:
    kinds = bug("row 17"), bug("no such column"), Failure(ErrorClass.TRANSIENT, "row 17")
    assert braked(Conduct(policy(2, circuit_breaker=2)), *kinds) == {}


def test_without_a_brake_every_date_is_tried() -> None:
    assert braked(Conduct(policy(2, circuit_breaker=None)), *[bug("row 17")] * 6) == {}


def each_in_its_way(dates: int) -> list[Failure]:
    """So many failures of which no two are alike."""
    return [bug(f"no {chr(ord('a') + n % 26)}{chr(ord('a') + n // 26)}") for n in range(dates)]


def test_so_many_failures_of_a_processor_pull_its_brake_whatever_their_words() -> None:
    conduct = Conduct(policy(2, circuit_breaker=2, circuit_breaker_any=4))
    assert braked(conduct, *each_in_its_way(3)) == {}
    conduct.advance(*conduct.ends("shape.1", 3, letter=BoardLetter.FAILED, left=bug("no more")))
    (breaker,) = conduct.board.breakers.values()
    assert (breaker.signature, breaker.dates, breaker.first) == ("", 4, conduct.index.days[0])
    conduct.advance(*conduct.ends("shape.1", 0))
    assert conduct.board.breakers == {}


def test_failures_that_are_alike_name_the_brake_also_where_so_many_failed_in_any_way() -> None:
    conduct = Conduct(policy(2, circuit_breaker=2, circuit_breaker_any=3))
    braked(conduct, bug("no a"), bug("no b"))
    conduct.advance(*conduct.ends("shape.1", 2, letter=BoardLetter.FAILED, left=bug("no b")))
    assert [breaker.signature for breaker in conduct.board.breakers.values()] == ["bug:left:no b"]


def test_by_default_ten_alike_or_thirty_of_any_kind_pull_the_brake_and_no_fewer() -> None:
    for reasons, dates in (([bug("no rows")] * 12, 10), (each_in_its_way(31), 30)):
        conduct = Conduct(unlimited, dates=len(reasons))
        assert braked(conduct, *reasons[: dates - 1]) == {}
        position = dates - 1
        conduct.advance(*conduct.ends("shape.1", position, letter=BoardLetter.FAILED, left=reasons[position]))
        assert {ref: each.dates for ref, each in conduct.board.breakers.items()} == {"shape/left": dates}


def test_failures_scattered_over_processors_and_causes_pull_no_brake() -> None:
    conduct = Conduct(unlimited, dates=120)
    causes = [bug(text) for text in ("no rows", "no teams", "HTTP 500: no", "HTTP 503: no")]
    through(conduct, "fetch", "raw")
    for position in range(0, 120, 5):
        name = ("left", "right")[position % 2]
        ends = conduct.ends("shape.1", position, letter=BoardLetter.FAILED, **{name: causes[position // 5 % 4]})
        conduct.advance(*ends)
    assert conduct.board.breakers == {}


def test_as_many_failures_as_may_be_alike_may_always_be_of_any_kind() -> None:
    conduct = Conduct(policy(2, circuit_breaker=40), dates=40)
    assert braked(conduct, *each_in_its_way(39)) == {}
    conduct.advance(*conduct.ends("shape.1", 39, letter=BoardLetter.FAILED, left=bug("no more")))
    assert set(conduct.board.breakers) == {"shape/left"}


def blocked(*checks: str) -> Blocked:
    """An output that these checks block."""
    return Blocked("left: 2 of 4 rows", checks)


def test_dates_that_one_check_blocks_pull_the_brake_of_the_processor() -> None:
    conduct = Conduct(policy(2, circuit_breaker_blocked=2), dates=8)
    assert braked(conduct, blocked("rows"), blocked("nulls"), Blocked("of an earlier version")) == {}
    conduct.advance(*conduct.ends("shape.1", 3, letter=BoardLetter.BLOCKED, left=blocked("range", "nulls")))
    (breaker,) = conduct.board.breakers.values()
    assert (breaker.signature, breaker.dates, breaker.first) == ("check:left:nulls", 2, conduct.index.days[1])


def test_what_waits_or_was_not_run_counts_for_no_brake() -> None:
    conduct = Conduct(policy(2, circuit_breaker=2, circuit_breaker_any=2, circuit_breaker_blocked=2))
    through(conduct, "fetch", "raw")
    for position in range(4):
        reasons: dict[str, Any] = {"left": blocked(f"c{position}"), "right": NotRun("it needs left")}
        conduct.advance(*conduct.ends("shape.1", position, letter=BoardLetter.FAILED, **reasons))
    assert conduct.board.breakers == {}


def test_a_brake_of_a_check_is_let_go_when_fewer_dates_are_blocked() -> None:
    conduct = Conduct(policy(2, circuit_breaker_blocked=2))
    assert braked(conduct, blocked("rows"), blocked("rows")) == {"shape/left": 2}
    conduct.advance(*conduct.ends("shape.1", 1))
    assert conduct.board.breakers == {}


@pytest.mark.parametrize("reasons", [each_in_its_way(40), [blocked("rows")] * 40], ids=["failed", "blocked"])
def test_without_a_circuit_breaker_nothing_stops_a_processor(reasons: list[Any]) -> None:
    assert braked(Conduct(policy(2, circuit_breaker=None), dates=40), *reasons) == {}


@pytest.mark.parametrize(
    ("key", "reasons"),
    [("circuit_breaker_any", each_in_its_way(40)), ("circuit_breaker_blocked", [blocked("rows")] * 40)],
    ids=["failed", "blocked"],
)
def test_each_of_the_limits_can_be_taken_away(key: str, reasons: list[Any]) -> None:
    assert braked(Conduct(policy(2, **{key: None}), dates=40), *reasons) == {}


def test_a_braked_processors_lanes_wait_and_all_others_go_on() -> None:
    conduct = Conduct(one_date_at_a_time)
    braked(conduct, bug("row 17"), bug("row 3"))
    assert (conduct.strips()["shape.1"], conduct.strips()["shape.2"]) == ("ff....", "r.....")
    through(conduct, "shape.2", positions=range(1))
    assert conduct.board.status is RunStatus.COMPLETED_WITH_FAILURES


def test_a_brake_is_pulled_once() -> None:
    conduct = Conduct(policy(2, circuit_breaker=2))
    braked(conduct, *[bug("row 17")] * 2)
    (breaker,) = conduct.board.breakers.values()
    conduct.advance(*conduct.ends("shape.1", 2, letter=BoardLetter.FAILED, left=bug("row 17")))
    assert list(conduct.board.breakers.values()) == [breaker]


def test_a_brake_stays_on_while_so_many_dates_stand_as_failed() -> None:
    conduct = Conduct(policy(2, circuit_breaker=2))
    braked(conduct, *[bug("row 17")] * 3)
    (breaker,) = conduct.board.breakers.values()
    conduct.advance(*conduct.ends("shape.1", 0))
    assert list(conduct.board.breakers.values()) == [replace(breaker, first=conduct.index.days[1])]
    conduct.advance(*conduct.ends("shape.1", 1))
    assert conduct.board.breakers == {}


# Properties, judged by the edges as they are written in ``tests.world``, and not by the compiled plan


def sound(conduct: Conduct, group: str, position: int, processor: str) -> bool:
    """Whether one processor of a release group that has ended is good at a date."""
    letter = conduct.strips()[group][position]
    ref = f"{group.partition('.')[0]}/{processor}"
    bad = conduct.board.bad.get(conduct.index.days[position], {})
    return letter in GOOD or (letter in (BoardLetter.BLOCKED, BoardLetter.FAILED) and ref not in bad)


def may_go(conduct: Conduct, group: str, position: int) -> bool:
    """The oracle: what must hold before a release group of the world is released."""
    strips = conduct.strips()
    before = range(max(0, position - {"shape.2": 3, "final": 2}.get(group, 0)), position)
    window = all(sound(conduct, "shape.1", p, "left") for p in before)
    if group == "fetch":
        return True
    if group == "raw":
        return strips["fetch"][position] != BoardLetter.PENDING
    if group.startswith("shape"):
        return strips["raw"][position] in GOOD and window
    return strips["shape.1"][position] in GOOD and strips["shape.2"][position] in GOOD and window


Step = tuple[int, str, int]
steps = st.lists(
    st.tuples(
        st.integers(0, 99),
        st.sampled_from(
            [BoardLetter.PASSED] * 6
            + [BoardLetter.SKIPPED, BoardLetter.BLOCKED, BoardLetter.FAILED, BoardLetter.UNJUDGED]
        ),
        st.integers(0, 9),
    ),
    max_size=40,
)


def outcome(conduct: Conduct, step: Step) -> list[GroupOutcome]:
    """One open release group comes to rest; none when none is open."""
    which, letter, member = step
    opened = [
        (name, p)
        for name, strip in conduct.strips().items()
        for p, c in enumerate(strip)
        if c in (BoardLetter.RELEASED, BoardLetter.UNJUDGED)
    ]
    if not opened:
        return []
    name, position = opened[which % len(opened)]
    tasks = conduct.index.groups[conduct.groups[name]].tasks
    culprit = conduct.index.tasks[tasks[member % len(tasks)]].processor
    bad = {culprit: "why"} if letter in (BoardLetter.BLOCKED, BoardLetter.FAILED) else {}
    return conduct.ends(name, position, letter=letter, **bad)


def played(change: Change, all_steps: list[Step], after: Callable[[Conduct, set[tuple[str, int]]], None]) -> None:
    """Play the steps; ``after`` sees each decision."""
    conduct = Conduct(change)
    after(conduct, conduct.advance())
    for step in all_steps:
        after(conduct, conduct.advance(*outcome(conduct, step)))


@given(steps)
def test_a_lane_is_never_released_before_its_edges_pass(all_steps: list[Step]) -> None:
    def judge(conduct: Conduct, released: set[tuple[str, int]]) -> None:
        assert [at for at in released if not may_go(conduct, *at)] == []

    played(lambda _: None, all_steps, judge)


@given(steps)
def test_without_limits_every_lane_is_released_as_soon_as_its_edges_pass(all_steps: list[Step]) -> None:
    def judge(conduct: Conduct, _: set[tuple[str, int]]) -> None:
        held = [
            (n, p)
            for n, strip in conduct.strips().items()
            for p, letter in enumerate(strip)
            if letter == BoardLetter.PENDING
        ]
        assert [at for at in held if may_go(conduct, *at)] == []

    played(unlimited, all_steps, judge)


@given(steps)
def test_a_lane_is_never_released_twice(all_steps: list[Step]) -> None:
    seen: set[tuple[str, int]] = set()

    def judge(_: Conduct, released: set[tuple[str, int]]) -> None:
        assert not seen & released
        seen.update(released)

    played(lambda _: None, all_steps, judge)


@given(steps)
def test_a_second_look_at_the_same_board_decides_nothing_new(all_steps: list[Step]) -> None:
    def judge(conduct: Conduct, _: set[tuple[str, int]]) -> None:
        before = conduct.board.to_document()
        assert conduct.advance() == set()
        assert conduct.board.to_document() == before

    played(lambda _: None, all_steps, judge)


@given(steps)
def test_there_are_never_more_active_dates_than_the_limit(all_steps: list[Step]) -> None:
    def judge(conduct: Conduct, _: set[tuple[str, int]]) -> None:
        strips = conduct.strips()
        active = [
            p for p in range(6) if {strips["fetch"][p], strips["raw"][p]} & {BoardLetter.RELEASED, BoardLetter.UNJUDGED}
        ]
        assert len(active) <= 3

    played(lambda _: None, all_steps, judge)


def test_a_large_release_goes_in_rounds_and_leaves_nothing_out() -> None:
    whole, chunked = Conduct(unlimited), Conduct(unlimited)
    expected = whole.advance()
    passes = []
    while released := chunked.advance(most_releases=5):
        passes.append(released)
    assert set().union(*passes) == expected
    assert [len(released) for released in passes] == [5, 5, 2]
