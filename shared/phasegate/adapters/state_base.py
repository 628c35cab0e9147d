"""Both stores of state keep compiled plans, tell requests for the same claim apart, and name the runs that somebody may
have meant."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from cachetools import LRUCache, cached

from phasegate.adapters.state_codec import readable
from phasegate.domain.errors import UnknownRun, UnreadableRun
from phasegate.domain.plan import FIRST, Plan, PlanIndex, PlanScope, compile_plan
from phasegate.domain.spec.pipeline import did_you_mean
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import AttemptKey
from phasegate.domain.state.listed import ListedRun
from phasegate.domain.state.run import Run, UnreadableDocument
from phasegate.ports import ClaimRequest

PLANS_KEPT = 64
"""Compiled plans that a process keeps, those last asked for.

The sweeper visits all unfinished runs in turn: with fewer places than runs, each plan would be gone when its turn comes
again. One of 52 processors on the 1,020 dates of six seasons takes 1.5 MB and 25 ms (measured), a season's 0.5 MB; so
many are at most 100 MB of the 1 GB that a function has.
"""


def first_requests(requests: Iterable[ClaimRequest]) -> dict[AttemptKey, ClaimRequest]:
    """Return the requests for claims by attempt, in order: of two for the same attempt the first."""
    first: dict[AttemptKey, ClaimRequest] = {}
    for request in requests:
        first.setdefault(request.key, request)
    return first


_Generation = tuple[str, str]
"""A run, and the name of a generation of its plan."""


class StateBase(ABC):
    """A state base is a ``State``, but for where it lies. Plans may be asked for by several threads."""

    def __init__(self) -> None:
        # Of threads that ask for a plan which is not kept, one reads, or compiles, it; the others wait for it.
        self._plans = cached(LRUCache[_Generation, Plan](PLANS_KEPT), condition=threading.Condition())(self._read_plan)
        self._kept = cached(LRUCache[_Generation, PlanIndex](PLANS_KEPT), condition=threading.Condition())(
            self._compiled
        )

    def _compiled(self, run_id: str, name: str) -> PlanIndex:
        plan = self._plans(run_id, name)
        return readable("plan", run_id, lambda: compile_plan(plan))

    @abstractmethod
    def _read_plan(self, run_id: str, name: str) -> Plan:
        """A generation of the stored plan. Raises UnknownRun, and UnreadableRun for one that cannot be read or is not
        there."""

    @abstractmethod
    def _standing(self, run_id: str) -> str:
        """The generation that the run's board stands by; the first, where there is no board that says so."""

    @abstractmethod
    def every_run(self) -> list[Run | UnreadableDocument]:
        """See the port."""

    @abstractmethod
    def _newest_runs(self) -> Sequence[str]:
        """Ids of the newest runs, as many as somebody may have meant."""

    def index(self, run_id: str, name: str | None = None) -> PlanIndex:
        """See the port; a generation never changes, so that a process reads and compiles it once."""
        return self._kept(run_id, self._standing(run_id) if name is None else name)

    def plan(self, run_id: str, name: str | None = None) -> Plan:
        """See the port."""
        return self._plans(run_id, self._standing(run_id) if name is None else name)

    def scope(self, run_id: str) -> PlanScope:
        """See the port."""
        return self.plan(run_id, FIRST).scope

    def listed_runs(self) -> list[ListedRun | UnreadableDocument]:
        """See the port."""
        return [self._listed(run) if isinstance(run, Run) else run for run in self.every_run()]

    def _listed(self, run: Run) -> ListedRun | UnreadableDocument:
        try:
            return ListedRun(run, self.board(run.run_id)[0], self.scope(run.run_id))
        except UnreadableRun as error:
            return UnreadableDocument(run.run_id, str(error), run.pipeline, run.source)

    @abstractmethod
    def board(self, run_id: str) -> tuple[Board, int]:
        """See the port."""

    def runs(self) -> list[Run]:
        """See the port."""
        return [run for run in self.every_run() if isinstance(run, Run)]

    def _unknown(self, run_id: str) -> UnknownRun:
        hint = did_you_mean(run_id, self._newest_runs()) or "; there are no runs here yet"
        return UnknownRun(f"unknown run '{run_id}'{hint}")
