"""An executor makes the calls of workers: with threads in the product, in virtual time in simulations."""

import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar, cast

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

    @property
    def places(self) -> int:
        """Return how many jobs can run at once."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Start jobs, in order, as threads become free."""

    def collect(self) -> list[tuple[Job, Result]]:
        """Return the jobs that ended since the last call, with their results. Raises what a job raised."""

    def take_back(self) -> list[Job]:
        """Return the jobs that were submitted and have not begun: they never will."""

    def overdue(self) -> list[Job]:
        """Return the jobs that have passed their deadline since the last call. They are not waited for any more, and
        others take their place; one that ends after all is collected.
        """

    def wait(self, until: datetime | None) -> None:
        """Return when a job has ended, or at ``until`` (None: no such moment), at the latest after a quarter second."""

    def close(self) -> None:
        """Let running jobs end that have not passed their deadline, and begin no other."""


AHEAD_SECONDS = 0.05
"""Work that a thread may have waiting: a turn of the engine then serves many short calls with one commit, and what
is claimed is begun soon after."""

MOST_AHEAD = 64
"""Jobs that a thread may have waiting, however short they are. Their claims run meanwhile: should the next calls take
much longer than the last, so many of them must still come to their turn within a timeout."""

LONGEST_WAIT = timedelta(milliseconds=250)

CLOSING_SECONDS = 30.0
"""How long closing waits at most for all running jobs, which may have their deadlines far ahead."""


CALL_THREAD = "phasegate-call"
"""How the names of the threads that call workers begin."""


def has_call_threads() -> bool:
    """Tell whether a thread that calls workers lives in this process. Where every executor is closed, it does so in a
    call that hangs, which nothing can end.
    """
    return any(thread.name.startswith(CALL_THREAD) for thread in threading.enumerate())


class _Place(threading.Thread, Generic[Job, Result]):
    """A place is a thread that runs jobs, until it is told to end, or until another one has taken its place."""

    def __init__(self, number: int, work: "Callable[[_Place[Job, Result]], None]") -> None:
        super().__init__(name=f"{CALL_THREAD}-{number}", daemon=True)
        self._work = work
        self.running: tuple[Job, float] | None = None
        """The job that it runs, and when it began, on the monotonic clock."""
        self.is_replaced = False
        """Its job passed the deadline; another thread works in its place."""

    def run(self) -> None:
        self._work(self)


class ThreadExecutor(Generic[Job, Result]):
    """This executor has a fixed number of threads, with a queue before and after them. A thread whose job has passed
    its deadline is replaced: a call of foreign code cannot be ended.

    allowed: how long a job may run. That is its deadline, on the monotonic clock, from the moment at which it begins.
    """

    def __init__(
        self, execute: Callable[[Job], Result], threads: int, clock: Clock, allowed: Callable[[Job], timedelta]
    ) -> None:
        self._execute, self._clock, self._allowed = execute, clock, allowed
        self._waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[Job, Result | None, BaseException | None]] = queue.SimpleQueue()
        self._ready: list[tuple[Job, Result | None, BaseException | None]] = []
        self._busy = 0
        self._overdue: set[int] = set()
        self._seconds_per_job = AHEAD_SECONDS
        self._numbers = itertools.count()
        self._places: list[_Place[Job, Result]] = []
        self._size = threads
        for _ in range(threads):
            self._add_place()

    def _add_place(self) -> None:
        place = _Place(next(self._numbers), self._work)
        self._places.append(place)
        place.start()

    def _work(self, place: "_Place[Job, Result]") -> None:
        while not place.is_replaced and (job := self._waiting.get()) is not None:
            begun = time.monotonic()
            place.running = job, begun
            result: Result | None = None
            problem: BaseException | None = None
            try:
                result = self._execute(job)
            except BaseException as error:
                problem = error
            place.running = None
            if not place.is_replaced:
                self._seconds_per_job += 0.05 * (time.monotonic() - begun - self._seconds_per_job)
            self._ended.put((job, result, problem))

    @property
    def room(self) -> int:
        """See the protocol: one call per thread, and more when calls are short."""
        ahead = min(MOST_AHEAD, max(1, int(AHEAD_SECONDS / max(self._seconds_per_job, 1e-6))))
        return self._size * ahead - self._busy

    @property
    def busy(self) -> int:
        """See the protocol."""
        return self._busy

    @property
    def places(self) -> int:
        """See the protocol: the threads."""
        return self._size

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
        for job, _, _ in ended:
            if id(job) in self._overdue:
                self._overdue.remove(id(job))
            else:
                self._busy -= 1
        done: list[tuple[Job, Result]] = []
        for job, result, problem in ended:
            if isinstance(problem, Exception):
                raise problem
            if problem is not None:
                # Raised here as it is, it could end this process with status 0.
                raise RuntimeError(f"a call ended with {told(problem)}") from problem
            done.append((job, cast("Result", result)))
        return done

    def overdue(self) -> list[Job]:
        """See the protocol."""
        passed: list[Job] = []
        now = time.monotonic()
        for place in self._places:
            # Read once, as the place goes on meanwhile: what it runs next, if it does, is looked at by the next call.
            if (running := place.running) is None:
                continue
            job, begun = running
            if now - begun >= self._allowed(job).total_seconds() and id(job) not in self._overdue:
                place.is_replaced = True
                passed.append(job)
        for job in passed:
            self._overdue.add(id(job))
            self._busy -= 1
            self._add_place()
        self._places = [place for place in self._places if place.is_alive()]
        return passed

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
        self.take_back()
        for _ in self._places:
            self._waiting.put(None)
        give_up = time.monotonic() + CLOSING_SECONDS
        for place in self._places:
            while not place.is_replaced and place.is_alive() and (left := self._left(place, give_up)) > 0:
                place.join(timeout=left)

    def _left(self, place: _Place[Job, Result], give_up: float) -> float:
        """Seconds for which a thread is still waited for when everything closes."""
        ends = give_up
        # Read once, as the place goes on meanwhile.
        if (running := place.running) is not None:
            job, begun = running
            ends = min(give_up, begun + self._allowed(job).total_seconds())
        return ends - time.monotonic()


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

    @property
    def places(self) -> int:
        """See the protocol."""
        return self._capacity

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

    def overdue(self) -> list[Job]:
        """See the protocol: in virtual time every job ends."""
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
