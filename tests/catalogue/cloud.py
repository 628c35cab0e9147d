"""The small world on Google Cloud's adapters, in one process and on virtual time.

State is Firestore's emulator. Tasks and messages go through the adapters of Cloud Tasks and Pub/Sub to clients that
keep them in the embedded queues, from which the engine delivers. Tables and objects are those of embedded mode.
"""

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from google.cloud.tasks_v2.types import Task

from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.engine import Engine
from phasegate.adapters.embedded.events import SqliteEvents
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.tasks import SqliteTasks
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.gcp.clients import firestore_client
from phasegate.adapters.gcp.events import PubSubEvents
from phasegate.adapters.gcp.firestore.state import FirestoreState
from phasegate.adapters.gcp.layout import layout_of
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.adapters.gcp.tasks import CloudTasks, delivery_deadlines
from phasegate.bootstrap import Services
from phasegate.deployment import WAKE_BUCKET
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.plan import compile_plan
from phasegate.domain.protocol.names import CONDUCTOR_QUEUE, DISPATCH_QUEUE
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import AttemptKey
from phasegate.domain.state.run import Run
from phasegate.ports import QueueTask
from phasegate.services.backend import Backend
from phasegate.services.reading.progress import RunReport, report
from phasegate.services.starting.planner import make_plan
from tests.world import World, build

CONTROL = (CONDUCTOR_QUEUE, DISPATCH_QUEUE)


class TasksClient:
    """Stands in for Cloud Tasks' client: keeps each request under its task's name."""

    def __init__(self) -> None:
        self.sent: dict[str, Task] = {}

    def create_task(self, *, parent: str, task: Task, **_options: object) -> None:
        """A creation. The adapter makes several at once."""
        assert task.name.startswith(f"{parent}/tasks/")
        self.sent[task.name.rpartition("/")[2]] = task


class Publisher:
    """Stands in for Pub/Sub's client. ``published``: (topic, text), in order."""

    def __init__(self, events: SqliteEvents) -> None:
        self._events = events
        self.published: list[tuple[str, str]] = []

    def publish(self, path: str, data: bytes, **_attributes: object) -> "Future[str]":
        """A publication, durable at once."""
        topic, text = path.rpartition("/topics/")[2], data.decode()
        self.published.append((topic, text))
        self._events.publish(topic, [text])
        done: Future[str] = Future()
        done.set_result("id")
        return done


class CloudQueues:
    """The ``Tasks`` port: Cloud Tasks' adapter, and what its client was sent put on queues.

    loses: whether a task that Cloud Tasks took never arrives. urls: where each task is to be delivered, by name.
    """

    def __init__(self, adapter: CloudTasks, client: TasksClient, queues: SqliteTasks) -> None:
        self._adapter, self._client, self._queues = adapter, client, queues
        self.loses: Callable[[QueueTask], bool] = lambda _: False
        self.urls: dict[str, str] = {}

    def create(self, tasks: Sequence[QueueTask]) -> None:
        """See the port. What is delivered is what the request says, not what the caller meant."""
        self._adapter.create(tasks)
        for task in tasks:
            request = self._client.sent[task.name]
            self.urls[task.name] = request.http_request.url
            queue = request.name.split("/queues/")[1].partition("/")[0]
            at = request.schedule_time if "schedule_time" in request else None
            as_sent = QueueTask(task.run_id, queue, task.name, request.http_request.body.decode(), at)
            if not self.loses(as_sent):
                self._queues.create([as_sent])


class CloudWorld:
    """A world whose services have the cloud's state, queues and topic. A context manager.

    change: what is done to the pipeline's document before it is loaded.
    """

    def __init__(
        self,
        folder: Path,
        patch: pytest.MonkeyPatch,
        *,
        dates: int,
        change: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        self.world = World(folder, dates=dates, change=change)
        self.days = self.world.days
        self.settings = CloudSettings(
            project=f"t{uuid.uuid4().hex[:20]}",
            dispatcher_url="http://dispatcher",
            runner_url="http://runner",
            conductor_url="http://conductor",
            pipeline=self.world.pipeline_file,
        )
        self.world.home.root.mkdir(parents=True, exist_ok=True)
        self._stack = ExitStack()
        self._database = Database(self.world.home.state)
        self._stack.callback(self._database.close)
        self.warehouse = DuckDbWarehouse(self.world.home.warehouse)
        self._stack.callback(self.warehouse.close)
        self.objects = FolderObjectStore(self.world.home.objects)
        self.worker = build(self.world.source, self.warehouse, self.objects)
        self.worker.prepare()
        self.state = FirestoreState(firestore_client(self.settings))
        queues = {queue.id: queue.spec for queue in layout_of(self.world.pipeline).queues}
        self.queues = SqliteTasks(self._database, self.world.clock, queues, "r")
        self._events = SqliteEvents(self._database)
        client, self.publisher = TasksClient(), Publisher(self._events)
        patch.setattr("phasegate.adapters.gcp.tasks.tasks_client", lambda: client)
        patch.setattr("phasegate.adapters.gcp.events.publisher", lambda: self.publisher)
        adapter = CloudTasks(self.settings, delivery_deadlines(self.world.pipeline))
        self.tasks = CloudQueues(adapter, client, self.queues)
        self.backend = Backend(
            state=self.state,
            tasks=self.tasks,
            events=PubSubEvents(self.settings),
            warehouse=self.warehouse,
            objects=self.objects,
            workers={"world": self.worker},
            clock=self.world.clock,
            wake_bucket=WAKE_BUCKET,
        )
        self.services = Services(self.backend)

    def __enter__(self) -> Self:
        """The world."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files."""
        self._stack.close()

    def begin(self, selection: Selection | None = None) -> None:
        """Write the run ``r`` and wake its conductor."""
        plan = make_plan(
            self.world.pipeline,
            self.world.calendar(),
            selection or Selection(seasons=("2023-24",)),
        ).plan
        now = self.world.clock.now()
        run = Run(
            run_id="r",
            pipeline="world",
            pipeline_file=str(self.world.pipeline_file),
            plan_hash=plan.hash,
            request_hash="",
            created_at=now,
        )
        assert self.state.create_run(run, plan, Board.blank("r", compile_plan(plan), now))
        self.backend.wake_conductor("r")

    def drive(self, within: timedelta, stop: Callable[[], bool] = lambda: False) -> RunReport:
        """Deliver until the run has come to its end, until so much virtual time has passed, or until ``stop()``."""
        executor = self.world.options.executor
        assert executor is not None
        engine = Engine(
            "r",
            self._database,
            self.queues,
            self._events,
            executor(self.services.runner.execute, self.world.clock),
            self.services,
            self.world.clock,
            control_queues=CONTROL,
            work_queues=tuple(self.world.pipeline.queues),
            atomic_turns=False,
        )
        ends = self.world.clock.now() + within
        engine.drive(stop=lambda: stop() or self.world.clock.now() > ends)
        return report(self.state, "r", self.world.clock.now())

    def attempts(self, phase: str, processor: str, day: date) -> int:
        """How often a task was claimed."""
        keys = [AttemptKey(day, phase, processor, number) for number in range(1, 60)]
        return len(self.state.claims("r", keys))
