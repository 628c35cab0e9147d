"""A sweep stands for the tasks that ask for the same one: they do not queue up behind a sweep that takes long."""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from cachetools import LRUCache

RUNS_KEPT = 1024
"""Runs whose last sweep is remembered."""

LONGEST_SWEEP = timedelta(minutes=10)
"""How long a request to the sweeper may take (``infra/terraform/functions.tf``): one that began earlier has died."""


@dataclass(slots=True)
class _Sweep:
    began: datetime
    """When it began, UTC."""

    is_over: bool = False
    """Whether it has ended, and well."""


class SweepsMade:
    """The last sweep of each run in this process, as long as it goes on or when it ended well. Thread-safe.

    No sweep is lost: what ended well had begun when it was asked for, or later, and saw all that was to be seen; while
    one goes on the next minute asks again; and one that dies is delivered anew. Another process knows nothing of it and
    sweeps once more.
    """

    def __init__(self) -> None:
        self._last: LRUCache[str, _Sweep] = LRUCache(RUNS_KEPT)
        self._turn = threading.Lock()

    def begin(self, run_id: str, asked_at: datetime, now: datetime) -> bool:
        """Tell whether a run is to be swept now; then ``end`` follows. asked_at: when the sweep was asked for, UTC."""
        with self._turn:
            last = self._last.get(run_id)
            if last is not None:
                stands = last.began >= asked_at if last.is_over else now - last.began < LONGEST_SWEEP
                if stands:
                    return False
            self._last[run_id] = _Sweep(now)
            return True

    def end(self, run_id: str, began: datetime, *, is_well: bool) -> None:
        """Note the end of the sweep that began at this moment."""
        with self._turn:
            last = self._last.get(run_id)
            if last is None or last.began != began:
                return
            if is_well:
                last.is_over = True
            else:
                del self._last[run_id]
