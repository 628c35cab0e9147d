"""Two starters on two machines begin runs over the same dates at the same moment: one of them goes on, on Firestore."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from phasegate.domain.errors import InputError
from phasegate.domain.plan import compile_plan
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import DesiredState
from phasegate.ports import State
from phasegate.services.starting.alongside import require_alone, withdraw_if_later
from tests.contract.firestore import FirestoreBackend
from tests.unit.builders import NOW, plan, run

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
    require_alone(here, PLAN)
    require_alone(there, PLAN)
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
        require_alone(state, PLAN)
        written.wait(30)
        write(state, run_id, clock)
        return goes_on(state, run_id)

    with ThreadPoolExecutor() as both:
        ends = [both.submit(begin, "a", timedelta(0)), both.submit(begin, "z", skew)]
    assert sorted(end.result() for end in ends) == [False, True]
