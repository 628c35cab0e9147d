"""Compiled plans are kept by whoever reads them: once for each run, for all threads of a process."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from phasegate.adapters.state_base import PLANS_KEPT, StateBase
from phasegate.domain.errors import UnknownRun
from phasegate.domain.plan import Plan
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import Run, UnreadableDocument
from tests.unit.builders import plan

THREADS = 8


class Plans(StateBase):
    """A store of one-date plans, named by their runs, that counts how often each is read."""

    def __init__(self, runs: int, *, meanwhile: Callable[[str], None] = lambda _: None) -> None:
        super().__init__()
        self.ids = [f"r{number}" for number in range(runs)]
        self.read: Counter[str] = Counter()
        self._frozen = plan(dates=1)
        self._meanwhile = meanwhile

    def _standing(self, run_id: str) -> str:
        return ""

    def _read_plan(self, run_id: str, name: str) -> Plan:
        if run_id not in self.ids:
            raise self._unknown(run_id)
        self.read[run_id] += 1
        self._meanwhile(run_id)
        return self._frozen.model_copy(update={"code_version": run_id})

    def every_run(self) -> list[Run | UnreadableDocument]:
        raise NotImplementedError

    def board(self, run_id: str) -> tuple[Board, int]:
        raise NotImplementedError

    def _newest_runs(self) -> list[str]:
        return self.ids


def ask(plans: Plans, run_id: str) -> str:
    """The run that the plan of a run is of."""
    return plans.index(run_id).plan.code_version


@pytest.mark.parametrize("runs", [1, 9, PLANS_KEPT])
def test_runs_that_take_turns_have_their_plans_compiled_once(runs: int) -> None:
    plans = Plans(runs)
    for run_id in plans.ids * 3:
        assert ask(plans, run_id) == run_id
    assert plans.read == dict.fromkeys(plans.ids, 1)


def test_of_more_plans_than_are_kept_those_last_asked_for_stay() -> None:
    plans = Plans(PLANS_KEPT + 1)
    for run_id in plans.ids:
        ask(plans, run_id)
    for run_id in plans.ids[1:]:
        ask(plans, run_id)
    assert plans.read == dict.fromkeys(plans.ids, 1)
    ask(plans, plans.ids[0])
    assert plans.read[plans.ids[0]] == 2


def test_threads_that_ask_for_the_same_plan_have_it_compiled_once() -> None:
    plans, together = Plans(1), threading.Barrier(THREADS)

    def asking(_: int) -> str:
        together.wait()
        return ask(plans, "r0")

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(asking, range(THREADS))) == ["r0"] * THREADS
    assert plans.read == {"r0": 1}


def test_a_thread_does_not_wait_for_the_plan_of_another_run() -> None:
    other = threading.Event()
    plans = Plans(2, meanwhile=lambda run_id: None if run_id == "r1" else _require(other.wait(30)))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, plans, "r0")
        assert ask(plans, "r1") == "r1"
        other.set()
        assert slow.result() == "r0"


def _require(came: bool) -> None:
    assert came, "the plan of the other run was not there in time"


def test_threads_that_ask_for_more_plans_than_are_kept_all_get_theirs() -> None:
    plans = Plans(PLANS_KEPT + THREADS)
    orders = [[plans.ids[(n * (turn + 1)) % len(plans.ids)] for n in range(300)] for turn in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda order: [ask(plans, run_id) for run_id in order], orders))
    assert found == orders


def test_a_run_that_is_not_there_yet_is_found_once_it_is() -> None:
    plans = Plans(0)
    with pytest.raises(UnknownRun, match="unknown run 'r0'; there are no runs here yet"):
        plans.plan("r0")
    plans.ids.append("r0")
    assert ask(plans, "r0") == "r0"
