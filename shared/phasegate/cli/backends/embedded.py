"""In a home folder, runs are kept in its state file and driven by a process here.

``driving`` has what opens the home; it is imported by what needs it, so that showing a run is quick.
"""

import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import phasegate
from phasegate.adapters.embedded.home import Home, driver_of, drives, may_drive
from phasegate.cli.backends.interruption import leave_at_once
from phasegate.cli.output import end_report, exit_status, say, show, write_json
from phasegate.domain.errors import HaltError, HomeInUse, InputError, NoSchedule

if TYPE_CHECKING:
    from phasegate.bootstrap import Embedded
    from phasegate.cli.backend import CalendarInputs, PlanInputs, RollbackInputs
    from phasegate.cli.settings import Settings
    from phasegate.domain.calendar.selection import Selection
    from phasegate.domain.messages.run_request import RunRequest
    from phasegate.domain.operations.preflight import PreflightLine
    from phasegate.domain.plan import Plan
    from phasegate.domain.spec.pipeline import Pipeline
    from phasegate.domain.state.listed import ListedRun
    from phasegate.domain.state.run import Run, UnreadableDocument
    from phasegate.ports import Clock, State
    from phasegate.report.verifier import Verified
    from phasegate.services.reading.prover import Prover
    from phasegate.services.reading.schedule import Query

WATCH_EVERY_SECONDS = 1.0


class EmbeddedCommands:
    """This is the commands' backend for a home folder; the protocol says what its methods do."""

    def __init__(self, settings: "Settings") -> None:
        self._home, self._source, self._is_verbose = Home(settings.home), settings.source, settings.verbose

    def state(self) -> "State":
        """See the protocol."""
        from phasegate.adapters.embedded.state import open_state

        return open_state(self._home)

    def listed_runs(self) -> "list[ListedRun | UnreadableDocument]":
        """See the protocol."""
        from phasegate.adapters.embedded.run_list import database_of, listed_runs

        return listed_runs(database_of(self._home))

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
        """Say who drives a run in this home now; None: nobody."""
        return self._home.driver()

    def undriven(self, run_id: str) -> str | None:
        """See the protocol: a home has one driver, which drives one run."""
        return _what_to_do(self.driver(), run_id)

    def clock(self) -> "Clock":
        """See the protocol."""
        from phasegate.adapters.embedded.state import clock_of

        return clock_of(self._home)

    def calendar(self, pipeline_file: Path, source: Path | None) -> "CalendarInputs":
        """See the protocol."""
        from phasegate.cli.backends.driving import calendar_inputs

        return calendar_inputs(pipeline_file, source)

    def pipeline_of(self, run: "Run") -> "Pipeline | None":
        """See the protocol."""
        from phasegate.adapters.pipeline_file import load_pipeline

        file = Path(run.pipeline_file)
        return load_pipeline(file) if run.pipeline_file and file.is_file() else None

    def schedule(self, run: "Run", plan: "Plan") -> "Query":
        """See the protocol: a file of the source folder, whoever drives the home."""
        if run.source is None:
            raise NoSchedule("the run has no source folder, in which the schedule could be read")
        from phasegate.adapters.embedded.schedule_file import ScheduleFile

        return ScheduleFile(Path(run.source), plan.pipeline.calendar).query

    def check(self, pipeline_file: Path) -> "tuple[Pipeline, list[PreflightLine]]":
        """See the protocol."""
        from phasegate.cli.backends.driving import checked

        return checked(self._home, pipeline_file)

    def preflight(self, run_request: "RunRequest") -> "list[PreflightLine]":
        """See the protocol."""
        from phasegate.cli.backends.driving import preflight_of

        return preflight_of(self._home, run_request)

    def plan(self, run_request: "RunRequest") -> "PlanInputs":
        """See the protocol."""
        from phasegate.cli.backends.driving import plan_inputs

        return plan_inputs(self._home, run_request)

    def run(self, run_request: "RunRequest", run_id: str | None, *, durable: bool, as_json: bool) -> int:
        """See the protocol."""
        from phasegate.cli.backends.driving import run_to_the_end

        return run_to_the_end(
            self._home, run_request, run_id, durable=durable, as_json=as_json, is_verbose=self._is_verbose
        )

    def start(self, run_request: "RunRequest", run_id: str | None) -> str:
        """See the protocol: a process of its own drives the run. Raises HaltError when none does."""
        from phasegate.cli.backends.driving import begun

        with begun(self._home, run_request, run_id) as (embedded, run):
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
        from phasegate.report.status import counts_text, status_text
        from phasegate.services.reading.counts import count_run
        from phasegate.services.reading.progress import progress_document, report

        leave_at_once()
        shown, clock = "", self.clock()
        while True:
            # Asked first: a process that ends in between has left the run at rest.
            driver = self.driver()
            undriven = _what_to_do(driver, run_id)
            state, now = self.state(), clock.now()
            counts = count_run(state, run_id, now)
            made = end_report(state.reports(run_id), state.board(run_id)[0].finished_at, self._path)
            # Whoever drives it makes the report after its end, and the exit status goes by that.
            if counts.status.is_at_rest and (made is not None or undriven):
                found = report(state, run_id, now)
                show(status_text(found, undriven), aside=as_json)
                if as_json:
                    write_json(progress_document(found))
                return exit_status(found.status, made)
            if (text := counts_text(counts, undriven)) != shown:
                show(text, aside=as_json)
                shown = text
            if driver is None or not may_drive(driver, run_id):
                raise InputError(f"no process drives run '{run_id}'; {undriven}")
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

    @contextmanager
    def going_on(self, run_id: str) -> "Iterator[_GoingOn]":
        """See the protocol."""
        with ExitStack() as stack:
            yield _GoingOn(self._home, run_id, stack, is_verbose=self._is_verbose)

    def verify_run(self, run_id: str) -> "tuple[Verified, str]":
        """See the protocol."""
        from phasegate.cli.backends.driving import verified_run

        return verified_run(self._home, run_id)

    def verify_dates(
        self, pipeline_file: Path, source: Path | None, selection: "Selection", phases: str | None
    ) -> "tuple[Verified, str]":
        """See the protocol."""
        from phasegate.cli.backends.driving import verified_dates

        return verified_dates(self._home, source, self.calendar(pipeline_file, source), selection, phases)

    @contextmanager
    def rollback_inputs(self) -> "Iterator[RollbackInputs]":
        """See the protocol: the home's lock is held."""
        from phasegate.cli.backends.driving import rollback_inputs

        with rollback_inputs(self._home) as inputs:
            yield inputs


