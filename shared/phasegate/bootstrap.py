"""The bootstrap wires the embedded backend and the services together; ``deployment`` does so for Google Cloud."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType

from phasegate.adapters.embedded.clock import SteadyClock, SystemClock
from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.engine import Engine, Progress
from phasegate.adapters.embedded.events import SqliteEvents
from phasegate.adapters.embedded.executor import Executor, ThreadExecutor
from phasegate.adapters.embedded.home import Home, HomeLock
from phasegate.adapters.embedded.in_process import InProcessWorker, make_in_process
from phasegate.adapters.embedded.known_warehouse import get_to_know, is_another
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.processes import KILLED_WITHIN, ProcessWorker, WorkerSource
from phasegate.adapters.embedded.state import SqliteState
from phasegate.adapters.embedded.tasks import SqliteTasks
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.decisions.advance import limit_reached
from phasegate.domain.errors import InputError
from phasegate.domain.messages.completion import CallEnd
from phasegate.domain.messages.tasks import DispatchPage, WakeUp, payload_model
from phasegate.domain.protocol.names import CONDUCTOR_QUEUE, DISPATCH_QUEUE
from phasegate.domain.protocol.versions import read_json
from phasegate.domain.spec.dispatch import Observed
from phasegate.domain.spec.pipeline import SCHEMA_TEXTS, Pipeline, QueueSpec, WorkerSpec
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import Run
from phasegate.domain.state.time_spent import TimeSpent
from phasegate.ports import Clock, ObjectStore, QueueTask, State
from phasegate.ports.events import Message
from phasegate.services.backend import Backend
from phasegate.services.running.calls import Call
from phasegate.services.running.conductor import Conductor
from phasegate.services.running.dispatcher import Dispatcher
from phasegate.services.running.external_events import ExternalEventListener
from phasegate.services.running.historian import Historian
from phasegate.services.running.listener import Listener
from phasegate.services.running.reconciler import Reconciler
from phasegate.services.running.runner import Runner
from phasegate.services.running.sweeper import Sweeper
from phasegate.services.starting.own_tables import make_own_tables

WAKE_BUCKET = timedelta(milliseconds=50)
"""In embedded mode the conductor is woken at most once in this time; on a cloud it is half a second."""

WORKER_THREADS = 4

_CONTROL = {CONDUCTOR_QUEUE: QueueSpec(max_concurrent=50), DISPATCH_QUEUE: QueueSpec(max_concurrent=1)}
"""The engine handles one at a time; of wake-ups that wait it takes all, and makes one pass for them."""


Execute = Callable[[Call], CallEnd]


class Services:
    """The services stand over one backend, in the shape in which the embedded engine calls them."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.dispatcher = Dispatcher(backend)
        self.reconciler = Reconciler(backend, self.dispatcher)
        self.runner = Runner(backend, self.dispatcher)
        self.listener = Listener(backend, self.reconciler)
        self.external_events = ExternalEventListener(backend, self.reconciler)
        self.historian = Historian(backend)
        self.conductor = Conductor(backend, self.dispatcher, self.historian)
        self.sweeper = Sweeper(backend, self.reconciler, self.dispatcher)

    def claim(self, tasks: Sequence[QueueTask]) -> list[Call | None]:
        """Claim the attempts of these tasks."""
        return self.runner.claim([read_json(payload_model(task.payload), task.payload) for task in tasks])

    def describe(self, call: Call) -> str:
        """Describe a call in a few words."""
        return f"{call.days} {call.task.processor}"

    def abandon(self, calls: Sequence[Call]) -> None:
        """Note that claimed calls were not made."""
        self.runner.abandon(calls)

    def finish(self, ended: Sequence[tuple[Call, CallEnd]]) -> None:
        """Report what became of calls."""
        self.runner.finish(ended)

    def listen(self, messages: Sequence[Message]) -> None:
        """Take completion events."""
        self.listener.handle(messages)

    def control(self, task: QueueTask) -> None:
        """Handle a task of the control queues."""
        if task.queue == CONDUCTOR_QUEUE:
            self.conductor.conduct(read_json(WakeUp, task.payload).run_id)
        else:
            page = read_json(DispatchPage, task.payload)
            self.reconciler.reconcile_days(page.run_id, page.dates)

    def sweep(self, run_id: str) -> None:
        """Reconcile a run that no message is about."""
        self.sweeper.sweep(run_id)

    def limit_reached(self, run_id: str) -> str | None:
        """Name the limit that alone holds dates of a run back."""
        state, board = self.backend.state, self.board(run_id)
        return limit_reached(state.index(run_id, board.plan), board, state.run(run_id))

    def run(self, run_id: str) -> Run:
        """Return the run as people want it now."""
        return self.backend.state.run(run_id)

    def board(self, run_id: str) -> Board:
        """Return the run as it stands."""
        return self.backend.state.board(run_id)[0]


