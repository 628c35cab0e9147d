"""The backends that the contract tests run against; a second one is a second ``param``."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from phasegate.adapters.embedded.clock import VirtualClock
from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.events import SqliteEvents
from phasegate.adapters.embedded.home import Home
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.state import SqliteState
from phasegate.adapters.embedded.tasks import SqliteTasks
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.gcp.bigquery.warehouse import BigQueryWarehouse
from phasegate.adapters.gcp.clients import bigquery_client, tasks_client
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.plan import Plan, compile_plan
from phasegate.domain.spec.pipeline import QueueSpec
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import Run
from phasegate.ports import Events, ObjectStore, QueueTask, State, Tasks, Warehouse
from phasegate.stack.emulators import CLOUD_TASKS
from tests.stack.target import Target, TasksServer, cloud_tasks, serving
from tests.unit.builders import plan, run

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAYS: list[date] = list(plan().days)
QUEUES = {
    "free": QueueSpec(),
    "slow": QueueSpec(max_per_second=10),
    "narrow": QueueSpec(max_concurrent=2, min_backoff_seconds=1, max_backoff_seconds=5),
}


class DeliveredTasks(Tasks, Protocol):
    """The queues, with the side that delivers: a cloud does that by itself, a test asks for it."""

    def lease(self, queues: list[str], limit: int) -> list[QueueTask]:
        """Tasks that are delivered now."""

    def acknowledge(self, tasks: list[QueueTask]) -> None:
        """The handler succeeded."""

    def give_back(self, task: QueueTask) -> None:
        """The handler failed."""

    def next_at(self, queues: list[str]) -> datetime | None:
        """When something is deliverable."""


class DeliveredEvents(Events, Protocol):
    """The topics, with the side that delivers."""

    def waiting(self, limit: int) -> list[tuple[int, str]]:
        """Messages that were not acknowledged."""

    def acknowledge(self, ids: list[int]) -> None:
        """The handler succeeded."""


class Backend(Protocol):
    """One backend, as the contract tests use it. ``reopen``: what a new process finds after this one died."""

    clock: VirtualClock
    state: State
    tasks: DeliveredTasks
    events: DeliveredEvents
    objects: ObjectStore

    def reopen(self) -> None:
        """Let the process die and another one begin."""

    def beside(self) -> State:
        """The state as another process, which drives nothing, sees it."""

    def undone(self) -> AbstractContextManager[None]:
        """What is done in here comes to nothing: the process fails in the middle of it."""


class EmbeddedBackend:
    """SQLite and a folder."""

    def __init__(self, folder: Path) -> None:
        self._home = Home(folder)
        self.clock = VirtualClock(NOW)
        self._open: list[Database] = []
        self._connect()

    def _database(self) -> Database:
        self._open.append(Database(self._home.state))
        return self._open[-1]

    def _connect(self) -> None:
        database = self._database()
        self.state = SqliteState(database, keeps_dates=True)
        self.tasks = SqliteTasks(database, self.clock, QUEUES, "r")
        self.events = SqliteEvents(database)
        self.objects = FolderObjectStore(self._home.objects)
        self._current = database

    def reopen(self) -> None:
        self._current.close()
        self._connect()

    def beside(self) -> State:
        return SqliteState(self._database(), keeps_dates=False)

    def undone(self) -> AbstractContextManager[None]:
        return self._current.transaction()

    def close(self) -> None:
        for database in self._open:
            database.close()


@pytest.fixture(params=[EmbeddedBackend], ids=["embedded"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """A blank backend."""
    made: EmbeddedBackend = request.param(tmp_path)
    yield made
    made.close()


@pytest.fixture
def started(backend: Backend) -> Backend:
    """A backend with the run ``r``."""
    create(backend.state)
    return backend


@pytest.fixture(scope="module", params=["embedded", "gcp"])
def empty_warehouse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A warehouse of each kind, without tables of this file."""
    made: Warehouse
    if request.param == "embedded":
        made = DuckDbWarehouse(tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb")
    else:
        request.getfixturevalue("bigquery_emulator")
        settings = CloudSettings.from_environment()
        made = BigQueryWarehouse(bigquery_client(settings), settings, labels={"phasegate": "test"})
    yield made
    made.close()


@pytest.fixture(scope="session")
def cloud_tasks_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TasksServer]:
    """The Cloud Tasks server of the local stack, where Google's clients find it."""
    with cloud_tasks(tmp_path_factory.mktemp("cloud-tasks")) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv(CLOUD_TASKS.variable, CLOUD_TASKS.setting(server.process.port))
        tasks_client.cache_clear()
        yield server
        tasks_client.cache_clear()


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """Where tasks are delivered."""
    with serving() as made:
        yield made


def create(state: State, run_id: str = "r", *, created: int = 0, **more: object) -> tuple[Run, Plan, Board, bool]:
    """Create a run of the world, so many seconds after the start."""
    made = run(run_id=run_id, created_at=NOW + timedelta(seconds=created), **more)
    frozen = plan()
    board = Board.blank(run_id, compile_plan(frozen), NOW)
    return made, frozen, board, state.create_run(made, frozen, board)


def after(backend: Backend, seconds: float) -> None:
    """Let time pass."""
    backend.clock.move_to(backend.clock.now() + timedelta(seconds=seconds))


Step = Callable[[Backend], None]


def stays(backend: Backend) -> None:
    """The same process goes on."""


def dies(backend: Backend) -> None:
    """Another process goes on."""
    backend.reopen()
