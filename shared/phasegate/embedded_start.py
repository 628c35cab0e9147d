"""In embedded mode a start finds around it a home folder and a source folder."""

import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from phasegate.adapters.embedded.dialect import translate
from phasegate.adapters.embedded.empty_tables import EmptyTables
from phasegate.adapters.embedded.home import Home
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.schedule_file import ScheduleFile
from phasegate.adapters.embedded.state import SqliteState, clock_of, open_state
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.pipeline_file import load_pipeline, place_in_file
from phasegate.bootstrap import (
    Embedded,
    EmbeddedOptions,
    check_dispatch,
    open_warehouse,
    workers_apart,
)
from phasegate.domain.decisions.standing import known_to_lack_units, standing
from phasegate.domain.errors import HomeInUse, NoSchedule, PhasegateError, StatementRefused
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.operations.preflight import PreflightLine, require_passed
from phasegate.domain.protocol.worker import Said
from phasegate.domain.spec.cross_check import CrossCheckTable
from phasegate.domain.spec.pipeline import CalendarSpec, Pipeline
from phasegate.installation import EmbeddedInstallation, inspect_workers
from phasegate.ports import Bound, Clock, Parameter, State, Warehouse
from phasegate.services.reading.cross_check import CalendarReader, cross_check, outputs_of
from phasegate.services.reading.made_with import said_by, warn_unasked
from phasegate.services.reading.prover import Prover
from phasegate.services.reading.schedule import Query
from phasegate.services.starting.dry_run import Binder
from phasegate.services.starting.identity import RequestIdentity
from phasegate.services.starting.own_tables import history_script
from phasegate.services.starting.preflight import calendar_lines, check_tables
from phasegate.services.starting.scope import RunScope


