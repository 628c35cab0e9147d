"""The Cloud Tasks server keeps its queues, and its tasks as payloads of the embedded backend's queues."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus

import grpc
from google.cloud.tasks_v2.types import Attempt, Queue, Task

from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.tasks import SqliteTasks
from phasegate.stack.cloud_tasks_limits import CallRefused, Message, rules_of

_TABLE = "CREATE TABLE IF NOT EXISTS cloud_tasks_queues (name TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID"

_CODES = {
    HTTPStatus.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.CONFLICT: grpc.StatusCode.ABORTED,
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.INTERNAL_SERVER_ERROR: grpc.StatusCode.INTERNAL,
    HTTPStatus.NOT_IMPLEMENTED: grpc.StatusCode.UNIMPLEMENTED,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""HTTP answers as Google's statuses (google/rpc/code.proto names the mapping); any other one is UNKNOWN."""


class Queues:
    """The queues are those of one server, as durable as its database. The tasks' side is told of every change."""

    def __init__(self, database: Database, tasks: SqliteTasks) -> None:
        self._database, self._tasks = database, tasks
        database.execute(_TABLE)
        rows = database.execute("SELECT name, doc FROM cloud_tasks_queues ORDER BY name").fetchall()
        self._queues: dict[str, Queue] = {name: Queue.from_json(doc) for name, doc in rows}
        for name, queue in self._queues.items():
            tasks.set_queue(name, rules_of(queue))

    @property
    def names(self) -> list[str]:
        """Return all queues, sorted."""
        return sorted(self._queues)

    def __contains__(self, name: str) -> bool:
        return name in self._queues

    def get(self, name: str) -> Queue:
        """Return a queue. Raises CallRefused (NOT_FOUND)."""
        if name not in self._queues:
            raise CallRefused(grpc.StatusCode.NOT_FOUND, f"there is no queue {name}; create it first")
        return self._queues[name]

    def put(self, queue: Queue) -> Queue:
        """Create a queue, or replace one."""
        doc = Queue.to_json(queue, indent=None)
        self._database.execute("INSERT OR REPLACE INTO cloud_tasks_queues VALUES (?, ?)", (queue.name, doc))
        self._queues[queue.name] = queue
        self._tasks.set_queue(queue.name, rules_of(queue))
        return queue

    def remove(self, name: str) -> None:
        """Delete a queue and its tasks. Raises CallRefused (NOT_FOUND)."""
        self.get(name)
        with self._database.transaction():
            self._database.execute("DELETE FROM cloud_tasks_queues WHERE name = ?", (name,))
            self._tasks.remove_queue(name)
        del self._queues[name]


@dataclass(frozen=True, slots=True)
class Outcome:
    """An outcome says how one delivery ended."""

    status: int | None
    """The HTTP status of the answer; None: there was none."""

    is_late: bool = False
    """Whether the deadline passed before there was an answer."""

    retry_after: float = 0.0
    """Seconds that the handler asked to be left alone; 0: it did not ask."""

    @property
    def is_success(self) -> bool:
        """Whether the task is done."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_throttled(self) -> bool:
        """Whether the handler asked for fewer deliveries."""
        return self.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)

    @property
    def code(self) -> grpc.StatusCode:
        """Return the same as a status of Google's."""
        if self.status is None:
            return grpc.StatusCode.DEADLINE_EXCEEDED if self.is_late else grpc.StatusCode.UNAVAILABLE
        return _CODES.get(HTTPStatus(self.status), grpc.StatusCode.UNKNOWN)

    def __str__(self) -> str:
        if self.status is None:
            return "no answer by the deadline" if self.is_late else "no answer: the connection broke"
        return f"HTTP status {self.status}"


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A record is a task as the payload of a queue's task."""

    task: Task
    """The task's definition, with what the API shows of its deliveries."""

    executions: int = 0
    """Answers other than 5xx so far."""

    previous: int | None = None
    """The HTTP status of the last delivery; None: it had no answer, or there was none yet."""

    reason: str = ""
    """Why the last delivery failed; empty: none has."""

    @classmethod
    def read(cls, payload: str) -> "TaskRecord":
        """Return the record of a payload."""
        document = json.loads(payload)
        return cls(Task.from_json(document.pop("task")), **document)

    def write(self) -> str:
        """Return the payload of a record."""
        task = Task.to_json(self.task, indent=None)
        known = {"executions": self.executions, "previous": self.previous, "reason": self.reason}
        return json.dumps({"task": task, **known})

    def after(self, attempt: Attempt, outcome: Outcome, now: datetime) -> "TaskRecord":
        """Return the record after a delivery that failed. attempt: its schedule and dispatch times."""
        task = Task(self.task)
        ended: Message = Attempt(attempt)
        ended.response_status.code, ended.response_status.message = outcome.code.value[0], str(outcome)
        if "first_attempt" not in task:
            task.first_attempt = Attempt(dispatch_time=attempt.dispatch_time)
        if outcome.status is not None:
            task.response_count += 1
            ended.response_time = now
        task.last_attempt = ended
        executions = self.executions + (outcome.status is not None and outcome.status < 500)
        return replace(self, task=task, executions=executions, previous=outcome.status, reason=str(outcome))

    def is_given_up(self, queue: Queue, tries: int, now: datetime) -> bool:
        """Whether no further delivery follows ``tries`` failed ones.

        Both limits must be reached where both are set (queue.proto). With unlimited attempts (-1) the duration decides.
        """
        retry: Message = queue.retry_config
        lasts = retry.max_retry_duration
        is_expired = not lasts or now - self.task.first_attempt.dispatch_time >= lasts
        if retry.max_attempts == -1:
            return bool(lasts) and is_expired
        return tries >= retry.max_attempts and is_expired
