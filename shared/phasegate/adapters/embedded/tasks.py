"""Task queues in SQLite have Cloud Tasks' semantics: rate, burst, concurrency, schedule time, names, delivery retry.

Tasks are durable; which of them are being delivered is not: after a crash they are delivered again, as Cloud Tasks
does. Order within a queue is by schedule time, then by creation.
"""

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from phasegate.adapters.embedded.database import Database
from phasegate.domain.spec.pipeline import QueueSpec
from phasegate.ports import Clock, QueueTask

NAMES_REMEMBERED = timedelta(hours=24)
"""How long a used name is known: "up to 24 h" (Cloud Tasks quotas page; the API definition says about 1 h)."""

UNLIMITED = 500.0
"""Cloud Tasks' highest rate for a queue; embedded queues at this rate are not throttled."""

THROTTLED = 2.0
"""How much longer than another failure a throttled one waits. Cloud Tasks says "a higher backoff", and no number."""


@dataclass(frozen=True, slots=True)
class QueueRules:
    """The rules say how a queue delivers, in the units of ``QueueSpec``, and what only Cloud Tasks' own commands can
    change.
    """

    max_per_second: float
    """Deliveries per second; ``UNLIMITED``: not throttled."""

    max_concurrent: int
    """Deliveries under way at once, at most."""

    min_backoff_seconds: float
    """The wait after the first failed delivery, in seconds."""

    max_backoff_seconds: float
    """The longest wait after a failed delivery, in seconds."""

    max_doublings: int = 16
    """How often the wait after a failure doubles; it then grows in steps of what it has become (16: Cloud Tasks'
    default).
    """

    is_paused: bool = False
    """Whether tasks are taken and none is delivered."""

    @classmethod
    def of(cls, spec: QueueSpec) -> "QueueRules":
        """Return the rules that a pipeline file asks for."""
        return cls(spec.max_per_second, spec.max_concurrent, spec.min_backoff_seconds, spec.max_backoff_seconds)

    @property
    def burst(self) -> float:
        """Return the tokens that the bucket holds: a fifth of a second's rate, at least one."""
        return max(1.0, self.max_per_second / 5)

    @property
    def is_limited(self) -> bool:
        """Whether a delivery costs a token."""
        return self.max_per_second < UNLIMITED

    def backoff(self, tries: int) -> float:
        """Return the seconds to wait after so many failed deliveries (queue.proto, ``RetryConfig.max_doublings``)."""
        doublings = min(tries - 1, self.max_doublings)
        wait = self.min_backoff_seconds * 2.0**doublings * max(1, tries - self.max_doublings)
        return min(self.max_backoff_seconds, wait)


class HeldTask(NamedTuple):
    """A held task is one that is not done."""

    task: QueueTask
    """The task as it was created, with the payload that it has now."""

    not_before: float
    """The earliest delivery, in seconds since 1970 (UTC)."""

    tries: int
    """Deliveries that failed."""

    order: int
    """The task's place among all creations and failures; an older entry of the task on its queue does not count."""


@dataclass(slots=True)
class _Queue:
    rules: QueueRules
    """How it delivers."""

    refilled_at: float
    """When tokens were added last, in seconds since 1970 (UTC)."""

    tokens: float
    """Deliveries that the rate allows now."""

    waiting: list[tuple[float, int, str]] = field(default_factory=list)
    """A heap of (earliest delivery, order, name) of its tasks; some entries are outdated."""

    delivering: set[str] = field(default_factory=set)
    """The names of its tasks on which a lease is open."""

    @property
    def is_open(self) -> bool:
        return not self.rules.is_paused and len(self.delivering) < self.rules.max_concurrent


