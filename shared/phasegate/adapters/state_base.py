"""Both stores of state keep compiled plans, and name the runs that somebody may have meant."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence

from cachetools import LRUCache, cached

from phasegate.domain.errors import UnknownRun
from phasegate.domain.plan import Plan, PlanIndex, compile_plan
from phasegate.domain.spec.pipeline import did_you_mean

PLANS_KEPT = 64
"""Compiled plans that a process keeps, those last asked for.

The sweeper visits all unfinished runs in turn: with fewer places than runs, each plan would be gone when its turn comes
again. One of 52 processors on the 1,020 dates of six seasons takes 1.5 MB and 25 ms (measured), a season's 0.5 MB; so
many are at most 100 MB of the 1 GB that a function has.
"""


class StateBase(ABC):
    """A state base is a ``State``, but for where it lies. Plans may be asked for by several threads."""

    def __init__(self) -> None:
        # Of threads that ask for a plan which is not kept, one reads and compiles it; the others wait for it.
        self._kept = cached(LRUCache[str, PlanIndex](PLANS_KEPT), key=str, condition=threading.Condition())(
            lambda run_id: compile_plan(self._read_plan(run_id))
        )

    @abstractmethod
    def _read_plan(self, run_id: str) -> Plan:
        """The stored plan. Raises UnknownRun, and InputError for one of another version."""

    @abstractmethod
    def _newest_runs(self) -> Sequence[str]:
        """Ids of the newest runs, as many as somebody may have meant."""

    def index(self, run_id: str) -> PlanIndex:
        """See the port; a plan never changes, so that a process reads and compiles it once."""
        return self._kept(run_id)

    def plan(self, run_id: str) -> Plan:
        """See the port."""
        return self.index(run_id).plan

    def _unknown(self, run_id: str) -> UnknownRun:
        hint = did_you_mean(run_id, self._newest_runs()) or "; there are no runs here yet"
        return UnknownRun(f"unknown run '{run_id}'{hint}")
