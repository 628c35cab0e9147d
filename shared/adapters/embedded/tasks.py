"""Task queues in SQLite with Cloud Tasks' semantics: rate, burst, concurrency, schedule time, names, delivery retry.

Tasks are durable; which of them are being delivered is not: after a crash they are delivered again, as Cloud Tasks
does. Order within a queue is by schedule time, then by creation.
"""

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.adapters.embedded.database import Database
from shared.domain.pipeline import QueueSpec
from shared.ports import Clock, QueueTask

NAMES_REMEMBERED = timedelta(hours=24)
"""How long a used name is known: "up to 24 h" (Cloud Tasks quotas page; the API definition says about 1 h)."""


@dataclass(slots=True)
class _Queue:
    spec: QueueSpec
    waiting: list[tuple[float, int, str]] = field(default_factory=list)
    tokens: float = 0.0
    refilled_at: float = 0.0
    delivering: int = 0

    @property
    def burst(self) -> float:
        """Tokens the bucket holds: a fifth of a second's rate, at least one."""
        return max(1.0, self.spec.max_per_second / 5)


class SqliteTasks:
    """The ``Tasks`` port, and the delivering side that the engine drives: the tasks of one run."""

    def __init__(self, database: Database, clock: Clock, queues: Mapping[str, QueueSpec], run_id: str) -> None:
        self._database, self._clock, self._run_id = database, clock, run_id
        self._order = itertools.count()
        self._specs = dict(queues)
        self._load()
        database.on_rollback(self._load)

    def _load(self) -> None:
        now = self._clock.now().timestamp()
        self._queues = {name: _Queue(spec, refilled_at=now) for name, spec in self._specs.items()}
        for queue in self._queues.values():
            queue.tokens = queue.burst
        self._tasks: dict[str, tuple[QueueTask, int]] = {}
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
        self._tasks[task.name] = (task, tries)
        if task.queue in self._queues:
            heapq.heappush(self._queues[task.queue].waiting, (not_before, next(self._order), task.name))

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

    def lease(self, queues: Iterable[str], limit: int) -> list[QueueTask]:
        """Tasks to deliver now, within each queue's rate and concurrency; at most ``limit``."""
        now = self._clock.now().timestamp()
        leased: list[QueueTask] = []
        for name in queues:
            queue = self._queues[name]
            queue.tokens = min(queue.burst, queue.tokens + (now - queue.refilled_at) * queue.spec.max_per_second)
            queue.refilled_at = now
            while (
                len(leased) < limit
                and queue.waiting
                and queue.waiting[0][0] <= now
                and queue.delivering < queue.spec.max_concurrent
                and (queue.tokens >= 1 or queue.spec.max_per_second >= UNLIMITED)
            ):
                task_name = heapq.heappop(queue.waiting)[2]
                if task_name in self._tasks:
                    queue.tokens -= queue.spec.max_per_second < UNLIMITED
                    queue.delivering += 1
                    leased.append(self._tasks[task_name][0])
        return leased

    def acknowledge(self, tasks: Sequence[QueueTask]) -> None:
        """The handler succeeded: the task is gone, its name is remembered."""
        now = self._clock.now().timestamp()
        with self._database.transaction():
            self._database.executemany(
                "UPDATE tasks SET done_at = ?, payload = '' WHERE name = ?", [(now, t.name) for t in tasks]
            )
            for task in tasks:
                self._tasks.pop(task.name, None)
                self._queues[task.queue].delivering -= 1

    def give_back(self, task: QueueTask) -> None:
        """The handler failed: deliver again after the queue's backoff."""
        queue = self._queues[task.queue]
        tries = self._tasks[task.name][1] + 1
        wait = min(queue.spec.max_backoff_seconds, queue.spec.min_backoff_seconds * 2.0 ** min(tries - 1, 16))
        not_before = (self._clock.now() + timedelta(seconds=wait)).timestamp()  # in whole microseconds, as clocks are
        with self._database.transaction():
            self._database.execute(
                "UPDATE tasks SET not_before = ?, tries = ? WHERE name = ?", (not_before, tries, task.name)
            )
            queue.delivering -= 1
            self._enter(task, not_before, tries)

    def next_at(self, queues: Iterable[str]) -> datetime | None:
        """When a task of these queues becomes deliverable, as far as schedule time and rate tell; None: never."""
        moments: list[float] = []
        for name in queues:
            queue = self._queues[name]
            if queue.waiting and queue.delivering < queue.spec.max_concurrent:
                lacking = max(0.0, 1 - queue.tokens) / queue.spec.max_per_second
                moments.append(max(queue.waiting[0][0], queue.refilled_at + lacking))
        return datetime.fromtimestamp(min(moments), UTC) if moments else None


UNLIMITED = 500.0
"""Cloud Tasks' highest rate for a queue; embedded queues at this rate are not throttled."""
