"""The commands' backend in a home folder: runs are kept in its state file, and driven by a process here.

Reports are imported by what writes them, so that a look at a run is quick.
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from phasegate.adapters.embedded.clock import SystemClock
from phasegate.adapters.embedded.home import Home, HomeLock
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.schedule_file import ScheduleFile
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.bootstrap import (
    Embedded,
    EmbeddedOptions,
    check_dispatch,
    check_workers,
    open_state,
    open_warehouse,
)
from phasegate.cli.backend import CalendarInputs, PlanInputs, RollbackInputs
from phasegate.cli.backends.interruption import Interruption
from phasegate.cli.output import EXIT_INTERRUPTED, EndReport, say, show_summary, write_json
from phasegate.cli.settings import Settings
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import HomeInUse, InputError, PhasegateError
from phasegate.domain.operations.preflight import PreflightLine, require_passed
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.run import DesiredState, Run
from phasegate.installation import EmbeddedInstallation
from phasegate.ports import State
from phasegate.report.status import status_text
from phasegate.services.operating.operators import resume
from phasegate.services.reading.progress import as_json as progress_document
from phasegate.services.reading.progress import report
from phasegate.services.reading.prover import Prover
from phasegate.services.reading.schedule import read_calendar
from phasegate.services.starting.planner import choose_phases, missing_outside, require_earlier_run
from phasegate.services.starting.preflight import check_start, check_tables, subject_of
from phasegate.services.starting.starter import RunRequest, begin_run, existing_run, plan_of, settled

if TYPE_CHECKING:
    from phasegate.report.verifier import Verified

WATCH_EVERY_SECONDS = 1.0

_log = logging.getLogger(__name__)


class EmbeddedCommands:
    """See the protocol."""

    program: tuple[str, ...] = ("phasegate",)

    def __init__(self, settings: Settings) -> None:
        self._home, self._source = Home(settings.home), settings.source

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
        pipeline, calendar = self._read_inputs(run_request)
        installation = EmbeddedInstallation(self._home, _folder(run_request.source))
        found = installation.inspect(pipeline, _phases(pipeline, run_request))
        return [*_start_lines(run_request, pipeline, calendar), *found]

    def plan(self, run_request: RunRequest) -> PlanInputs:
        """See the protocol."""
        pipeline, calendar = self._read_inputs(run_request)
        home = self._home
        prover = warehouse = None
        if home.warehouse.exists():
            self._require_free("plan when that run has ended, or look at the run with `phasegate status`")
            warehouse = open_warehouse(home)
            prover = Prover(warehouse, FolderObjectStore(home.objects))
        try:
            state = open_state(home) if home.state.exists() else None
            made = plan_of(run_request, pipeline, calendar, prover, state, _say_remade)
            return PlanInputs(made, missing_outside(made.index, prover))
        finally:
            if warehouse is not None:
                warehouse.close()

    def run(self, run_request: RunRequest, run_id: str | None, *, durable: bool, as_json: bool) -> int:
        """See the protocol."""
        with self._begun(run_request, run_id, EmbeddedOptions(durable=durable)) as (embedded, run):
            return _drive(embedded, run, as_json)

    def start(self, run_request: RunRequest, run_id: str | None) -> str:
        """See the protocol: a process of its own drives the run."""
        home = self._home
        with self._begun(run_request, run_id) as (_, run):
            resume_it = ["--backend", "embedded", "--home", str(home.root), "resume", run.run_id]
        home.reports.mkdir(parents=True, exist_ok=True)
        with (home.reports / f"{run.run_id}.log").open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "phasegate.cli.main", *resume_it],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while child.poll() is None and home.driver() is None:
            time.sleep(0.02)
        return run.run_id

    def watch(self, run_id: str, as_json: bool) -> int:
        """See the protocol."""
        shown = ""
        while True:
            found = report(self.state(), run_id, SystemClock().now())
            text = status_text(found, self.driver())
            if text != shown:
                typer.echo(text, err=as_json)
                shown = text
            if found.status.is_at_rest:
                if as_json:
                    write_json(progress_document(found))
                return found.status.exit_status
            if self.driver() is None:
                raise InputError(f"no process drives run '{run_id}'; go on with: phasegate resume {run_id}")
            time.sleep(WATCH_EVERY_SECONDS)

    def expect_change(self, run_id: str) -> None:
        """See the protocol: whoever drives the home sees every change."""

    def go_on(self, run_id: str, as_json: bool) -> int:
        """See the protocol: drives the run here, unless another process does, which has seen the change by now."""
        if driver := self.driver():
            if not driver.endswith(f"run {run_id}"):
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
        with Embedded(self._home, plan.pipeline, source) as embedded:
            return _drive(embedded, run, as_json)

    def verify_run(self, run_id: str) -> "tuple[Verified, str]":
        """See the protocol."""
        from phasegate.report.verifier import verify_run
        from phasegate.report.verify.compose import VerifierInputs

        state, home = self.state(), self._home
        state.run(run_id)
        self._require_free(_VERIFIED_LATER)
        warehouse = open_warehouse(home)
        try:
            ground = VerifierInputs(state, warehouse, FolderObjectStore(home.objects))
            made = verify_run(ground, FolderObjectStore(home.root), SystemClock(), run_id)
        finally:
            warehouse.close()
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
        self._require_free(_VERIFIED_LATER)
        warehouse, store = open_warehouse(home), FolderObjectStore(home.root)
        try:
            ground = VerifierInputs(None, warehouse, FolderObjectStore(home.objects))
            made = verify_dates(ground, store, SystemClock(), read.pipeline, read.calendar, selection, phases)
        finally:
            warehouse.close()
        return made, str(home.root / made.page)

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
        """The home opened for driving, and the run in it. All that can be refused is, before the home is opened."""
        pipeline, calendar = self._read_inputs(run_request)
        require_passed(_start_lines(run_request, pipeline, calendar))
        check_dispatch(pipeline, _phases(pipeline, run_request))
        folder = _folder(run_request.source)
        check_workers(pipeline, folder)
        with Embedded(self._home, pipeline, folder, how) as embedded:
            yield embedded, _begin(run_request, pipeline, calendar, embedded, run_id)

    def _read_inputs(self, run_request: RunRequest) -> tuple[Pipeline, Calendar]:
        """Pipeline and calendar of a request, before anything is written."""
        pipeline = load_pipeline(Path(run_request.pipeline_file))
        _phases(pipeline, run_request)
        query = ScheduleFile(_folder(run_request.source), pipeline.calendar).query
        calendar = read_calendar(pipeline.calendar, query)
        days = run_request.selection.resolve(calendar)
        if run_request.reprocess == "failed" and not self._home.state.exists():
            require_earlier_run(days, {})
        return pipeline, calendar

    def _require_free(self, what_to_do: str) -> None:
        """Raises HomeInUse: only one process may read a warehouse."""
        if driver := self.driver():
            raise HomeInUse(
                f"{self._home.root} is in use by {driver}, and only one process may read its warehouse; {what_to_do}"
            )


_VERIFIED_LATER = "the report is made by itself when that run has ended"


def _folder(source: Path | str | None) -> Path:
    """The source folder, which embedded mode always has."""
    if source is None:
        raise InputError("give the source folder with --source DIR")
    return Path(source)


def _phases(pipeline: Pipeline, run_request: RunRequest) -> tuple[str, ...]:
    """The phases that a request is about."""
    return choose_phases(pipeline, run_request.phases, run_request.profile)[0]


def _start_lines(run_request: RunRequest, pipeline: Pipeline, calendar: Calendar) -> list[PreflightLine]:
    """What preflight says of a request before a home is opened."""
    now = SystemClock().now()
    asked = settled(run_request, pipeline, calendar, now)
    return check_start(subject_of(pipeline, calendar, asked), asked.overrides, now)


def _begin(
    run_request: RunRequest, pipeline: Pipeline, calendar: Calendar, embedded: Embedded, run_id: str | None
) -> Run:
    """The unfinished run of the same request, or a new one, written."""
    state, clock = embedded.state, embedded.clock
    asked = run_request.identity(pipeline)
    there = existing_run(state, asked, run_id)
    if there is not None:
        say(f"resuming run {there.run_id}")
        is_held = there.desired_state in (DesiredState.PAUSED, DesiredState.DRAINING)
        return resume(state, there.run_id) if is_held else there
    embedded.prepare()
    require_passed(check_tables(pipeline.tables(_phases(pipeline, run_request)), embedded.warehouse))
    prover = Prover(embedded.warehouse, embedded.objects)
    plan = plan_of(
        settled(run_request, pipeline, calendar, clock.now()), pipeline, calendar, prover, state, _say_remade
    )
    name = run_id or f"{pipeline.pipeline}-{clock.now():%Y%m%d-%H%M%S}-{os.urandom(2).hex()}"
    run, _ = begin_run(state, clock, name, run_request, asked, plan)
    return run


def _say_remade(dates: int) -> None:
    """Tell of dates whose rows were made from another source folder."""
    say(f"{dates} date(s) hold rows made from another source folder; they are made again")


def _drive(embedded: Embedded, run: Run, as_json: bool) -> int:
    """Drive a run with a live display, print its summary, return the exit status."""
    from phasegate.cli.backends.display import Display
    from phasegate.report.summary import summarise

    log = embedded.home.reports / f"{run.run_id}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    logging.raiseExceptions = False
    logging.basicConfig(filename=log, level=logging.WARNING, format="%(asctime)s %(name)s %(message)s", force=True)
    with Interruption() as interruption, Display(run.run_id, embedded.state.plan(run.run_id).index) as display:
        embedded.drive(run.run_id, stop=interruption.is_asked, progress=display.show)
    found = summarise(embedded.state, embedded.warehouse, run.run_id, embedded.clock.now())
    status = found.report.status
    show_summary(found, _report_at_end(embedded, run.run_id) if status.is_final else None, None, as_json)
    if interruption.is_asked() and not status.is_at_rest:
        say(f"interrupted; the same command resumes, or: phasegate resume {run.run_id}")
        return EXIT_INTERRUPTED
    return status.exit_status


def _report_at_end(embedded: Embedded, run_id: str) -> EndReport | None:
    """The report on a run that has just been driven; None, and a line in the log, when it could not be made.

    Whatever goes wrong here is told and changes nothing about the run.
    """
    from phasegate.report.verifier import verify_run
    from phasegate.report.verify.compose import VerifierInputs

    ground = VerifierInputs(embedded.state, embedded.warehouse, embedded.objects)
    root = embedded.home.root
    try:
        made = verify_run(ground, FolderObjectStore(root), embedded.clock, run_id)
    except (PhasegateError, OSError) as error:
        _log.warning("no report on run %s: %s", run_id, error)
        say(f"no report could be made: {error}; try again with: phasegate verify {run_id}")
        return None
    return EndReport(made.report.agrees, made.report.verdict, str(root / made.page))