def open_warehouse(home: Home) -> DuckDbWarehouse:
    """Open the warehouse of a home. Raises HaltError for a damaged file, HomeInUse when another process has it."""
    return DuckDbWarehouse(home.warehouse)


def has_another_warehouse(home: Home, warehouse: DuckDbWarehouse) -> bool:
    """Tell whether the warehouse of a home is not the one that its state knows. Nothing is written."""
    return home.state.exists() and is_another(Database(home.state), warehouse)


@contextmanager
def loaded_workers(
    pipeline_file: Path | None,
    specs: Mapping[str, WorkerSpec],
    source: Path | None,
    warehouse: DuckDbWarehouse,
    objects: ObjectStore,
    clock: Clock,
) -> Iterator[Mapping[str, InProcessWorker | ProcessWorker]]:
    """Load workers that a pipeline file names, each into this process or, where the file says so, into others.

    Those have ended when this is left. Raises InputError when a worker cannot be made.
    """
    with ExitStack() as stack:
        workers: dict[str, InProcessWorker | ProcessWorker] = {}
        for name, spec in specs.items():
            if spec.factory is None:
                raise InputError(f"worker '{name}' has no factory; embedded mode calls no worker by its address")
            if spec.isolation == "process":
                made_from = WorkerSource(name, spec.factory, pipeline_file, source)
                in_processes = stack.enter_context(closing(ProcessWorker(made_from, warehouse, objects, clock)))
                in_processes.make()
                workers[name] = in_processes
            else:
                workers[name] = make_in_process(name, spec.factory, pipeline_file, source, warehouse, objects)
        yield workers


def check_dispatch(pipeline: Pipeline, phases: Iterable[str]) -> None:
    """Refuse a phase that an existing system starts, whose messages do not come to embedded mode: raises InputError."""
    for name in phases:
        how = pipeline.phase(name).how
        if isinstance(how, Observed):
            raise InputError(
                f"phase '{name}' is observed on Pub/Sub topic '{how.topic}', which embedded mode does not listen to; "
                "leave it out with --phases, or run with --backend gcp"
            )


def check_workers(pipeline_file: Path | None, pipeline: Pipeline, source: Path | None) -> None:
    """Make every worker once: a bad source folder is found before anything is written.

    pipeline_file: where the pipeline was read, beside which its workers lie. Raises InputError.
    """
    with workers_apart(pipeline_file, pipeline.workers, source):
        pass


@contextmanager
def workers_apart(
    pipeline_file: Path | None, specs: Mapping[str, WorkerSpec], source: Path | None
) -> Iterator[Mapping[str, InProcessWorker | ProcessWorker]]:
    """Make workers on a warehouse in memory, apart from any home. Raises InputError when one cannot be made."""
    warehouse = DuckDbWarehouse(Path(":memory:"))
    try:
        with loaded_workers(
            pipeline_file, specs, source, warehouse, FolderObjectStore(Path(":memory:")), SystemClock()
        ) as workers:
            yield workers
    finally:
        warehouse.close()


@dataclass(slots=True)
class EmbeddedOptions:
    """The options say how the embedded backend is set up."""

    durable: bool = False
    """Whether what is written survives a power cut, not only the death of the process."""

    threads: int = WORKER_THREADS
    """How many workers are called at once."""

    atomic_turns: bool = True
    """Whether a turn of the engine is one transaction; False: every effect is its own, as on a cloud."""

    clock: Clock | None = None
    """What tells the time; None: the system's clock, which never goes back behind what is recorded."""

    executor: Callable[[Execute, Clock], Executor[Call, CallEnd]] | None = None
    """Makes what executes the calls; None: threads."""

    wake_bucket: timedelta = WAKE_BUCKET
    """The conductor is woken at most once in this time."""