class _GoingOn:
    """A run of a home goes on: driven here, unless another process does, which has seen the change by then."""

    def __init__(self, home: Home, run_id: str, stack: ExitStack, *, is_verbose: bool) -> None:
        self._home, self._run_id, self._stack, self._is_verbose = home, run_id, stack, is_verbose
        self._opened: Embedded | None = None

    def make_ready(self) -> None:
        """See the protocol: the home is opened for driving, and held until the run has gone on.

        Raises HomeInUse while another run is driven in this home, InputError where a worker cannot be made, HaltError
        where rows of the run are gone.
        """
        self._home.require_whole()
        if self._driver() is None:
            from phasegate.cli.backends.driving import opened

            self._opened = self._stack.enter_context(opened(self._home, self._run_id))

    def prover(self) -> "Prover | None":
        """See the protocol."""
        from phasegate.services.reading.prover import Prover

        return Prover(self._opened.warehouse, self._opened.objects) if self._opened else None

    def go_on(self, as_json: bool) -> int:
        """See the protocol."""
        if self._opened is None and (driver := self._driver()) is not None:
            if as_json:
                write_json({"run_id": self._run_id, "driven_by": driver})
            say(f"{driver} goes on with it; follow it with: phasegate watch {self._run_id}")
            return 0
        if self._opened is None:
            self.make_ready()  # Whoever drove it has ended meanwhile.
        if self._opened is None:
            return self.go_on(as_json)  # And somebody else has begun.
        from phasegate.cli.backends.driving import drive

        return drive(self._opened, self._run_id, as_json=as_json, is_verbose=self._is_verbose)

    def _driver(self) -> str | None:
        """Who drives the run now; None: nobody does."""
        driver = self._home.driver()
        if driver is not None and not drives(driver, self._run_id):
            raise HomeInUse(f"{self._home.root} is in use by {driver}; wait until that run has ended, then try again")
        return driver


_MAIN = Path(phasegate.__file__).resolve().parent / "cli" / "main.py"

LOG_LINES_SHOWN = 12
"""Of the log of a process that did not come to drive its run."""


def own_command(*words: str) -> list[str]:
    """Return a ``phasegate`` command as this interpreter runs it: what lies in the current folder is not looked at."""
    return [sys.executable, "-P", str(_MAIN), *words]


def _what_to_do(driver: str | None, run_id: str) -> str | None:
    """What people do about a run that is not the one which the driver of its home drives; None: it is."""
    if drives(driver, run_id):
        return None
    first = f"{driver} has this home; when that has ended, " if driver else ""
    return f"{first}go on with: phasegate resume {run_id}"


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
