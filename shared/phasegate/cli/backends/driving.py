"""What opens a home for the embedded backend's commands: to try a plan out, to drive a run, to verify and roll back.

It is a module of its own: commands that only read import none of this, and are quick. Reports are imported by
what writes them, so that a plan is shown quickly.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from phasegate.adapters.embedded.home import Home, HomeLock
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.schedule_file import ScheduleFile
from phasegate.adapters.embedded.state import clock_of, open_state
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.bootstrap import Embedded, EmbeddedOptions, check_workers, has_another_warehouse, open_warehouse
from phasegate.cli.backend import CalendarInputs, PlanInputs, RollbackInputs
from phasegate.cli.backends.interruption import Interruption
from phasegate.cli.output import EXIT_INTERRUPTED, EndReport, exit_status, say, show_summary
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError, PhasegateError
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.operations.preflight import PreflightLine
from phasegate.domain.plan import compile_plan
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.run import DesiredState, Run
from phasegate.embedded_start import HomePreview, HomeStart, calendar_reader, require_free
from phasegate.ports import State, Warehouse
from phasegate.services.operating.operators import resume
from phasegate.services.reading.cross_check import CalendarReader
from phasegate.services.reading.lost_rows import require_rows
from phasegate.services.reading.prover import Prover
from phasegate.services.reading.schedule import read_calendar
from phasegate.services.starting.planner import missing_outside
from phasegate.services.starting.start import check_only, plan_only, preflight_only, start

if TYPE_CHECKING:
    from phasegate.report.verifier import Verified

_log = logging.getLogger(__name__)

_VERIFIED_LATER = "the report is made by itself when that run has ended"


def calendar_inputs(pipeline_file: Path, source: Path | None) -> CalendarInputs:
    """Return a pipeline and the calendar of a source folder. Raises InputError for a bad file or folder."""
    pipeline = load_pipeline(pipeline_file)
    query = ScheduleFile(_folder(source), pipeline.calendar).query
    return CalendarInputs(pipeline, read_calendar(pipeline.calendar, query), query)


def checked(home: Home, pipeline_file: Path) -> tuple[Pipeline, list[PreflightLine]]:
    """Return a pipeline whose file and statements are right, with what could not be told. No source is read."""
    with HomePreview(home, pipeline_file.parent) as environment:
        return check_only(RunRequest(Selection(), str(pipeline_file)), environment)


def preflight_of(home: Home, run_request: RunRequest) -> list[PreflightLine]:
    """Return what a start would check, and what was found."""
    with HomePreview(home, _folder(run_request.source)) as environment:
        return preflight_only(run_request, environment)


def plan_inputs(home: Home, run_request: RunRequest) -> PlanInputs:
    """Return the plan of a request, which is written nowhere."""
    with HomePreview(home, _folder(run_request.source)) as environment:
        made = plan_only(run_request, environment)
        _say_remade(made.remade)
        now = environment.clock.now()
        missing = missing_outside(compile_plan(made.plan), environment.prover, environment.state, now)
        return PlanInputs(made, missing)


@contextmanager
def begun(
    home: Home, run_request: RunRequest, run_id: str | None, how: EmbeddedOptions | None = None
) -> Iterator[tuple[Embedded, Run]]:
    """Open the home for driving, and yield the run of a request in it: a new one, or the unfinished one, which goes
    on."""
    with HomeStart(home, _folder(run_request.source), how) as environment:
        started = start(run_request, environment, run_id)
        run, state = started.run, environment.embedded.state
        _say_another_warehouse(home, environment.embedded.has_another_warehouse)
        _say_remade(started.remade)
        if started.stopped_by:
            from phasegate.report.stopped import stopped_text

            say(stopped_text(state, run.run_id, started.stopped_by))
        elif not started.is_new:
            if not state.board(run.run_id)[0].is_over(run):
                _require_rows(environment.embedded, run.run_id)
            say(f"resuming run {run.run_id}")
            if run.desired_state in (DesiredState.PAUSED, DesiredState.DRAINING):
                run = resume(state, run.run_id)
        yield environment.embedded, run


def run_to_the_end(
    home: Home, run_request: RunRequest, run_id: str | None, *, durable: bool, as_json: bool, is_verbose: bool
) -> int:
    """Drive the run of a request here; returns the exit status."""
    with begun(home, run_request, run_id, EmbeddedOptions(durable=durable)) as (embedded, run):
        return drive(embedded, run.run_id, as_json=as_json, is_verbose=is_verbose)


@contextmanager
def opened(home: Home, run_id: str) -> Iterator[Embedded]:
    """Open the home for driving a run that was begun earlier, and find out first whether it can go on.

    Raises InputError where a worker cannot be made, and the home is as it was then; HaltError where rows of the run are
    gone.
    """
    state = open_state(home)
    run, plan = state.run(run_id), state.plan(run_id)
    source = Path(run.source) if run.source else None
    file = Path(run.pipeline_file) if run.pipeline_file else None
    check_workers(file, plan.pipeline, source)
    with Embedded(home, plan.pipeline, source, pipeline_file=file) as embedded:
        _say_another_warehouse(home, embedded.has_another_warehouse)
        _require_rows(embedded, run_id)
        embedded.prepare(plan.pipeline, plan.phases)
        yield embedded


def _require_rows(embedded: Embedded, run_id: str) -> None:
    require_rows(embedded.state, Prover(embedded.warehouse, embedded.objects), run_id)


def verified_run(home: Home, run_id: str) -> "tuple[Verified, str]":
    """Verify a run; returns what was made, and where its page lies."""
    from phasegate.report.verifier import verify_run
    from phasegate.report.verify.compose import VerifierInputs

    state = open_state(home)
    state.run(run_id)
    with _tables_to_verify(home) as warehouse:
        _say_another_warehouse(home, has_another_warehouse(home, warehouse))
        calendar = _calendar_of(state, run_id, warehouse)
        inputs = VerifierInputs(state, warehouse, FolderObjectStore(home.objects), calendar=calendar)
        made = verify_run(inputs, FolderObjectStore(home.root), clock_of(home), run_id)
    return made, str(home.root / made.page)


def verified_dates(
    home: Home, source: Path | None, read: CalendarInputs, selection: Selection, phases: str | None
) -> "tuple[Verified, str]":
    """Verify dates without a run; returns what was made, and where its page lies."""
    from phasegate.report.verifier import plan_of_dates, verify_dates
    from phasegate.report.verify.compose import VerifierInputs

    plan_of_dates(read.pipeline, read.calendar, selection, phases)
    if not home.warehouse.exists():
        raise InputError(f"{home.root}: no warehouse here yet; there is nothing to verify, or give --home DIR")
    with _tables_to_verify(home) as warehouse:
        calendar = calendar_reader(source, read.pipeline.calendar, warehouse)
        inputs = VerifierInputs(None, warehouse, FolderObjectStore(home.objects), calendar=calendar)
        store = FolderObjectStore(home.root)
        made = verify_dates(inputs, store, clock_of(home), read.pipeline, read.calendar, selection, phases)
    return made, str(home.root / made.page)


def _calendar_of(state: State, run_id: str, warehouse: Warehouse) -> CalendarReader:
    """Where the calendar of a run is told right or wrong: its source folder, and the tables."""
    source = state.run(run_id).source
    return calendar_reader(Path(source) if source else None, state.plan(run_id).pipeline.calendar, warehouse)


@contextmanager
def _tables_to_verify(home: Home) -> Iterator[DuckDbWarehouse]:
    """The warehouse, and nobody who drives the home while the report is written."""
    require_free(home, _VERIFIED_LATER)
    with HomeLock(home):
        warehouse = open_warehouse(home)
        try:
            yield warehouse
        finally:
            warehouse.close()


@contextmanager
def rollback_inputs(home: Home) -> Iterator[RollbackInputs]:
    """Yield what a rollback works on; the home's lock is held meanwhile."""
    if not home.warehouse.exists():
        raise InputError(f"{home.root}: no warehouse here yet; there is nothing to roll back, or give --home DIR")
    with HomeLock(home):
        state, warehouse = open_state(home), open_warehouse(home)
        try:
            yield RollbackInputs(state, warehouse, FolderObjectStore(home.objects), clock_of(home), is_shared=False)
        finally:
            warehouse.close()


