"""The engine stands in for Cloud Tasks' delivery, Pub/Sub's push and Cloud Scheduler in embedded mode: it calls the
services.

One loop, one thread beside the workers' threads. It decides nothing about a run: it delivers what is due.
"""

import gc
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import Generic, Protocol, TypeVar

from phasegate import telemetry
from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.events import SqliteEvents
from phasegate.adapters.embedded.executor import Executor
from phasegate.adapters.embedded.tasks import SqliteTasks
from phasegate.domain.errors import HaltError, TransientError
from phasegate.domain.messages.completion import CallEnd
from phasegate.domain.protocol.worker import ResultStatus
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import DesiredState, Run
from phasegate.domain.state.time_spent import CALLS, NOTHING, THREADS, TimeSpent
from phasegate.ports import Clock, QueueTask
from phasegate.ports.events import Message

SWEEP_EVERY = timedelta(seconds=20)

LIMIT_ASKED_EVERY = 1.0
"""Seconds between two looks at which limit holds dates back: it takes a look at all of them."""

SWEEP_SHARE = 10
"""A sweep takes at most about one part in so many of the time, however many dates it reads."""

CONTROL_EVERY = timedelta(seconds=1)
"""How long dispatches and passes of the conductor wait at most while threads have other work: what settles meanwhile is
proved together, and many dates' proofs cost hardly more than one date's."""

EVENTS_AT_ONCE = 500
PROGRESS_EVERY = timedelta(milliseconds=150)
SHOWN = 3
"""Calls under way, and failed ones, that a progress report names."""

MOST_HANGING = 8
"""Calls past their deadline at once, each of which holds a thread, before the run halts."""

Call = TypeVar("Call")


class Handlers(Protocol[Call]):
    """Handlers are the services, as the engine calls them."""

    def claim(self, tasks: Sequence[QueueTask]) -> list[Call | None]:
        """Return the call to make for each task, or None where there is none to make."""

    def describe(self, call: Call) -> str:
        """Return a call in a few words."""

    def abandon(self, calls: Sequence[Call]) -> None:
        """Give up claimed calls that will not be made."""

    def finish(self, ended: Sequence[tuple[Call, CallEnd]]) -> None:
        """Report what became of calls."""

    def listen(self, messages: Sequence[Message]) -> None:
        """Take completion events."""

    def control(self, task: QueueTask) -> None:
        """Handle a task of the dispatch or the conductor's queue."""

    def sweep(self, run_id: str) -> None:
        """Reconcile a run that no message is about."""

    def limit_reached(self, run_id: str) -> str | None:
        """Name the limit that alone holds dates of a run back; None: there is none."""

    def run(self, run_id: str) -> Run:
        """Return the run as people want it now."""

    def board(self, run_id: str) -> Board:
        """Return the run as it stands."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A progress report holds what the live display may show."""

    ended: int
    """Tasks that ended so far in this process."""
    running: int
    """Calls under way."""
    board: Board
    """The board as it stands."""
    working: tuple[str, ...] = ()
    """Names of some calls under way."""
    failing: tuple[str, ...] = ()
    """What the last failed calls said, newest first."""
    overdue: tuple[str, ...] = ()
    """Names of the calls that have passed their deadline and have not ended."""


