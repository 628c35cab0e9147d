"""Two starters on two machines begin runs over the same dates at the same moment: one of them goes on, on Firestore."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from threading import Barrier

import pytest

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.errors import InputError
from phasegate.domain.operations.rollback import Scope
from phasegate.domain.plan import compile_plan
from phasegate.domain.state.board import Board, BoardLetter
from phasegate.domain.state.facts import AttemptKey
from phasegate.domain.state.run import DesiredState, RunStatus
from phasegate.ports import ClaimRequest, State
from phasegate.services.operating.operators import cancel
from phasegate.services.operating.rollback import require_free
from phasegate.services.starting.alongside import require_alone, require_alone_again, withdraw_if_later
from tests.contract.firestore import FirestoreBackend
from tests.unit.builders import NOW, dispatched, plan, run

PLAN = plan(dates=2)


@pytest.fixture
def backend(firestore_emulator: object) -> FirestoreBackend:
    """A state without a run."""
    return FirestoreBackend()


def write(state: State, run_id: str, clock: timedelta) -> None:
    """Write a run, by a clock that is wrong by so much."""
    made = run(run_id=run_id, created_at=NOW + clock)
    assert state.create_run(made, PLAN, Board.blank(run_id, compile_plan(PLAN), made.created_at))


def goes_on(state: State, run_id: str) -> bool:
    """Whether the starter of a run that it has written goes on with it."""
    try:
        withdraw_if_later(state, state.run(run_id), PLAN)
    except InputError:
        return False
    return True


SKEWS = [timedelta(seconds=-5), timedelta(0), timedelta(seconds=5)]


@pytest.mark.parametrize("skew", SKEWS, ids=["behind", "right", "ahead"])
@pytest.mark.parametrize("second", ["a", "z"])
def test_one_that_was_written_after_the_other_had_looked_withdraws_whatever_its_clock_says(
    backend: FirestoreBackend, second: str, skew: timedelta
) -> None:
    here, there = backend.state, backend.beside()
    require_alone(here, PLAN, NOW)
    require_alone(there, PLAN, NOW)
    write(here, "m", timedelta(0))
    assert goes_on(here, "m")
    write(there, second, skew)
    assert not goes_on(there, second)
    assert here.run("m").admits
    assert there.run(second).desired_state is DesiredState.CANCELLED


@pytest.mark.parametrize("skew", SKEWS, ids=["behind", "right", "ahead"])
def test_of_two_at_the_same_moment_exactly_one_goes_on(backend: FirestoreBackend, skew: timedelta) -> None:
    written = Barrier(2)

    def begin(run_id: str, clock: timedelta) -> bool:
        state = backend.beside()
        require_alone(state, PLAN, NOW)
        written.wait(30)
        write(state, run_id, clock)
        return goes_on(state, run_id)

    with ThreadPoolExecutor() as both:
        ends = [both.submit(begin, "a", timedelta(0)), both.submit(begin, "z", skew)]
    assert sorted(end.result() for end in ends) == [False, True]


def halted_at_work(state: State, *, claimed: bool) -> AttemptKey:
    """The run ``h`` halted while an attempt waited in its queue, or was with a worker."""
    write(state, "h", timedelta(0))
    key = AttemptKey(PLAN.days[0], "fetch", "a", 1)
    state.record("h", [(key, dispatched())])
    if claimed:
        state.claim("h", [ClaimRequest(key, 1, 1, (), NOW + timedelta(minutes=5))], NOW)
    board, version = state.board("h")
    board.set_letter(state.index("h").groups[0].name, 0, BoardLetter.RELEASED)
    board.status, board.halted_because = RunStatus.HALTED, "it reads too much"
    assert state.commit("h", board, version, {})
    return key


@pytest.mark.parametrize("claimed", [True, False], ids=["with a worker", "in a queue"])
def test_a_run_that_halted_is_in_the_way_of_others_while_its_work_goes_on(
    backend: FirestoreBackend, claimed: bool
) -> None:
    state, key = backend.state, halted_at_work(backend.state, claimed=claimed)
    said = f"run 'h' halted with work still under way and has fetch/a on 1 of these dates, {key.day} to {key.day}"
    with pytest.raises(InputError, match=said):
        require_alone(state, PLAN, NOW)
    write(state, "over", timedelta(0))
    with pytest.raises(InputError, match=said):
        require_alone_again(state, "over", lambda: PLAN.days, NOW)
    require_alone_again(state, "over", lambda: PLAN.days[1:], NOW)
    cancel(state, "over")
    cancel(state, "h")
    require_alone(state, PLAN, NOW)


def test_a_claim_of_a_run_that_halted_is_in_nobodys_way_when_its_lease_ran_out(backend: FirestoreBackend) -> None:
    halted_at_work(backend.state, claimed=True)
    require_alone(backend.state, PLAN, NOW + timedelta(minutes=5))


@pytest.mark.parametrize("claimed", [True, False], ids=["with a worker", "in a queue"])
def test_nothing_is_rolled_back_under_the_work_of_a_run_that_halted(backend: FirestoreBackend, claimed: bool) -> None:
    key = halted_at_work(backend.state, claimed=claimed)

    def refuse(now: datetime, *days: date) -> None:
        scope = Scope(PLAN.pipeline, Calendar.of(PLAN.calendar), ("fetch",), ("fetch/a",), days)
        require_free(scope, backend.state, now, claims_die_with_us=False)

    said = "is still under way and may write until" if claimed else "waits in its queue; let it come to its end, or"
    with pytest.raises(InputError, match=f"run 'h' halted, but {key} {said}"):
        refuse(NOW, *PLAN.days)
    refuse(NOW, PLAN.days[1])
    if claimed:
        refuse(NOW + timedelta(minutes=5), *PLAN.days)
    else:
        cancel(backend.state, "h")
        refuse(NOW, *PLAN.days)
