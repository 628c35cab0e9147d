"""The user's services and Phasegate in one process, on virtual time: messages are carried by hand."""

import heapq
import itertools
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from phasegate.adapters.embedded.clock import VirtualClock
from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.engine import Engine
from phasegate.adapters.embedded.events import SqliteEvents
from phasegate.adapters.embedded.executor import VirtualExecutor
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.state import SqliteState
from phasegate.adapters.embedded.tasks import SqliteTasks
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.bootstrap import Services
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.plan import compile_plan
from phasegate.domain.protocol.names import CONDUCTOR_QUEUE, DISPATCH_QUEUE
from phasegate.domain.spec.pipeline import Pipeline, QueueSpec
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import Run
from phasegate.ports import QueueTask, Tasks
from phasegate.services.backend import Backend
from phasegate.services.reading.progress import RunReport, report
from phasegate.services.reading.schedule import read_calendar
from phasegate.services.starting.planner import make_plan
from tests.fakes.users_services import COMPLETIONS, OWN_TOPICS, RAW_DONE, Oddities, OneService, UsersServices
from tests.world import START

PIPELINE = Path(__file__).with_name("pipeline.yaml")
_CONTROL = {CONDUCTOR_QUEUE: QueueSpec(max_concurrent=1), DISPATCH_QUEUE: QueueSpec(max_concurrent=1)}


class NoTasks:
    """Where a test calls the services itself, nothing is delivered. ``created``: what would be."""

    def __init__(self) -> None:
        self.created: list[QueueTask] = []

    def create(self, tasks: Sequence[QueueTask]) -> None:
        """See the port."""
        self.created.extend(tasks)


class UsersWorld:
    """A home with the user's services beside it. Each message of theirs reaches Phasegate twice, as Pub/Sub may do."""

    def __init__(
        self, folder: Path, days: Sequence[date], oddities: Oddities, pipeline: Pipeline | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.days = list(days)
        self.pipeline = pipeline or load_pipeline(PIPELINE)
        self.clock = VirtualClock(START)
        self.database = Database(folder / "state.sqlite")
        self.state = SqliteState(self.database, keeps_dates=True)
        self.warehouse = DuckDbWarehouse(folder / "warehouse.duckdb")
        self.objects = FolderObjectStore(folder / "objects")
        self._events = SqliteEvents(self.database)
        self._on_the_way: list[tuple[datetime, int, str, str]] = []
        self._order = itertools.count()
        self.users = UsersServices(self.warehouse, self.objects, self.clock, self.publish, oddities)
        self.users.prepare(self.days)

    def close(self) -> None:
        """Close the files."""
        self.warehouse.close()
        self.database.close()

    def publish(self, topic: str, text: str, seconds: float) -> None:
        """Put a message on a topic."""
        at = self.clock.now() + timedelta(seconds=seconds)
        heapq.heappush(self._on_the_way, (at, next(self._order), topic, text))

    def begin(self, run_id: str = "r", *, among: Sequence[date] | None = None) -> None:
        """Write a run over some dates, or all."""
        calendar = read_calendar(self.pipeline.calendar, self.warehouse.query)
        plan = make_plan(
            self.pipeline,
            calendar,
            Selection(dates=tuple(among or self.days)),
        ).plan
        run = Run(
            run_id=run_id,
            pipeline="users",
            pipeline_file=str(PIPELINE),
            plan_hash=plan.hash,
            request_hash="",
            created_at=self.clock.now(),
        )
        self.state.create_run(run, plan, Board.blank(run_id, compile_plan(plan), run.created_at))

    def services(self, tasks: Tasks) -> Services:
        """The services over this world's ports."""
        return Services(
            Backend(
                state=self.state,
                tasks=tasks,
                events=self._events,
                warehouse=self.warehouse,
                objects=self.objects,
                workers={name: OneService(self.users, name) for name in self.pipeline.workers},
                clock=self.clock,
                wake_bucket=timedelta(milliseconds=50),
            )
        )

    def drive(self, run_id: str = "r", within: timedelta = timedelta(hours=12)) -> RunReport:
        """Drive a run to its end, or until so much virtual time has passed."""
        tasks = SqliteTasks(self.database, self.clock, {**self.pipeline.queues, **_CONTROL}, run_id)
        services = self.services(tasks)
        executor = VirtualExecutor(services.runner.execute, self.clock, lambda _: timedelta(milliseconds=200))
        engine = Engine(
            run_id,
            self.database,
            tasks,
            self._events,
            executor,
            services,
            self.clock,
            control_queues=tuple(_CONTROL),
            work_queues=tuple(self.pipeline.queues),
        )
        end = self.clock.now() + within

        def carry_messages() -> bool:
            self._carry(services)
            return self.clock.now() > end

        engine.drive(stop=carry_messages)
        return report(self.state, run_id, self.clock.now())

    def _carry(self, services: Services) -> None:
        while self._on_the_way and self._on_the_way[0][0] <= self.clock.now():
            _, _, topic, text = heapq.heappop(self._on_the_way)
            if topic in OWN_TOPICS:
                self.users.on_message(topic, text)
            if topic == RAW_DONE:
                services.external_events.handle(topic, [text, text])
            elif topic == COMPLETIONS:
                services.listener.handle([text, text])
