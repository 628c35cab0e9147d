"""The courier delivers the tasks of the Cloud Tasks server over HTTP, and settles what became of each delivery."""

import asyncio
import queue
import threading
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import urllib3
from google.cloud.tasks_v2.types import Attempt, HttpMethod

from phasegate.adapters.embedded.tasks import HeldTask, SqliteTasks
from phasegate.ports import Clock, QueueTask
from phasegate.stack.cloud_tasks_limits import DEFAULT_DEADLINE, Message
from phasegate.stack.cloud_tasks_records import Outcome, Queues, TaskRecord

AT_ONCE = 200
"""Deliveries under way over all queues. A queue's own limit may be higher on Google's side; here it shares these."""

SHORTEST_WAIT_SECONDS = 0.001
"""A due moment is rounded to microseconds: without it the loop could wake a little too early, many times."""

REPLACED = ("host", "content-length", "user-agent", "x-google-", "x-appengine-", "x-cloudtasks-")
"""Headers of a task that Cloud Tasks ignores or replaces (target.proto, ``HttpRequest.headers``)."""


class Courier:
    """The courier runs in the event loop; only the HTTP calls are made in threads. A delivery cut off by a stop is made
    again.
    """

    def __init__(self, tasks: SqliteTasks, queues: Queues, clock: Clock) -> None:
        self._tasks, self._queues, self._clock = tasks, queues, clock
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._under_way = self._threads = 0
        self._jobs: queue.SimpleQueue[tuple[HeldTask, TaskRecord, Attempt]] = queue.SimpleQueue()
        self._http = urllib3.PoolManager(num_pools=50, maxsize=AT_ONCE, retries=False)

    def wake(self) -> None:
        """Look for tasks again: something may have become deliverable."""
        self._changed.set()

    async def drive(self) -> None:
        """Deliver what is due until cancelled."""
        while True:
            room = max(0, AT_ONCE - self._under_way)
            for task in self._tasks.lease(self._queues.names, room):
                if held := self._tasks.find(task.name):
                    self.deliver(held)
            self._changed.clear()
            next_at = self._tasks.next_at(self._queues.names) if self._under_way < AT_ONCE else None
            wait = None if next_at is None else (next_at - self._clock.now()).total_seconds()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait if wait is None else max(SHORTEST_WAIT_SECONDS, wait)):
                    await self._changed.wait()

    def deliver(self, held: HeldTask) -> None:
        """Start one delivery, whatever the queue's limits say."""
        self._under_way += 1
        if self._threads < min(self._under_way, AT_ONCE):
            self._threads += 1
            threading.Thread(target=self._work, name=f"delivery-{self._threads}", daemon=True).start()
        scheduled = datetime.fromtimestamp(held.not_before, UTC)
        attempt = Attempt(schedule_time=scheduled, dispatch_time=self._clock.now())
        self._jobs.put((held, TaskRecord.read(held.task.payload), attempt))

    def _work(self) -> None:
        while True:
            held, record, attempt = self._jobs.get()
            outcome = self._send(held, record)
            with suppress(RuntimeError):  # the loop is closed: the server has stopped
                self._loop.call_soon_threadsafe(self._settle, held.task, record, attempt, outcome)

    def _send(self, held: HeldTask, record: TaskRecord) -> Outcome:
        request = record.task.http_request
        deadline: Message = record.task.dispatch_deadline or DEFAULT_DEADLINE
        try:
            answer = self._http.request(
                HttpMethod(request.http_method).name,
                request.url,
                body=request.body or None,
                headers=delivery_headers(held, record),
                timeout=urllib3.Timeout(connect=deadline.total_seconds(), read=deadline.total_seconds()),
                redirect=False,
            )
        except urllib3.exceptions.TimeoutError:
            return Outcome(None, is_late=True)
        except (urllib3.exceptions.HTTPError, ValueError):
            return Outcome(None)
        return Outcome(answer.status, retry_after=seconds_of(answer.headers.get("Retry-After", ""), self._clock.now()))

    def _settle(self, task: QueueTask, record: TaskRecord, attempt: Attempt, outcome: Outcome) -> None:
        self._under_way -= 1
        self._changed.set()
        held = self._tasks.find(task.name)
        if outcome.is_success or held is None:
            self._tasks.acknowledge([task])
            return
        now = self._clock.now()
        after = record.after(attempt, outcome, now)
        if after.is_given_up(self._queues.get(task.queue), held.tries + 1, now):
            self._tasks.acknowledge([task])
            return
        self._tasks.give_back(
            task._replace(payload=after.write()), is_throttled=outcome.is_throttled, retry_after=outcome.retry_after
        )


def delivery_headers(held: HeldTask, record: TaskRecord) -> dict[str, str]:
    """Return the headers of a delivery: the task's own, and those that Cloud Tasks adds."""
    own = record.task.http_request.headers
    headers = {name: value for name, value in own.items() if not name.lower().startswith(REPLACED)}
    headers["User-Agent"] = "Google-Cloud-Tasks"
    headers["X-CloudTasks-QueueName"] = held.task.queue.rpartition("/")[2]
    headers["X-CloudTasks-TaskName"] = held.task.name.rpartition("/")[2]
    headers["X-CloudTasks-TaskRetryCount"] = str(held.tries)
    headers["X-CloudTasks-TaskExecutionCount"] = str(record.executions)
    headers["X-CloudTasks-TaskETA"] = f"{held.not_before:.6f}"
    if record.previous is not None:
        headers["X-CloudTasks-TaskPreviousResponse"] = str(record.previous)
    if record.reason:
        headers["X-CloudTasks-TaskRetryReason"] = record.reason
    return headers


def seconds_of(retry_after: str, now: datetime) -> float:
    """Return the seconds that a ``Retry-After`` header asks for: a number, or an HTTP date; 0 for anything else."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    return max(0.0, (until.astimezone(UTC) - now).total_seconds())
