"""In a home folder, runs are kept in its state file and driven by a process here.

Reports are imported by what writes them, so that showing a run is quick.
"""

import logging
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import phasegate
from phasegate.adapters.embedded.clock import SystemClock
from phasegate.adapters.embedded.home import Home, HomeLock, driver_of, drives
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.schedule_file import ScheduleFile
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.bootstrap import (
    Embedded,
    EmbeddedOptions,
    has_another_warehouse,
    open_state,
    open_warehouse,
)
from phasegate.cli.backend import CalendarInputs, PlanInputs, RollbackInputs
from phasegate.cli.backends.interruption import Interruption, leave_at_once
from phasegate.cli.output import (
    EXIT_INTERRUPTED,
    EndReport,
    end_report,
    exit_status,
    say,
    show,
    show_summary,
    write_json,
)
from phasegate.cli.settings import Settings
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import HaltError, HomeInUse, InputError, PhasegateError
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.operations.preflight import PreflightLine
from phasegate.domain.plan import compile_plan
from phasegate.domain.state.run import DesiredState, Run
from phasegate.embedded_start import HomePreview, HomeStart, require_free
from phasegate.ports import State
from phasegate.report.status import counts_text, status_text
from phasegate.services.operating.operators import resume
from phasegate.services.reading.counts import count_run
from phasegate.services.reading.lost_rows import require_rows
from phasegate.services.reading.progress import progress_document, report
from phasegate.services.reading.prover import Prover
from phasegate.services.reading.schedule import read_calendar
from phasegate.services.starting.planner import missing_outside
from phasegate.services.starting.start import plan_only, preflight_only, start

if TYPE_CHECKING:
    from phasegate.report.verifier import Verified

WATCH_EVERY_SECONDS = 1.0

_log = logging.getLogger(__name__)