class SqliteTasks:
    """This is the ``Tasks`` port, with the delivering side: the engine drives it for one run, the Cloud Tasks server
    for all.

    run_id: whose tasks are delivered. queues: those of the pipeline; others can be added later.
    """

    def __init__(self, database: Database, clock: Clock, queues: Mapping[str, QueueSpec], run_id: str) -> None:
        self._database, self._clock, self._run_id = database, clock, run_id
        self._order = itertools.count()
        self._rules = {name: QueueRules.of(spec) for name, spec in queues.items()}
        self._load()
        database.on_rollback(self._load)

    def _load(self) -> None:
        now = self._clock.now().timestamp()
        self._queues = {name: _Queue(rules, now, rules.burst) for name, rules in self._rules.items()}
        self._tasks: dict[str, HeldTask] = {}
        with self._database.transaction():
            self._database.execute("DELETE FROM tasks WHERE done_at < ?", (now - NAMES_REMEMBERED.total_seconds(),))
        for name, queue, payload, not_before, tries in self._database.execute(
            "SELECT name, queue, payload, not_before, tries FROM tasks WHERE run_id = ? AND done_at IS NULL"
            " ORDER BY not_before",
            (self._run_id,),
        ):
            at = datetime.fromtimestamp(not_before, UTC)
            self._enter(QueueTask(self._run_id, queue, name, payload, at), not_before, tries)

    def _enter(self, task: QueueTask, not_before: float, tries: int) -> None:
        self._tasks[task.name] = held = HeldTask(task, not_before, tries, next(self._order))
        if task.queue in self._queues:
            heapq.heappush(self._queues[task.queue].waiting, (not_before, held.order, task.name))

    def set_queue(self, name: str, rules: QueueRules) -> None:
        """Add a queue, or change the rules of one; what it holds stays. The rules are not kept over a restart."""
        self._rules[name] = rules
        if queue := self._queues.get(name):
            queue.rules, queue.tokens = rules, min(queue.tokens, rules.burst)
            return
        self._queues[name] = _Queue(rules, self._clock.now().timestamp(), rules.burst)
        for held in self.held(name):
            self._enter(held.task, held.not_before, held.tries)

    def remove_queue(self, name: str) -> None:
        """Take a queue away with all of its tasks; their names stay used."""
        self.drop(held.task.name for held in self.held(name))
        del self._rules[name], self._queues[name]

    def create(self, tasks: Sequence[QueueTask]) -> None:
        """See the port."""
        now = self._clock.now().timestamp()
        fresh = {task.name: task for task in tasks if task.name not in self._tasks}
        starts = {
            task.name: max(now, task.not_before.timestamp()) if task.not_before else now for task in fresh.values()
        }
        with self._database.transaction():
            written = self._database.executemany(
                "INSERT OR IGNORE INTO tasks (name, run_id, queue, payload, not_before) VALUES (?, ?, ?, ?, ?)",
                [(t.name, t.run_id, t.queue, t.payload, starts[t.name]) for t in fresh.values()],
            )
            if written.rowcount < len(fresh):
                fresh = {name: task for name, task in fresh.items() if not self._is_used_up(name)}
            for task in fresh.values():
                if task.run_id == self._run_id:
                    self._enter(task, starts[task.name], 0)

    def _is_used_up(self, name: str) -> bool:
        return self._database.execute("SELECT done_at FROM tasks WHERE name = ?", (name,)).fetchone()[0] is not None

    def is_known(self, name: str) -> bool:
        """Whether a name is in use, or was not long ago."""
        return self._database.execute("SELECT 1 FROM tasks WHERE name = ?", (name,)).fetchone() is not None

    def find(self, name: str) -> HeldTask | None:
        """Return the task of a name; None when there is none, or it is done."""
        return self._tasks.get(name)

    def held(self, queue: str) -> list[HeldTask]:
        """Return the tasks of a queue that are not done, in the order of their names."""
        return sorted((h for h in self._tasks.values() if h.task.queue == queue), key=lambda h: h.task.name)

    def is_delivering(self, task: QueueTask) -> bool:
        """Whether a lease on the task is open."""
        return task.name in self._queues[task.queue].delivering

    def lease(self, queues: Iterable[str], limit: int) -> list[QueueTask]:
        """Lease the tasks to deliver now, within each queue's rate and concurrency; at most ``limit``."""
        now = self._clock.now().timestamp()
        leased: list[QueueTask] = []
        for name in queues:
            queue = self._queues[name]
            rules = queue.rules
            queue.tokens = min(rules.burst, queue.tokens + (now - queue.refilled_at) * rules.max_per_second)
            queue.refilled_at = now
            while (
                len(leased) < limit
                and queue.waiting
                and queue.waiting[0][0] <= now
                and queue.is_open
                and (queue.tokens >= 1 or not rules.is_limited)
            ):
                _, order, task_name = heapq.heappop(queue.waiting)
                held = self._tasks.get(task_name)
                if held is not None and held.order == order:
                    queue.tokens -= rules.is_limited
                    queue.delivering.add(task_name)
                    leased.append(held.task)
        return leased

    def acknowledge(self, tasks: Sequence[QueueTask]) -> None:
        """Take away tasks whose handler succeeded; their names are remembered."""
        with self._database.transaction():
            self.drop(task.name for task in tasks)
            self._release(tasks)

    def drop(self, names: Iterable[str]) -> None:
        """Take away tasks that are not to be delivered (again); their names are remembered."""
        now = self._clock.now().timestamp()
        gone = list(names)
        with self._database.transaction():
            self._database.executemany(
                "UPDATE tasks SET done_at = ?, payload = '' WHERE name = ?", [(now, name) for name in gone]
            )
            for name in gone:
                self._tasks.pop(name, None)

    def _release(self, tasks: Iterable[QueueTask]) -> None:
        for task in tasks:
            if queue := self._queues.get(task.queue):
                queue.delivering.discard(task.name)

    def give_back(self, task: QueueTask, *, is_throttled: bool = False, retry_after: float = 0.0) -> None:
        """Deliver a task again whose handler failed, with the payload that ``task`` has now, after the queue's backoff.

        is_throttled: the handler asked for fewer deliveries (429, 503): the wait is longer. retry_after: seconds that
        it asked for. A task that was dropped meanwhile stays so.
        """
        with self._database.transaction():
            self._release([task])
            if task.name not in self._tasks:
                return
            tries = self._tasks[task.name].tries + 1
            wait = self._rules[task.queue].backoff(tries) * (THROTTLED if is_throttled else 1.0)
            at = self._clock.now() + timedelta(seconds=max(wait, retry_after))
            not_before = at.timestamp()  # in whole microseconds, as clocks are
            self._database.execute(
                "UPDATE tasks SET not_before = ?, tries = ?, payload = ? WHERE name = ?",
                (not_before, tries, task.payload, task.name),
            )
            self._enter(task, not_before, tries)

    def held_back_by(self, queues: Iterable[str]) -> str | None:
        """Name the limit by which a task of these queues is not delivered that is due; None:
        no such task is there."""
        now = self._clock.now().timestamp()
        for name in queues:
            queue = self._queues[name]
            if not queue.waiting or queue.waiting[0][0] > now:
                continue
            if len(queue.delivering) >= queue.rules.max_concurrent:
                return f"max_concurrent of queue {name}"
            if queue.rules.is_limited and queue.tokens < 1:
                return f"max_per_second of queue {name}"
        return None

    def next_at(self, queues: Iterable[str]) -> datetime | None:
        """Say when a task of these queues becomes deliverable, as far as schedule time and rate tell; None: never."""
        moments: list[float] = []
        for name in queues:
            queue = self._queues[name]
            if queue.waiting and queue.is_open:
                lacking = max(0.0, 1 - queue.tokens) / queue.rules.max_per_second
                moments.append(max(queue.waiting[0][0], queue.refilled_at + lacking))
        return datetime.fromtimestamp(min(moments), UTC) if moments else None
