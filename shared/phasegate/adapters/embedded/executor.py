"""An executor makes the calls of workers: with threads in the product, in virtual time in simulations."""

import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from phasegate.adapters.embedded.clock import VirtualClock
from phasegate.domain.foreign_text import told
from phasegate.ports import Clock

Job = TypeVar("Job")
Result = TypeVar("Result")


class Executor(Protocol[Job, Result]):
    """An executor runs jobs beside the engine's loop."""

    @property
    def room(self) -> int:
        """Return how many more jobs may be submitted now."""

    @property
    def busy(self) -> int:
        """Return how many jobs were submitted and not collected."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Start jobs, in order, as threads become free."""

    def collect(self) -> list[tuple[Job, Result]]:
        """Return the jobs that ended since the last call, with their results. Raises what a job raised."""

    def take_back(self) -> list[Job]:
        """Return the jobs that were submitted and have not begun: they never will."""

    def wait(self, until: datetime | None) -> None:
        """Return when a job has ended, or at ``until`` (None: no such moment), at the latest after a quarter second."""

    def close(self) -> None:
        """Let running jobs end."""


AHEAD_SECONDS = 0.05
"""Work that a thread may have waiting: a turn of the engine then serves many short calls with one commit, and what
is claimed is begun soon after."""

MOST_AHEAD = 32

LONGEST_WAIT = timedelta(milliseconds=250)


class ThreadExecutor(Generic[Job, Result]):
    """This executor has a fixed number of threads, with a queue before and after them."""

    def __init__(self, execute: Callable[[Job], Result], threads: int, clock: Clock) -> None:
        self._execute, self._clock = execute, clock
        self._waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[Job, Result] | BaseException] = queue.SimpleQueue()
        self._ready: list[tuple[Job, Result] | BaseException] = []
        self._busy = 0
        self._seconds_per_job = AHEAD_SECONDS
        self._threads = [threading.Thread(target=self._work, name=f"worker-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            begun = time.perf_counter()
            try:
                self._ended.put((job, self._execute(job)))
                self._seconds_per_job += 0.05 * (time.perf_counter() - begun - self._seconds_per_job)
            except BaseException as error:
                self._ended.put(error)

    @property
    def room(self) -> int:
        """See the protocol: one call per thread, and more when calls are short."""
        ahead = min(MOST_AHEAD, max(1, int(AHEAD_SECONDS / max(self._seconds_per_job, 1e-6))))
        return len(self._threads) * ahead - self._busy

    @property
    def busy(self) -> int:
        """See the protocol."""
        return self._busy

    def submit(self, jobs: Sequence[Job]) -> None:
        """See the protocol."""
        self._busy += len(jobs)
        for job in jobs:
            self._waiting.put(job)

    def collect(self) -> list[tuple[Job, Result]]:
        """See the protocol."""
        ended, self._ready = self._ready, []
        while not self._ended.empty():
            ended.append(self._ended.get_nowait())
        self._busy -= len(ended)
        done: list[tuple[Job, Result]] = []
        for item in ended:
            if isinstance(item, Exception):
                raise item
            if isinstance(item, BaseException):
                # Raised here as it is, it could end this process with status 0.
                raise RuntimeError(f"a call ended with {told(item)}") from item
            done.append(item)
        return done

    def take_back(self) -> list[Job]:
        """See the protocol."""
        taken: list[Job] = []
        while not self._waiting.empty():
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                break
            if job is not None:
                taken.append(job)
        self._busy -= len(taken)
        return taken

    def wait(self, until: datetime | None) -> None:
        """See the protocol."""
        longest = LONGEST_WAIT if until is None else min(LONGEST_WAIT, until - self._clock.now())
        try:
            self._ready.append(self._ended.get(timeout=max(0.0005, longest.total_seconds())))
        except queue.Empty:
            return

    def close(self) -> None:
        """See the protocol."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(timeout=30)


class VirtualExecutor(Generic[Job, Result]):
    """This executor runs jobs one after the other on a virtual clock: each ends after ``duration(job)``, and not
    before.
    """

    def __init__(
        self,
        execute: Callable[[Job], Result],
        clock: VirtualClock,
        duration: Callable[[Job], timedelta],
        capacity: int = 64,
    ) -> None:
        self._execute, self._clock, self._duration, self._capacity = execute, clock, duration, capacity
        self._order = itertools.count()
        self._running: list[tuple[datetime, int, Job]] = []

    @property
    def room(self) -> int:
        """See the protocol."""
        return self._capacity - len(self._running)

    @property
    def busy(self) -> int:
        """See the protocol."""
        return len(self._running)

    def submit(self, jobs: Sequence[Job]) -> None:
        """See the protocol."""
        for job in jobs:
            heapq.heappush(self._running, (self._clock.now() + self._duration(job), next(self._order), job))

    def collect(self) -> list[tuple[Job, Result]]:
        """See the protocol."""
        done: list[tuple[Job, Result]] = []
        while self._running and self._running[0][0] <= self._clock.now():
            job = heapq.heappop(self._running)[2]
            done.append((job, self._execute(job)))
        return done

    def take_back(self) -> list[Job]:
        """See the protocol: everything submitted has begun."""
        return []

    def wait(self, until: datetime | None) -> None:
        """Go to the next moment at which something happens."""
        moments = [self._running[0][0]] if self._running else []
        if until is not None:
            moments.append(until)
        if moments:
            self._clock.move_to(min(moments))

    def close(self) -> None:
        """See the protocol: what runs never ends."""
        self._running.clear()