class EmbeddedCommands:
    """This is the commands' backend for a home folder; the protocol says what its methods do."""

    program: tuple[str, ...] = ("phasegate",)

    def __init__(self, settings: Settings) -> None:
        self._home, self._source, self._is_verbose = Home(settings.home), settings.source, settings.verbose

    def state(self) -> State:
        """See the protocol."""
        return open_state(self._home)

    def source(self, given: Path | None) -> Path | None:
        """See the protocol."""
        if (folder := given or self._source) is None:
            raise InputError("give the source folder with --source DIR; `phasegate sample DIR` makes one up")
        return folder.absolute()

    def last_pipeline(self) -> Path | None:
        """See the protocol: the newest run names it."""
        runs = self.state().runs() if self._home.state.exists() else []
        return Path(runs[0].pipeline_file) if runs else None

    def driver(self) -> str | None:
        """See the protocol."""
        return self._home.driver()

    def calendar(self, pipeline_file: Path, source: Path | None) -> CalendarInputs:
        """See the protocol."""
        pipeline = load_pipeline(pipeline_file)
        query = ScheduleFile(_folder(source), pipeline.calendar).query
        return CalendarInputs(pipeline, read_calendar(pipeline.calendar, query), query)

    def preflight(self, run_request: RunRequest) -> list[PreflightLine]:
        """See the protocol."""
        with HomePreview(self._home, _folder(run_request.source)) as environment:
            return preflight_only(run_request, environment)

    def plan(self, run_request: RunRequest) -> PlanInputs:
        """See the protocol."""
        with HomePreview(self._home, _folder(run_request.source)) as environment:
            made = plan_only(run_request, environment)
            _say_remade(made.remade)
            return PlanInputs(made.plan, missing_outside(compile_plan(made.plan), environment.prover))

    def run(self, run_request: RunRequest, run_id: str | None, *, durable: bool, as_json: bool) -> int:
        """See the protocol."""
        with self._begun(run_request, run_id, EmbeddedOptions(durable=durable)) as (embedded, run):
            return _drive(embedded, run, as_json, self._is_verbose)

    def start(self, run_request: RunRequest, run_id: str | None) -> str:
        """See the protocol: a process of its own drives the run. Raises HaltError when none does."""
        with self._begun(run_request, run_id) as (embedded, run):
            if (board := embedded.state.board(run.run_id)[0]).is_over(run):
                say(f"run {run.run_id} is over ({board.status.value}); see: phasegate status {run.run_id}")
                return run.run_id
        log = self._home.log_of(run.run_id)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as written:
            said_before = written.tell()
            child = subprocess.Popen(  # noqa: S603 - our own command
                own_command("--backend", "embedded", "--home", str(self._home.root), "resume", run.run_id),
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,
            )
        own = driver_of(child.pid, run.run_id)
        while child.poll() is None and self._home.driver() != own:
            time.sleep(0.02)
        is_driven = child.returncode in (None, 0) or self._home.last_driver() == own
        if not is_driven and not drives(self.driver(), run.run_id):
            raise HaltError(_not_driven(run.run_id, child.returncode, log, said_before))
        return run.run_id

    def watch(self, run_id: str, as_json: bool) -> int:
        """See the protocol."""
        leave_at_once()
        shown = ""
        while True:
            # Asked first: a process that ends in between has left the run at rest.
            driver = self.driver()
            state, now = self.state(), SystemClock().now()
            counts = count_run(state, run_id, now)
            if counts.status.is_at_rest:
                found = report(state, run_id, now)
                show(status_text(found, driver), aside=as_json)
                if as_json:
                    write_json(progress_document(found))
                made = end_report(state.reports(run_id), found.finished_at, self._path)
                return exit_status(found.status, made)
            if (text := counts_text(counts, driver)) != shown:
                show(text, aside=as_json)
                shown = text
            if driver is None:
                raise InputError(f"no process drives run '{run_id}'; go on with: phasegate resume {run_id}")
            time.sleep(WATCH_EVERY_SECONDS)

    def _path(self, name: str) -> str:
        """Where a page of the object store lies."""
        return str(self._home.root / name)

    def deletion_of_reports(self, run_ids: Sequence[str]) -> str:
        """See the protocol."""
        places = [place for name in run_ids for place in (self._home.reports / name, self._home.log_of(name))]
        there = [str(place) for place in places if place.exists()]
        return shlex.join(["rm", "-r", "--", *there]) if there else ""

    def expect_change(self, run_id: str) -> None:  # noqa: ARG002 - whoever drives the home sees every change
        """See the protocol. Raises InputError for a home in which nobody can drive."""
        self._home.require_whole()

    def go_on(self, run_id: str, as_json: bool) -> int:
        """See the protocol: drives the run here, unless another process does, which has seen the change by now."""
        if driver := self.driver():
            if not drives(driver, run_id):
                raise HomeInUse(
                    f"{self._home.root} is in use by {driver}; wait until that run has ended, then try again"
                )
            if as_json:
                write_json({"run_id": run_id, "driven_by": driver})
            say(f"{driver} goes on with it; follow it with: phasegate watch {run_id}")
            return 0
        state = self.state()
        run, plan = state.run(run_id), state.plan(run_id)
        source = Path(run.source) if run.source else None
        file = Path(run.pipeline_file) if run.pipeline_file else None
        with Embedded(self._home, plan.pipeline, source, pipeline_file=file) as embedded:
            _say_another_warehouse(self._home, embedded.has_another_warehouse)
            return _drive(embedded, run, as_json, self._is_verbose)

    def verify_run(self, run_id: str) -> "tuple[Verified, str]":
        """See the protocol."""
        from phasegate.report.verifier import verify_run
        from phasegate.report.verify.compose import VerifierInputs

        state, home = self.state(), self._home
        state.run(run_id)
        with self._tables_to_verify() as warehouse:
            _say_another_warehouse(home, has_another_warehouse(home, warehouse))
            inputs = VerifierInputs(state, warehouse, FolderObjectStore(home.objects))
            made = verify_run(inputs, FolderObjectStore(home.root), SystemClock(), run_id)
        return made, str(home.root / made.page)

    def verify_dates(
        self, pipeline_file: Path, source: Path | None, selection: Selection, phases: str | None
    ) -> "tuple[Verified, str]":
        """See the protocol."""
        from phasegate.report.verifier import plan_of_dates, verify_dates
        from phasegate.report.verify.compose import VerifierInputs

        read = self.calendar(pipeline_file, source)
        plan_of_dates(read.pipeline, read.calendar, selection, phases)
        home = self._home
        if not home.warehouse.exists():
            raise InputError(f"{home.root}: no warehouse here yet; there is nothing to verify, or give --home DIR")
        with self._tables_to_verify() as warehouse:
            inputs = VerifierInputs(None, warehouse, FolderObjectStore(home.objects))
            store = FolderObjectStore(home.root)
            made = verify_dates(inputs, store, SystemClock(), read.pipeline, read.calendar, selection, phases)
        return made, str(home.root / made.page)

    @contextmanager
    def _tables_to_verify(self) -> Iterator[DuckDbWarehouse]:
        """The warehouse, and nobody who drives the home while the report is written."""
        require_free(self._home, _VERIFIED_LATER)
        with HomeLock(self._home):
            warehouse = open_warehouse(self._home)
            try:
                yield warehouse
            finally:
                warehouse.close()

    @contextmanager
    def rollback_inputs(self) -> Iterator[RollbackInputs]:
        """See the protocol: the home's lock is held."""
        home = self._home
        if not home.warehouse.exists():
            raise InputError(f"{home.root}: no warehouse here yet; there is nothing to roll back, or give --home DIR")
        with HomeLock(home):
            state, warehouse = open_state(home), open_warehouse(home)
            try:
                yield RollbackInputs(state, warehouse, FolderObjectStore(home.objects), SystemClock(), is_shared=False)
            finally:
                warehouse.close()

    @contextmanager
    def _begun(
        self, run_request: RunRequest, run_id: str | None, how: EmbeddedOptions | None = None
    ) -> Iterator[tuple[Embedded, Run]]:
        """The home opened for driving, and the run of a request in it: a new one, or the unfinished one, which goes
        on."""
        with HomeStart(self._home, _folder(run_request.source), how) as environment:
            started = start(run_request, environment, run_id)
            run, state = started.run, environment.embedded.state
            _say_another_warehouse(self._home, environment.embedded.has_another_warehouse)
            _say_remade(started.remade)
            if not started.is_new:
                say(f"resuming run {run.run_id}")
                if run.desired_state in (DesiredState.PAUSED, DesiredState.DRAINING):
                    run = resume(state, run.run_id)
            yield environment.embedded, run