class HomePreview:
    """A preview is the ``PlanEnvironment`` of a home: the home is read and not locked. A context manager, which closes
    state and tables."""

    def __init__(self, home: Home, source: Path) -> None:
        self.home, self._source = home, source
        self._stack = ExitStack()
        self._state: SqliteState | None = None
        self._prover: Prover | None = None
        self._pipeline_file: Path | None = None
        self._pipeline: Pipeline | None = None
        self._clock: Clock | None = None
        self._schedule: ScheduleFile | None = None
        self._opened_here: DuckDbWarehouse | None = None

    @property
    def clock(self) -> Clock:
        """See the protocol: the home's."""
        if self._clock is None:
            self._clock = clock_of(self.home)
        return self._clock

    def __enter__(self) -> Self:
        """Open nothing before it is needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was opened."""
        self._stack.__exit__(kind, error, trace)

    @property
    def state(self) -> State | None:
        """See the protocol."""
        if self._state is None and self.home.state.exists():
            self._state = open_state(self.home)
            self._stack.callback(self._state.close)
        return self._state

    @property
    def prover(self) -> Prover | None:
        """See the protocol. Raises HomeInUse while another process has the warehouse."""
        if self._prover is None and self.home.warehouse.exists():
            require_free(self.home, "type it again when that run has ended; `phasegate runs` names it")
            warehouse = open_warehouse(self.home)
            self._stack.callback(warehouse.close)
            self._opened_here = warehouse
            self._prover = Prover(warehouse, FolderObjectStore(self.home.objects))
        return self._prover

    def read_pipeline(self, request: RunRequest) -> Pipeline:
        """See the protocol."""
        self._pipeline_file = Path(request.pipeline_file)
        self._pipeline = load_pipeline(self._pipeline_file)
        return self._pipeline

    def schedule(self, request: RunRequest, pipeline: Pipeline) -> Query:  # noqa: ARG002 - the folder is the request's
        """See the protocol. The schedule is a file of the source folder: planning needs no warehouse."""
        self._schedule = ScheduleFile(self._source, pipeline.calendar)
        return self._schedule.query

    def binder(self, request: RunRequest, pipeline: Pipeline) -> Binder:  # noqa: ARG002 - the scripts are the pipeline's
        """See the protocol: tables are those of the home, and those that a start will make. Workers may make others,
        where no script of the pipeline says which."""
        scripts = {**pipeline.schema_texts, "history_table": history_script(pipeline)}
        is_complete = bool(pipeline.schema_texts) or not pipeline.workers
        return EmptyTables(self._columns_there(), scripts, self._bind_calendar, is_complete=is_complete)

    def _bind_calendar(self, sql: str) -> StatementRefused | None:
        if self._schedule is not None:
            return self._schedule.dry_run(sql)
        # No source was named: what the schedule holds is not known, what the words mean is.
        try:
            translate(sql)
        except StatementRefused as error:
            return error
        return None

    def _columns_there(self) -> dict[str, Mapping[str, str]]:
        """The tables of the home; none where nobody may look: who drives it, or what is wrong, is said elsewhere."""
        if self._opened_here is not None:
            return self._opened_here.all_columns()
        with suppress(PhasegateError):
            if self.home.warehouse.exists() and not self.home.driver():
                with closing(open_warehouse(self.home)) as warehouse:
                    return warehouse.all_columns()
        return {}

    def place(self, request: RunRequest, at: str, line: int | None, column: int | None) -> str:
        """See the protocol."""
        return place_in_file(Path(request.pipeline_file), at, line, column)

    def inspect(self, scope: RunScope) -> list[PreflightLine]:
        """See the protocol."""
        return EmbeddedInstallation(self.home, self._pipeline_file, self._source).inspect(scope.pipeline, scope.phases)

    def compare_calendar(self, scope: RunScope) -> list[PreflightLine]:
        """See the protocol. Files are read, and the tables that are there, while no other process has them."""
        if scope.pipeline.calendar.cross_check is None:
            return []
        with ExitStack() as stack:
            warehouse = None
            # What is wrong with the home, or who drives it, is a line of its own.
            with suppress(PhasegateError):
                if self.home.warehouse.exists() and not self.home.driver():
                    warehouse = open_warehouse(self.home)
                    stack.callback(warehouse.close)
            filled = outputs_of(scope.pipeline)
            there = set() if warehouse is None else warehouse.columns(filled).keys()
            reader = calendar_reader(self._source, scope.pipeline.calendar, warehouse)
            written = [ref for table, ref in filled.items() if table in there]
            now = self.clock.now()
            known = known_to_lack_units(scope.pipeline, standing(scope.pipeline, now))
            checked = cross_check(scope.pipeline, scope.calendar, scope.days, reader, now, written, known)
        return calendar_lines(scope.pipeline.calendar, checked)

    def ask_workers(self, names: Collection[str]) -> Mapping[str, Said]:
        """See the protocol. They are made for it, as preflight makes them; what they print is none of the plan."""
        said: dict[str, Said] = {}
        specs = self._pipeline.workers if self._pipeline is not None else {}
        for name in sorted(specs.keys() & names):
            try:
                with (
                    redirect_stdout(sys.stderr),
                    workers_apart(self._pipeline_file, {name: specs[name]}, self._source) as workers,
                ):
                    said.update(said_by(workers))
            except PhasegateError as error:
                warn_unasked(name, error)
        return said


