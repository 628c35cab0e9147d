"""On Google Cloud, or on the local stack, functions drive the runs; the commands read and ask.

Reports are imported by what writes them, so that showing a run is quick.
"""

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.adapters.pipeline_file import load_pipeline, place_in_file
from phasegate.cli.backend import CalendarInputs, PlanInputs, RollbackInputs
from phasegate.cli.backends.interruption import Interruption, leave_at_once
from phasegate.cli.output import EXIT_INTERRUPTED, EndReport, end_report, exit_status, say, show_summary, write_json
from phasegate.deployment import Deployment
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.operations.preflight import PreflightLine
from phasegate.domain.plan import Plan, compile_plan
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.listed import ListedRun
from phasegate.domain.state.run import DesiredState, Run, UnreadableDocument
from phasegate.ports import Clock, State
from phasegate.report.status import counts_text, status_text
from phasegate.report.stopped import stopped_text
from phasegate.services.operating.operators import drain, resume
from phasegate.services.reading.counts import Counts, count_run
from phasegate.services.reading.progress import report
from phasegate.services.reading.prover import Prover
from phasegate.services.reading.schedule import Query, read_calendar
from phasegate.services.running.dispatcher import PAGE_DATES
from phasegate.services.starting.environment import CloudEnvironment, require_deployed
from phasegate.services.starting.planner import missing_outside
from phasegate.services.starting.start import check_only, plan_only, preflight_only, start

if TYPE_CHECKING:
    from phasegate.report.verifier import Verified

ASK_EVERY_SECONDS = 2.0
"""How often a watcher reads the run and its board: two documents."""

TELL_EVERY_SECONDS = 5.0
"""How often it tells what changed."""

REPORTED_WITHIN = timedelta(minutes=1)
"""How long after a run's end its report is waited for: the verifier is asked at the end, and reads all tables."""

DRIVER = "the cloud"