_VERIFIED_LATER = "the report is made by itself when that run has ended"


_MAIN = Path(phasegate.__file__).resolve().parent / "cli" / "main.py"

LOG_LINES_SHOWN = 12
"""Of the log of a process that did not come to drive its run."""


def own_command(*words: str) -> list[str]:
    """Return a ``phasegate`` command as this interpreter runs it: what lies in the current folder is not looked at."""
    return [sys.executable, "-P", str(_MAIN), *words]


def _not_driven(run_id: str, status: int, log: Path, offset: int) -> str:
    """What a person is told whose run was written, while the process that was to drive it is gone.

    offset: where in its log that process began to write.
    """
    lines = log.read_bytes()[offset:].decode(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
    ended = f"with status {status}" if status >= 0 else f"by signal {-status}"
    said = "\n".join(f"  {line}" for line in lines) or "  (nothing)"
    return (
        f"run {run_id} is written and not driven: its process ended {ended}; go on with: phasegate resume {run_id}\n"
        f"the end of its log, {log}:\n{said}"
    )


def _folder(source: Path | str | None) -> Path:
    """The source folder, which embedded mode always has."""
    if source is None:
        raise InputError("give the source folder with --source DIR")
    return Path(source)


def _say_remade(days: Sequence[date]) -> None:
    """Tell of dates whose rows were made from another source folder, if there are any."""
    if days:
        say(f"{len(days)} date(s) hold rows made from another source folder; they are made again")


def _say_another_warehouse(home: Home, is_another: bool) -> None:
    if is_another:
        say(
            f"{home.warehouse} is not the warehouse that this home knows: what earlier runs say of tables is not about "
            "this one; the tables themselves are asked what they hold"
        )


def _drive(embedded: Embedded, run: Run, as_json: bool, is_verbose: bool) -> int:
    """Drive a run with a live display, print its summary, return the exit status."""
    from phasegate.cli.backends.display import Display
    from phasegate.cli.backends.run_log import RunLog
    from phasegate.report.summary import summarise

    if not embedded.state.board(run.run_id)[0].is_over(run):
        require_rows(embedded.state, Prover(embedded.warehouse, embedded.objects), run.run_id)
    with RunLog(embedded.home.log_of(run.run_id), is_verbose=is_verbose):
        with Interruption() as interruption, Display(run.run_id, embedded.state.index(run.run_id)) as display:
            embedded.drive(run.run_id, stop=interruption.is_asked, progress=display.show)
        found = summarise(embedded.state, embedded.warehouse, run.run_id, embedded.clock.now())
        status = found.report.status
        made = _report_at_end(embedded, run.run_id) if status.is_final else None
    show_summary(found, made, None, as_json)
    if interruption.is_asked() and not status.is_at_rest:
        say(f"interrupted; the same command resumes, or: phasegate resume {run.run_id}")
        return EXIT_INTERRUPTED
    return exit_status(status, made)


def _report_at_end(embedded: Embedded, run_id: str) -> EndReport | None:
    """The report on a run that has just been driven; None, and a line in the log, when it could not be made.

    Whatever goes wrong here is told and changes nothing about the run.
    """
    from phasegate.report.verifier import verify_run
    from phasegate.report.verify.compose import VerifierInputs

    inputs = VerifierInputs(embedded.state, embedded.warehouse, embedded.objects)
    root = embedded.home.root
    try:
        made = verify_run(inputs, FolderObjectStore(root), embedded.clock, run_id)
    except (PhasegateError, OSError) as error:
        _log.warning("no report on run %s: %s", run_id, error)
        say(f"no report could be made: {error}; try again with: phasegate verify {run_id}")
        return None
    return EndReport(made.report.agrees, made.report.verdict, str(root / made.page))
