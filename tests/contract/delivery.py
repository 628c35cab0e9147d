"""Task queues and topics of both backends, their delivering sides in one shape."""

import os
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from google.api_core.exceptions import DeadlineExceeded
from google.cloud.pubsub_v1 import SubscriberClient
from google.cloud.tasks_v2.types import Queue, RateLimits, Task

from phasegate.adapters.embedded.clock import VirtualClock
from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.events import SqliteEvents
from phasegate.adapters.embedded.tasks import SqliteTasks
from phasegate.adapters.gcp.clients import publisher, tasks_client
from phasegate.adapters.gcp.events import PubSubEvents
from phasegate.adapters.gcp.layout import queue_id
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.adapters.gcp.tasks import CloudTasks
from phasegate.domain.spec.pipeline import QueueSpec
from phasegate.ports import Events, Tasks
from tests.contract.conftest import NOW
from tests.stack.target import PATIENCE_SECONDS, Target, TasksServer

QUEUE = "one_by_one"
"""A queue that delivers one task after the other: what is due earlier has been delivered when a later one comes."""

BARRIER = "barrier"
NOTHING_MORE_SECONDS = 0.3
"""How long a pull waits for what should not come."""


class TaskLine(Protocol):
    """The queue ``QUEUE`` of one backend."""

    tasks: Tasks

    def moment(self, seconds: float) -> datetime:
        """So many seconds from now."""

    def refuse(self, times: int) -> None:
        """Let the next deliveries fail."""

    def delivered(self, count: int) -> list[str]:
        """All payloads delivered so far, when there are so many and nothing else is due."""


class EmbeddedTaskLine:
    """SQLite, and time that passes when nothing is due."""

    def __init__(self, folder: Path) -> None:
        self._clock, self._refused, self._delivered = VirtualClock(NOW), 0, list[str]()
        database = Database(folder / "state.sqlite")
        self.close = database.close
        self._tasks = SqliteTasks(database, self._clock, {QUEUE: QueueSpec()}, "r")
        self.tasks: Tasks = self._tasks

    def moment(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)

    def refuse(self, times: int) -> None:
        self._refused = times

    def delivered(self, count: int) -> list[str]:
        while True:
            for task in self._tasks.lease([QUEUE], 100):
                self._delivered.append(task.payload)
                if len(self._delivered) <= self._refused:
                    self._tasks.give_back(task)
                else:
                    self._tasks.acknowledge([task])
            if len(self._delivered) >= count:
                return self._delivered
            due = self._tasks.next_at([QUEUE])
            assert due is not None, f"nothing is left to deliver after {self._delivered}"
            self._clock.move_to(due)


class CloudTaskLine:
    """The adapter, a queue of its own on the Cloud Tasks server, and a target that the server calls."""

    def __init__(self, server: TasksServer, target: Target) -> None:
        self._target, self._path = target, uuid.uuid4().hex
        settings = CloudSettings(project=f"t{self._path[:20]}", runner_url=target.url(self._path))
        self.tasks: Tasks = CloudTasks(settings, {})
        location = f"projects/{settings.project}/locations/{settings.region}"
        self._queue = f"{location}/queues/{queue_id(QUEUE)}"
        one_by_one = RateLimits(max_concurrent_dispatches=1)
        tasks_client().create_queue(parent=location, queue=Queue(name=self._queue, rate_limits=one_by_one))

    def moment(self, seconds: float) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=seconds)

    def refuse(self, times: int) -> None:
        self._target.will_answer(self._path, *[500] * times)

    def delivered(self, count: int) -> list[str]:
        self._target.wait_for(self._path, count)
        barrier = f"{BARRIER}-{uuid.uuid4().hex}"
        request = {"url": self._target.url(barrier)}
        tasks_client().create_task(parent=self._queue, task=Task(http_request=request))
        self._target.wait_for(barrier)
        return [delivery.body for delivery in self._target.came(self._path)]


class EventLine(Protocol):
    """A topic of one backend, and a subscription to it."""

    events: Events
    name: str

    def handled(self, count: int) -> list[str]:
        """What is delivered now, which must be so many messages; they are acknowledged."""

    def failed(self, count: int) -> list[str]:
        """The same, but the handler fails."""


class EmbeddedEventLine:
    """SQLite."""

    name = "completions"

    def __init__(self, folder: Path) -> None:
        database = Database(folder / "state.sqlite")
        self.close = database.close
        self._events = SqliteEvents(database)
        self.events: Events = self._events

    def handled(self, count: int) -> list[str]:
        waiting = self._events.waiting(1000)
        self._events.acknowledge([number for number, _ in waiting])
        return [message for _, message in waiting]

    def failed(self, count: int) -> list[str]:
        return [message for _, message in self._events.waiting(1000)]


class PubSubEventLine:
    """The adapter, and a topic with a pull subscription in the emulator. A context manager."""

    def __init__(self) -> None:
        settings = CloudSettings(project=os.environ["PHASEGATE_PROJECT"])
        self.name = f"t-{uuid.uuid4().hex}"
        self.events: Events = PubSubEvents(settings)
        self._topic = f"projects/{settings.project}/topics/{self.name}"
        self._subscription = f"projects/{settings.project}/subscriptions/{self.name}"
        self.attributes: list[dict[str, str]] = []

    def __enter__(self) -> "PubSubEventLine":
        self._subscriber = SubscriberClient()
        publisher().create_topic(name=self._topic)
        self._subscriber.create_subscription(name=self._subscription, topic=self._topic, ack_deadline_seconds=60)
        return self

    def __exit__(self, *_: object) -> None:
        self._subscriber.close()

    def handled(self, count: int) -> list[str]:
        messages, ids = self._pull(count)
        self._subscriber.acknowledge(subscription=self._subscription, ack_ids=ids)
        return messages

    def failed(self, count: int) -> list[str]:
        messages, ids = self._pull(count)
        self._subscriber.modify_ack_deadline(subscription=self._subscription, ack_ids=ids, ack_deadline_seconds=0)
        return messages

    def _pull(self, count: int) -> tuple[list[str], Sequence[str]]:
        messages: list[str] = []
        ids: list[str] = []
        ends = time.monotonic() + PATIENCE_SECONDS
        while True:
            is_enough = len(messages) >= count
            assert is_enough or time.monotonic() < ends, f"{len(messages)} of {count} messages came"
            seconds = NOTHING_MORE_SECONDS if is_enough else PATIENCE_SECONDS
            try:
                answer = self._subscriber.pull(
                    subscription=self._subscription, max_messages=1000, timeout=seconds, retry=None
                )
            except DeadlineExceeded:
                return messages, ids
            if is_enough and not answer.received_messages:
                return messages, ids
            for received in answer.received_messages:
                messages.append(received.message.data.decode())
                self.attributes.append(dict(received.message.attributes))
                ids.append(received.ack_id)
