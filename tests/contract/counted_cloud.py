"""A cloud that counts: its state is Google's Firestore emulator, its queues, topic and warehouse only count, and it
delivers several things at a time.
"""

import heapq
import itertools
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.cloud.firestore import Client, DocumentReference, Query, WriteBatch

from phasegate.adapters.embedded.clock import VirtualClock
from phasegate.adapters.gcp.clients import firestore_client
from phasegate.adapters.gcp.firestore.state import FirestoreState
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.calendar.dates import Calendar, CalendarDate
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import PhasegateError
from phasegate.domain.messages.tasks import DispatchPage, WakeUp, payload_model
from phasegate.domain.plan import compile_plan
from phasegate.domain.protocol.names import CONDUCTOR_QUEUE, DISPATCH_QUEUE
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import Run, RunStatus
from phasegate.ports import Parameter, QueueTask, Row
from phasegate.ports.events import Message, text_of
from phasegate.services.backend import Backend
from phasegate.services.running.conductor import Conductor
from phasegate.services.running.dispatcher import Dispatcher
from phasegate.services.running.historian import Historian
from phasegate.services.running.listener import Listener
from phasegate.services.running.reconciler import Reconciler
from phasegate.services.running.runner import Runner
from phasegate.services.running.sweeper import Sweeper
from phasegate.services.starting.planner import make_plan
from tests.stack.idle import idle_answer, write_idle_pipeline

START = datetime(2026, 1, 1, tzinfo=UTC)
TASKS_A_DATE = 52


class Operations(Counter[str]):
    """Operations by kind, counted by threads."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def add(self, kind: str, number: int = 1) -> None:
        """Count."""
        with self._lock:
            self[kind] += number


def count_operations(patch: pytest.MonkeyPatch) -> Operations:
    """Count, as long as the patch lasts, documents read and written by Google's client; a query that finds nothing is
    billed as one read.
    """
    counted = Operations()

    def counting(owner: type, name: str, kind: str, number: Callable[..., int] = lambda *a: 1) -> None:
        method = getattr(owner, name)

        def wrapped(target: Any, *arguments: Any, **named: Any) -> Any:
            counted.add(kind, number(target, *arguments))
            return method(target, *arguments, **named)

        patch.setattr(owner, name, wrapped)

    counting(DocumentReference, "get", "reads")
    counting(Client, "get_all", "reads", lambda _, references: len(references))
    # Every write of the client, also of a single document, goes through a batch.
    counting(WriteBatch, "commit", "writes", lambda batch: len(batch))
    stream = Query.stream

    def streamed(query: Query, *arguments: Any, **named: Any) -> Iterator[Any]:
        found = list(stream(query, *arguments, **named))
        counted.add("reads", max(1, len(found)))
        return iter(found)

    patch.setattr(Query, "stream", streamed)
    return counted


class Cloud:
    """Queues, a topic and a warehouse that only count; deliveries are made by ``drive``, several at a time."""

    def __init__(self, operations: Operations, pipeline: Pipeline, dates: int, at_once: int) -> None:
        self.operations, self.at_once = operations, at_once
        self.clock = VirtualClock(START)
        self._lock, self._order = threading.Lock(), itertools.count()
        self._tasks: list[tuple[datetime, int, QueueTask]] = []
        self._names: set[str] = set()
        self._events: list[str] = []
        settings = CloudSettings(project=f"t{uuid.uuid4().hex[:20]}")
        self.state = FirestoreState(firestore_client(settings))
        days = [date(2024, 1, 1) + timedelta(days=n) for n in range(dates)]
        calendar = Calendar.of(CalendarDate(day, "s", {"games": 1}, {"teams": ("BOS", "NYK")}) for day in days)
        self.plan = make_plan(
            pipeline,
            calendar,
            Selection(seasons=("s",)),
        ).plan
        backend = Backend(self.state, self, self, self, self, {"nba": self}, self.clock, timedelta(milliseconds=500))  # type: ignore[arg-type]
        self.dispatcher = Dispatcher(backend)
        self.reconciler = Reconciler(backend, self.dispatcher)
        self.runner, self.listener = Runner(backend, self.dispatcher), Listener(backend, self.reconciler)
        self.conductor = Conductor(backend, self.dispatcher, Historian(backend))
        self.sweeper = Sweeper(backend, self.reconciler, self.dispatcher)
        run = Run(
            run_id="r",
            pipeline="nba",
            pipeline_file="",
            plan_hash=self.plan.hash,
            request_hash="",
            created_at=START,
        )
        self.state.create_run(run, self.plan, Board.blank("r", compile_plan(self.plan), START))
        backend.wake_conductor("r")

    # The ports that only count

    def create(self, tasks: Sequence[QueueTask]) -> None:
        """Cloud Tasks."""
        with self._lock:
            for task in tasks:
                if task.name not in self._names:
                    self._names.add(task.name)
                    heapq.heappush(self._tasks, (task.not_before or self.clock.now(), next(self._order), task))
                    kind = task.queue if task.queue in (CONDUCTOR_QUEUE, DISPATCH_QUEUE) else "work"
                    self.operations.add(f"{kind} tasks")

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Pub/Sub."""
        with self._lock:
            self._events.extend(map(text_of, messages))
            self.operations.add("messages", len(messages))

    def ask(self, questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[list[Row] | PhasegateError]:
        """BigQuery."""
        self.operations.add("queries", len(questions))
        return [[] for _ in questions]

    def append_missing(self, table: str, rows: Sequence[Row], keys: Sequence[str]) -> int:
        """BigQuery."""
        self.operations.add("history batches")
        return len(rows)

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """The worker."""
        return 200, idle_answer(body)

    # Delivery

    def drive(self) -> None:
        """Deliver until nothing waits; as many at a time as the cloud would."""
        with ThreadPoolExecutor(self.at_once) as pool:
            while self._tasks or self._events:
                events, self._events = self._events[: self.at_once], self._events[self.at_once :]
                batch: list[QueueTask] = []
                while not events and self._tasks and len(batch) < self.at_once:
                    at, _, task = heapq.heappop(self._tasks)
                    if at > self.clock.now():
                        if batch:
                            heapq.heappush(self._tasks, (at, 0, task))
                            break
                        self.clock.move_to(at)
                    batch.append(task)
                list(pool.map(lambda event: self.listener.handle([event]), events))
                list(pool.map(self._deliver, batch))

    def _deliver(self, task: QueueTask) -> None:
        if task.queue == CONDUCTOR_QUEUE:
            self.conductor.conduct(WakeUp.model_validate_json(task.payload).run_id)
        elif task.queue == DISPATCH_QUEUE:
            page = DispatchPage.model_validate_json(task.payload)
            self.reconciler.reconcile_days(page.run_id, page.dates)
        else:
            self.runner.run(payload_model(task.payload).model_validate_json(task.payload))


def idle_pipeline(folder: Path, dates_at_once: int = 1) -> Pipeline:
    """The NBA-shaped pipeline of idle tasks, of which so many dates travel together."""
    return load_pipeline(write_idle_pipeline(folder / "idle.yaml", "http://worker", dates_at_once=dates_at_once))


def driven(operations: Operations, folder: Path, *, dates: int, at_once: int, dates_at_once: int = 1) -> Counter[str]:
    """Operations of a whole run, divided by its tasks."""
    cloud = Cloud(operations, idle_pipeline(folder, dates_at_once), dates, at_once)
    operations.clear()
    cloud.drive()
    assert cloud.state.board("r")[0].status is RunStatus.COMPLETED
    return Counter({kind: number / (dates * TASKS_A_DATE) for kind, number in operations.items()})  # type: ignore[misc]