class CloudCommands:
    """This is the commands' backend for a deployment; the protocol says what its methods do."""

    @cached_property
    def deployment(self) -> Deployment:
        """Return the deployment that the environment names. Raises InputError that names a missing variable."""
        return Deployment(CloudSettings.from_environment())

    def state(self) -> State:
        """See the protocol."""
        return self.deployment.backend.state

    def listed_runs(self) -> list[ListedRun | UnreadableDocument]:
        """See the protocol."""
        return self.state().listed_runs()

    def source(self, given: Path | None) -> Path | None:
        """See the protocol."""
        if given is not None:
            raise InputError("--source: belongs to the embedded backend; on gcp the workers know their source")
        return None

    def last_pipeline(self) -> Path | None:
        """See the protocol: the deployed one."""
        return self.deployment.pipeline_file

    def undriven(self, run_id: str) -> str | None:  # noqa: ARG002 - no run is
        """See the protocol: functions drive every run."""
        return None

    def clock(self) -> Clock:
        """See the protocol."""
        return self.deployment.backend.clock

    def calendar(self, pipeline_file: Path, source: Path | None) -> CalendarInputs:  # noqa: ARG002 - there is none
        """See the protocol. Raises InputError for another pipeline than the deployed one."""
        pipeline = self._pipeline(pipeline_file)
        return CalendarInputs(pipeline, read_calendar(pipeline.calendar, self._query), self._query)

    def pipeline_of(self, run: Run) -> Pipeline | None:
        """See the protocol: the deployed one, where the environment names it, and it is the run's."""
        if self.deployment.settings.pipeline is None or self.deployment.pipeline.pipeline != run.pipeline:
            return None
        return self.deployment.pipeline

    def schedule(self, run: Run, plan: Plan) -> Query:  # noqa: ARG002 - one warehouse for all
        """See the protocol: a table of the warehouse."""
        return self._query

    def check(self, pipeline_file: Path) -> tuple[Pipeline, list[PreflightLine]]:
        """See the protocol. Raises InputError for another pipeline than the deployed one."""
        return check_only(RunRequest(Selection(), str(pipeline_file)), self._environment())

    def preflight(self, run_request: RunRequest) -> list[PreflightLine]:
        """See the protocol."""
        return preflight_only(run_request, self._environment())

    def plan(self, run_request: RunRequest) -> PlanInputs:
        """See the protocol."""
        environment = self._environment()
        made, now = plan_only(run_request, environment), environment.clock.now()
        missing = missing_outside(compile_plan(made.plan), environment.prover, environment.state, now)
        return PlanInputs(made, missing)

    def run(self, run_request: RunRequest, run_id: str | None, *, durable: bool, as_json: bool) -> int:  # noqa: ARG002 - it is
        """See the protocol."""
        run = self._begin(run_request, run_id)
        say(f"run {run.run_id}")
        is_draining = False
        with Interruption() as interruption:
            for found in self._followed(run.run_id, interruption.is_asked):
                if interruption.is_asked() and not is_draining and not found.status.is_at_rest:
                    drain(self.state(), run.run_id)
                    is_draining = True
                if is_draining and not self._is_working(run.run_id):
                    say(f"interrupted; the same command resumes, or: phasegate resume {run.run_id}")
                    return EXIT_INTERRUPTED
        return self._show_summary(run.run_id, as_json)

    def start(self, run_request: RunRequest, run_id: str | None) -> str:
        """See the protocol."""
        return self._begin(run_request, run_id).run_id

    def watch(self, run_id: str, as_json: bool) -> int:
        """See the protocol."""
        leave_at_once()
        for _ in self._followed(run_id):
            pass
        return self._show_summary(run_id, as_json)

    def expect_change(self, run_id: str) -> None:
        """See the protocol: the conductor is woken a little later."""
        backend = self.deployment.backend
        backend.wake_conductor(run_id, backend.clock.now() + timedelta(seconds=3))

    @contextmanager
    def going_on(self, run_id: str) -> Iterator["_GoingOn"]:
        """See the protocol."""
        yield _GoingOn(self, run_id)

    def verify_run(self, run_id: str) -> "tuple[Verified, str]":
        """See the protocol."""
        from phasegate.report.verifier import verify_run
        from phasegate.report.verify.compose import VerifierInputs

        backend = self.deployment.backend
        inputs = VerifierInputs(backend.state, backend.warehouse, backend.objects, is_cloud=True)
        made = verify_run(inputs, backend.objects, backend.clock, run_id)
        return made, self._address(made.page)

    def verify_dates(
        self,
        pipeline_file: Path,
        source: Path | None,  # noqa: ARG002 - there is none
        selection: Selection,
        phases: str | None,
    ) -> "tuple[Verified, str]":
        """See the protocol. The pipeline need not be the deployed one: its tables are read, nothing is begun."""
        from phasegate.report.verifier import verify_dates
        from phasegate.report.verify.compose import VerifierInputs

        pipeline, backend = load_pipeline(pipeline_file), self.deployment.backend
        inputs = VerifierInputs(None, backend.warehouse, backend.objects, is_cloud=True)
        calendar = read_calendar(pipeline.calendar, self._query)
        made = verify_dates(inputs, backend.objects, backend.clock, pipeline, calendar, selection, phases)
        return made, self._address(made.page)

    @contextmanager
    def rollback_inputs(self) -> Iterator[RollbackInputs]:
        """See the protocol."""
        backend = self.deployment.backend
        yield RollbackInputs(backend.state, backend.warehouse, backend.objects, backend.clock, is_shared=True)

    def _pipeline(self, file: str | Path) -> Pipeline:
        """The pipeline of a file. Raises InputError for a bad one, and for another than the deployed one."""
        pipeline = load_pipeline(Path(file))
        require_deployed(self.deployment.pipeline, pipeline.pipeline)
        return pipeline

    def _environment(self) -> CloudEnvironment:
        """What a start finds around it."""
        here = self.deployment
        return CloudEnvironment(
            here.backend,
            here.installation,
            lambda asked: self._pipeline(asked.pipeline_file),
            lambda asked, at, line, column: place_in_file(Path(asked.pipeline_file), at, line, column),
        )

    def _query(self, sql: str) -> list[Mapping[str, Any]]:
        """The answer to a query of the calendar."""
        return list(self.deployment.backend.warehouse.query(sql))

    def _begin(self, run_request: RunRequest, run_id: str | None) -> Run:
        """The run of a request, new or found again; a paused or draining one goes on."""
        started = start(run_request, self._environment(), run_id)
        run = started.run
        if started.stopped_by:
            say(stopped_text(self.state(), run.run_id, started.stopped_by))
            return run
        if run.desired_state in (DesiredState.PAUSED, DesiredState.DRAINING):
            run = resume(self.state(), run.run_id)
            self.act_on_change(run.run_id)
        return run

    def act_on_change(self, run_id: str) -> None:
        """Reconcile a run at once: what a resume or a retry made due is started."""
        here = self.deployment
        here.backend.wake_conductor(run_id)
        days = here.backend.state.board(run_id)[0].open_days(here.backend.state.index(run_id))
        for first in range(0, len(days), PAGE_DATES):
            here.reconciler.reconcile_days(run_id, days[first : first + PAGE_DATES])

    def _is_working(self, run_id: str) -> bool:
        """Whether a worker is under way: an attempt is claimed and has not ended."""
        state = self.state()
        return bool(state.open_claims(run_id, state.board(run_id)[0].open_days(state.index(run_id))))

    def _followed(self, run_id: str, is_asked: Callable[[], bool] = lambda: False) -> Iterator[Counts]:
        """How far a run is, told to whoever watches, whenever that changed, until it is at rest.

        is_asked: somebody wants to stop, and must not have to wait for a change: tasks may take many minutes.
        """
        backend, shown, told_at = self.deployment.backend, "", -TELL_EVERY_SECONDS
        while True:
            counts = count_run(backend.state, run_id, backend.clock.now())
            is_over = counts.is_at_rest
            text = status_text(report(backend.state, run_id, backend.clock.now())) if is_over else ""
            text = text or counts_text(counts)
            is_due = time.monotonic() - told_at >= TELL_EVERY_SECONDS
            if is_over or (is_due and (text != shown or is_asked())):
                told_at = time.monotonic()
                if text != shown:
                    say(text)
                    shown = text
                yield counts
            if is_over:
                return
            time.sleep(ASK_EVERY_SECONDS)

    def _show_summary(self, run_id: str, as_json: bool) -> int:
        """Print the summary of a run that has ended; its exit status."""
        from phasegate.report.summary import summarise

        backend = self.deployment.backend
        found = summarise(backend.state, backend.warehouse, run_id, backend.clock.now(), self._query)
        made = self._report_on(run_id, found.report.finished_at)
        unreported = f"there is no report on it yet; make one with: phasegate verify {run_id}"
        show_summary(found, made, unreported, as_json)
        return exit_status(found.report.status, made)

    def _report_on(self, run_id: str, finished_at: datetime | None) -> EndReport | None:
        """The report on the end of a run, which is waited for as long as that end is young."""
        backend = self.deployment.backend
        while True:
            made = end_report(backend.state.reports(run_id), finished_at, self._address)
            is_due = finished_at is not None and backend.clock.now() < finished_at + REPORTED_WITHIN
            if made is not None or not is_due:
                return made
            time.sleep(ASK_EVERY_SECONDS)

    def deletion_of_reports(self, run_ids: Sequence[str]) -> str:
        """See the protocol."""
        state = self.deployment.backend.state
        places = {note.place: None for run_id in run_ids for note in state.reports(run_id)}
        return shlex.join(["gcloud", "storage", "rm", "--recursive", *map(self._address, places)]) if places else ""

    def _address(self, page: str) -> str:
        """Where a page of the object store lies."""
        return f"gs://{self.deployment.settings.bucket}/{page}"


class _GoingOn:
    """A run of a deployment goes on by its functions."""

    def __init__(self, commands: CloudCommands, run_id: str) -> None:
        self._commands, self._run_id = commands, run_id

    def make_ready(self) -> None:
        """See the protocol: functions have workers of their own."""
        self._commands.expect_change(self._run_id)

    def prover(self) -> Prover:
        """See the protocol."""
        backend = self._commands.deployment.backend
        return Prover(backend.warehouse, backend.objects)

    def go_on(self, as_json: bool) -> int:
        """See the protocol."""
        self._commands.act_on_change(self._run_id)
        if as_json:
            write_json({"run_id": self._run_id, "driven_by": DRIVER})
        say(f"it goes on; follow it with: phasegate watch {self._run_id}")
        return 0