class Embedded:
    """A home folder is opened here for driving runs. A context manager: it holds the home's lock.

    pipeline_file: where the pipeline was read, now or when the run began; its workers lie beside it. None: they are
    looked up on Python's path alone. Raises HomeInUse when another process drives this home.
    """

    def __init__(
        self,
        home: Home,
        pipeline: Pipeline,
        source: Path | None,
        options: EmbeddedOptions | None = None,
        *,
        pipeline_file: Path | None = None,
    ) -> None:
        self.home, self.pipeline, self._source, self._pipeline_file = home, pipeline, source, pipeline_file
        self._options = options or EmbeddedOptions()
        self._undriven: tuple[datetime, datetime] | None = None
        self._prepared: tuple[Pipeline, tuple[str, ...]] | None = None
        self._stack = ExitStack()
        self.spent = TimeSpent()
        """Where the time of the last drive went."""

    def __enter__(self) -> "Embedded":
        """Open the home."""
        with ExitStack() as stack:
            self._lock = stack.enter_context(HomeLock(self.home))
            self.home.sweep_unfinished()
            self.database = Database(self.home.state, durable=self._options.durable)
            stack.callback(self.database.close)
            last = self.database.latest_moment()
            self.clock: Clock = self._options.clock or SteadyClock(last)
            self._undriven = (last, self.clock.now()) if last is not None else None
            self.state: State = SqliteState(self.database, keeps_dates=True)
            self.events = SqliteEvents(self.database)
            self.objects = FolderObjectStore(self.home.objects)
            self.warehouse = open_warehouse(self.home)
            stack.callback(self.warehouse.close)
            self.has_another_warehouse = get_to_know(self.database, self.warehouse)
            self.workers = stack.enter_context(
                loaded_workers(
                    self._pipeline_file, self.pipeline.workers, self._source, self.warehouse, self.objects, self.clock
                )
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything, free the lock."""
        self._stack.__exit__(kind, error, trace)

    def engine(self, run_id: str) -> Engine[Call]:
        """Make an engine for one run of this home."""
        pipeline = self.state.plan(run_id).pipeline
        queues = {**pipeline.queues, **_CONTROL}
        tasks = SqliteTasks(self.database, self.clock, queues, run_id)
        backend = Backend(
            state=self.state,
            tasks=tasks,
            events=self.events,
            warehouse=self.warehouse,
            objects=self.objects,
            workers=self.workers,
            clock=self.clock,
            wake_bucket=self._options.wake_bucket,
            incarnation=self.database.incarnation,
            undriven=self._undriven,
        )
        self._undriven = None  # Whatever is driven here afterwards follows at once.
        services = Services(backend)
        make = self._options.executor or self._threads
        executor = make(services.runner.execute, self.clock)
        self._stack.callback(executor.close)
        return Engine(
            run_id,
            self.database,
            tasks,
            self.events,
            executor,
            services,
            self.clock,
            control_queues=tuple(_CONTROL),
            work_queues=tuple(reversed(pipeline.queues)),
            atomic_turns=self._options.atomic_turns,
        )

    def drive(
        self,
        run_id: str,
        *,
        stop: Callable[[], bool] = lambda: False,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> Board:
        """Drive a run until it is final, drained or stopped."""
        self._lock.announce(run_id)
        if isinstance(self.clock, SteadyClock):
            self.clock.tell_again()
        plan = self.state.plan(run_id)
        if self._prepared != (plan.pipeline, tuple(plan.phases)):
            self.prepare(plan.pipeline, plan.phases)
        self._prepared = None  # What a later drive finds is not known yet.
        self._lock.name_run(run_id)
        engine = self.engine(run_id)
        self.spent = engine.spent
        board = engine.drive(stop=stop, progress=progress)
        self.state.add_time(run_id, engine.spent)
        return board

    def prepare(self, pipeline: Pipeline, phases: Sequence[str]) -> None:
        """Let the workers set up what they need (tables, reference data), and make Phasegate's own tables for the
        phases of a run. The next drive of such a run finds them made. Raises InputError where a SELECT does not fit.
        """
        for worker in self.workers.values():
            worker.prepare()
        make_own_tables(pipeline, phases, self.warehouse)
        # Without the texts of its schema scripts, which are not stored with a plan.
        self._prepared = pipeline.model_copy(update={SCHEMA_TEXTS: {}}), tuple(phases)

    def _threads(self, execute: Execute, clock: Clock) -> Executor[Call, CallEnd]:
        return ThreadExecutor(execute, self._options.threads, clock, self._allowed)

    def _allowed(self, call: Call) -> timedelta:
        """How long a thread is left to a call: what is killed at its deadline has its end a moment later."""
        is_killed = isinstance(self.workers.get(call.task.call.worker), ProcessWorker)
        claim = call.claim
        return claim.deadline - claim.claimed_at + (KILLED_WITHIN if is_killed else timedelta())