class Engine(Generic[Call]):
    """The engine drives one run until it comes to its end, waits for a person, is told to stop, or cannot go on.

    work_queues: in order of preference; what stands first is served first while threads are few.
    atomic_turns: whether a turn's writes are one transaction (fast) or each is its own (as on a cloud; used in tests).
    """

    def __init__(
        self,
        run_id: str,
        database: Database,
        tasks: SqliteTasks,
        events: SqliteEvents,
        executor: Executor[Call, CallEnd],
        handlers: Handlers[Call],
        clock: Clock,
        *,
        control_queues: Sequence[str],
        work_queues: Sequence[str],
        atomic_turns: bool = True,
    ) -> None:
        self._run_id, self._database, self._tasks, self._events = run_id, database, tasks, events
        self._executor, self._handlers, self._clock = executor, handlers, clock
        self._control, self._work, self._atomic_turns = control_queues, work_queues, atomic_turns
        self._calls: dict[int, tuple[Call, QueueTask]] = {}
        self._overdue: dict[int, Call] = {}
        self._failing: deque[str] = deque(maxlen=SHOWN)
        self._seen = -1
        self._sweep_at = self._control_at = clock.now()
        self._limit: tuple[float, str | None] = (-LIMIT_ASKED_EVERY, None)
        self.ended = 0
        """Attempts that ended so far."""
        self.spent = TimeSpent()
        """Where the time of this drive went so far."""

    def drive(
        self,
        *,
        stop: Callable[[], bool] = lambda: False,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> Board:
        """Go on until the run is at rest, or drained, or ``stop()`` says so; running calls are waited for.

        Raises what a handler raises, and HaltError when too many calls hang: the state is consistent then, and the next
        start goes on.
        """
        with _rare_collections(), telemetry.timing_proofs() as proofs:
            return self._drive(stop, progress, proofs)

    def _drive(
        self, stop: Callable[[], bool], progress: Callable[[Progress], None], proofs: telemetry.StopWatch
    ) -> Board:
        shown_at: datetime | None = None
        turned_at, proved = time.perf_counter(), proofs.seconds
        while True:
            is_stopping = stop()
            moved = self._turn(is_stopping)
            board, run = self._handlers.board(self._run_id), self._handlers.run(self._run_id)
            now = self._clock.now()
            if shown_at is None or now - shown_at >= PROGRESS_EVERY:
                shown_at = now
                working = tuple(self._handlers.describe(call) for call, _ in islice(self._calls.values(), SHOWN))
                overdue = tuple(map(self._handlers.describe, self._overdue.values()))
                progress(Progress(self.ended, self._executor.busy, board, working, tuple(self._failing), overdue))
            # A waiver may have ended while the run waited: the conductor that the first sweep woke sees that.
            is_resting = board.is_over(run) or (board.is_at_rest(run) and self._tasks.next_at(self._control) is None)
            is_leaving = is_stopping or run.desired_state is DesiredState.DRAINING or is_resting
            if is_leaving and not self._executor.busy and not moved:
                progress(Progress(self.ended, 0, board))
                return board
            if not moved:
                waits_for, until = self._waits_for(), self._next_moment(run.admits and not is_stopping)
            worked_until = time.perf_counter()
            self.spent.work_here(worked_until - turned_at, proofs.seconds - proved)
            turned_at, proved = worked_until, proofs.seconds
            if not moved:
                self._executor.wait(until)
                turned_at = time.perf_counter()
                self.spent.wait(waits_for, turned_at - worked_until)

    def _waits_for(self) -> str:
        """What the engine waits for while it has nothing to do."""
        if self._executor.busy >= self._executor.places:
            return THREADS
        if (held_back_by := self._tasks.held_back_by(self._work)) is not None:
            return held_back_by
        now = time.perf_counter()
        if now >= self._limit[0] + LIMIT_ASKED_EVERY:
            self._limit = now, self._handlers.limit_reached(self._run_id)
        return self._limit[1] or (CALLS if self._executor.busy else NOTHING)

    def _turn(self, is_stopping: bool) -> bool:
        """Deliver everything that is due now; whether anything was."""
        with self._group():
            moved = self._take_results()
            moved |= self._give_up_overdue()
            moved |= self._deliver_events()
            moved |= self._notice_changes()
            if is_stopping or not self._control_may_wait():
                moved |= self._deliver_control()
            run = self._handlers.run(self._run_id)
            calls: list[Call] = []
            if run.admits and not is_stopping:
                calls = self._claim()
            elif unstarted := self._executor.take_back():
                self._handlers.abandon(unstarted)
                self._acknowledge(unstarted)
                moved = True
        self._executor.submit(calls)
        return moved or bool(calls)

    def _group(self) -> AbstractContextManager[None]:
        return self._database.transaction() if self._atomic_turns else nullcontext()

    def _notice_changes(self) -> bool:
        """Sweep at the start, from time to time, and when another process wrote (a pause, a retry, a limit).

        Returns whether another one wrote since the last look; at the start that is not known, and taken to be so.
        """
        now, seen = self._clock.now(), self._database.changed_elsewhere()
        if seen == self._seen and now < self._sweep_at:
            return False
        has_changed, self._seen = self._seen != seen, seen
        self._handlers.sweep(self._run_id)
        swept_at = self._clock.now()
        self._sweep_at = swept_at + max(SWEEP_EVERY, SWEEP_SHARE * (swept_at - now))
        return has_changed

    def _take_results(self) -> bool:
        results = self._executor.collect()
        if not results:
            return False
        self._handlers.finish(results)
        for _, end in results:
            for c in end.completions:
                if c.status is ResultStatus.FAILED:
                    self._failing.appendleft(f"{c.date} {c.processor}: {c.message}")
            self.ended += len(end.completions)
            self.spent.call(end.attempts, end.seconds)
        self._acknowledge([call for call, _ in results])
        return True

    def _give_up_overdue(self) -> bool:
        """Wait no more for calls that have passed their deadline: the sweep ends their attempts with their leases.

        Raises HaltError when too many hang: each holds a thread, which nothing can end.
        """
        passed = self._executor.overdue()
        for call in passed:
            self._overdue[id(call)] = call
            self._tasks.acknowledge([self._calls[id(call)][1]])
        if len(self._overdue) >= MOST_HANGING:
            named = ", ".join(map(self._handlers.describe, self._overdue.values()))
            raise HaltError(
                f"{len(self._overdue)} calls have passed their deadline and hang: {named}; mend the worker, or give it "
                f"a longer timeout_seconds, then: phasegate resume {self._run_id}"
            )
        return bool(passed)

    def _acknowledge(self, calls: Sequence[Call]) -> None:
        ended = [self._calls.pop(id(call))[1] for call in calls if id(call) not in self._overdue]
        for call in calls:
            if self._overdue.pop(id(call), None) is not None:
                del self._calls[id(call)]
        self._tasks.acknowledge(ended)

    def _deliver_events(self) -> bool:
        waiting = self._events.waiting(EVENTS_AT_ONCE)
        if waiting:
            self._handlers.listen([message for _, message in waiting])
            self._events.acknowledge([event_id for event_id, _ in waiting])
        return bool(waiting)

    def _control_may_wait(self) -> bool:
        """Whether threads have work anyway, and a pass was made not long ago. Without a pass no date is admitted."""
        now = self._clock.now()
        if now >= self._control_at or (at := self._tasks.next_at(self._work)) is None or at > now:
            return False
        return self._handlers.run(self._run_id).admits

    def _deliver_control(self) -> bool:
        leased = self._tasks.lease(self._control, 100)
        if leased:
            self._control_at = self._clock.now() + CONTROL_EVERY
        alike: dict[tuple[str, str], list[QueueTask]] = {}
        for task in leased:
            alike.setdefault((task.queue, task.payload), []).append(task)
        for tasks in alike.values():
            try:
                # Of wake-ups that have gathered, one stands for all: they came before what it does.
                self._handlers.control(tasks[0])
            except TransientError:
                for task in tasks:
                    self._tasks.give_back(task)
            else:
                self._tasks.acknowledge(tasks)
        return bool(leased)

    def _claim(self) -> list[Call]:
        leased = self._tasks.lease(self._work, self._executor.room)
        if not leased:
            return []
        calls = self._handlers.claim(leased)
        self._tasks.acknowledge([t for t, c in zip(leased, calls, strict=True) if c is None])
        for task, call in zip(leased, calls, strict=True):
            if call is not None:
                self._calls[id(call)] = (call, task)
        return [call for call in calls if call is not None]

    def _next_moment(self, is_admitting: bool) -> datetime:
        control, work = self._tasks.next_at(self._control), None
        if control is not None and self._control_may_wait():
            control = max(control, self._control_at)
        if is_admitting and self._executor.room:
            work = self._tasks.next_at(self._work)
        return min(m for m in (control, work, self._sweep_at) if m is not None)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Search for cyclic garbage seldom: a run keeps many small objects that live long and refer to each other little.

    With CPython's own thresholds ``bench --only orchestration`` ends about a sixth fewer tasks a second.
    """
    usual, is_frozen = gc.get_threshold(), _is_frozen()
    if not is_frozen:
        gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        if not is_frozen:
            gc.unfreeze()


@cache
def _is_frozen() -> bool:
    """Whether the process had frozen objects before the engine did, as it stays. CPython counts them one by one."""
    return gc.get_freeze_count() > 0