def drive(embedded: Embedded, run_id: str, *, as_json: bool, is_verbose: bool) -> int:
    """Drive a run with a live display, print its summary, return the exit status."""
    from phasegate.cli.backends.display import Display
    from phasegate.cli.backends.run_log import RunLog
    from phasegate.report.summary import summarise

    with RunLog(embedded.home.log_of(run_id), is_verbose=is_verbose):
        with Interruption() as interruption, Display(run_id, embedded.state.index(run_id)) as display:
            embedded.drive(run_id, stop=interruption.is_asked, progress=display.show)
        schedule = _calendar_of(embedded.state, run_id, embedded.warehouse).schedule
        found = summarise(embedded.state, embedded.warehouse, run_id, embedded.clock.now(), schedule, embedded.spent)
        status = found.report.status
        made = _report_at_end(embedded, run_id) if status.is_final else None
    show_summary(found, made, None, as_json)
    if interruption.is_asked() and not status.is_at_rest:
        say(f"interrupted; the same command resumes, or: phasegate resume {run_id}")
        return EXIT_INTERRUPTED
    return exit_status(status, made)


def _report_at_end(embedded: Embedded, run_id: str) -> EndReport | None:
    """The report on a run that has just been driven; None, and a line in the log, when it could not be made.

    Whatever goes wrong here is told and changes nothing about the run.
    """
    from phasegate.domain.operations.audit import between_state_and_tables
    from phasegate.report.verifier import verify_run
    from phasegate.report.verify.compose import VerifierInputs

    calendar = _calendar_of(embedded.state, run_id, embedded.warehouse)
    inputs = VerifierInputs(embedded.state, embedded.warehouse, embedded.objects, calendar=calendar)
    root = embedded.home.root
    try:
        made = verify_run(inputs, FolderObjectStore(root), embedded.clock, run_id)
    except (PhasegateError, OSError) as error:
        _log.warning("no report on run %s: %s", run_id, error)
        say(f"no report could be made: {error}; try again with: phasegate verify {run_id}")
        return None
    contradictions = between_state_and_tables({kind.kind: kind.findings for kind in made.report.kinds})
    return EndReport(made.report.agrees, made.report.verdict, str(root / made.page), contradictions)


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