class PreparedTables(EmptyTables):
    """The tables that workers have made are bound against as they are."""

    def __init__(self, warehouse: DuckDbWarehouse, bind_calendar: Callable[[str], StatementRefused | None]) -> None:
        super().__init__(warehouse.all_columns(), {}, bind_calendar, is_complete=True)
        self._warehouse = warehouse

    def bind(self, questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[Bound]:
        """See the protocol."""
        return self._warehouse.dry_run(questions)

    def assume(self, table: str, columns: Mapping[str, str]) -> bool:  # noqa: ARG002 - what is made is there
        """See the protocol: it cannot."""
        return False


def calendar_reader(source: Path | None, calendar: CalendarSpec, warehouse: Warehouse | None) -> CalendarReader:
    """Return where the calendar is told right or wrong: the files of the source folder, and the tables, if they are to
    be asked. Nothing is opened before it is asked."""

    @cache
    def file() -> ScheduleFile:
        if source is None:
            raise NoSchedule("the run has no source folder, in which the schedule could be read")
        return ScheduleFile(source, calendar)

    def source_of(table: CrossCheckTable) -> Query:
        return file().query_of(table.table, table.date_column, table.file or "")

    tables = None if warehouse is None else warehouse.query
    return CalendarReader(lambda sql: file().query(sql), tables, source_of)


class HomeStart(HomePreview):
    """A start in a home is its ``StartEnvironment``; the home is opened and locked as soon as it is there: nobody else
    begins the same run meanwhile. A context manager, which closes the home.

    Raises HomeInUse when another process drives this home.
    """

    def __init__(self, home: Home, source: Path, options: EmbeddedOptions | None = None) -> None:
        super().__init__(home, source)
        self._options = options or EmbeddedOptions()
        self._opened: Embedded | None = None
        self._is_prepared = False

    @property
    def embedded(self) -> Embedded:
        """Return the open home, in which the run that was started is driven."""
        if self._pipeline is None:
            raise ValueError("the pipeline is read first")
        if self._opened is None:
            file = self._pipeline_file
            home = Embedded(self.home, self._pipeline, self._source, self._options, pipeline_file=file)
            self._opened = self._stack.enter_context(home)
        return self._opened

    @property
    def clock(self) -> Clock:
        """See the protocol: a run is begun and driven by one clock."""
        return self._opened.clock if self._opened is not None else self._options.clock or super().clock

    @property
    def state(self) -> State | None:
        """See the protocol."""
        return self.embedded.state if self._opened is not None or self.home.state.exists() else None

    @property
    def prover(self) -> Prover:
        """See the protocol."""
        return Prover(self.embedded.warehouse, self.embedded.objects)

    def binder(self, request: RunRequest, pipeline: Pipeline) -> Binder:
        """See the protocol. What the workers have made is all there will be."""
        if not self._is_prepared:
            return super().binder(request, pipeline)
        return PreparedTables(self.embedded.warehouse, self._bind_calendar)

    def _columns_there(self) -> dict[str, Mapping[str, str]]:
        return self._opened.warehouse.all_columns() if self._opened is not None else super()._columns_there()

    def inspect(self, scope: RunScope) -> list[PreflightLine]:
        """See the protocol. The tables are checked by ``prepare``, when the workers have made them."""
        check_dispatch(scope.pipeline, scope.phases)
        return inspect_workers(self._pipeline_file, scope.pipeline, scope.phases, self._source)

    def ask_workers(self, names: Collection[str]) -> Mapping[str, Said]:
        """See the protocol."""
        return said_by({name: worker for name, worker in self.embedded.workers.items() if name in names})

    def prepare(self, scope: RunScope) -> State:
        """See the protocol: the workers and Phasegate make their tables, which then must be right."""
        self.embedded.prepare(scope.pipeline, scope.phases)
        require_passed(check_tables(scope.tables, self.embedded.warehouse))
        self._is_prepared = True
        return self.embedded.state

    def run_ids(self, pipeline: Pipeline, identity: RequestIdentity) -> Iterable[str]:  # noqa: ARG002 - see below
        """See the protocol. The home is locked, so that a name need not say what was asked for: it says when."""
        yield f"{pipeline.pipeline}-{self.clock.now():%Y%m%d-%H%M%S}-{os.urandom(2).hex()}"

    def wake(self, run_id: str) -> None:
        """See the protocol. Whoever drives the home begins with a sweep, which wakes the run."""


def require_free(home: Home, what_to_do: str) -> None:
    """Refuse a home that another process drives, as only one process may read a warehouse: raises HomeInUse, and
    InputError for a home that is none."""
    home.require_whole()
    if driver := home.driver():
        raise HomeInUse(f"{home.root} is in use by {driver}, and only one process may read its warehouse; {what_to_do}")
