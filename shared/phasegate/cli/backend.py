"""A backend does for the commands what is asked of runs. ``backends`` has the two that there are; ``main`` chooses one,
once.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from phasegate.domain.calendar.dates import Calendar
    from phasegate.domain.calendar.selection import Selection
    from phasegate.domain.messages.run_request import RunRequest
    from phasegate.domain.operations.preflight import PreflightLine
    from phasegate.domain.plan import Plan
    from phasegate.domain.spec.pipeline import Pipeline
    from phasegate.domain.state.listed import ListedRun
    from phasegate.domain.state.run import Run, UnreadableDocument
    from phasegate.ports import Clock, ObjectStore, State, Warehouse
    from phasegate.report.verifier import Verified
    from phasegate.services.reading.prover import Prover
    from phasegate.services.reading.schedule import Query
    from phasegate.services.starting.planner import PlanMade


@dataclass(frozen=True, slots=True)
class CalendarInputs:
    """These are a pipeline and its calendar."""

    pipeline: "Pipeline"
    """The pipeline of the file that was named."""

    calendar: "Calendar"
    """The dates of its schedule that count."""

    query: "Query"
    """What answers the calendar's queries."""


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """These are a plan that was made and not written, and what it misses."""

    made: "PlanMade"
    """What would run, and what was found when that was planned."""

    missing_outside: "Mapping[str, Mapping[date, str]]"
    """What it reads, does not make, and does not find, by processor and date."""


@dataclass(frozen=True, slots=True)
class RollbackInputs:
    """These are the ports that a rollback works on."""

    state: "State"
    """Runs that may hold or read what is deleted."""

    warehouse: "Warehouse"
    """The tables."""

    objects: "ObjectStore"
    """The objects, and the record of the rollback."""

    clock: "Clock"
    """Says what is under way, and when it was done."""

    is_shared: bool
    """Whether other processes, and workers, may be at work on them."""


class GoingOn(Protocol):
    """A run goes on after a change, here or where it is driven."""

    def make_ready(self) -> None:
        """Find out whether it can, just before the change is written: raises what would keep it from going on, and
        nothing is changed then."""

    def prover(self) -> "Prover | None":
        """Return who asks the run's tables, once it is ready; None: the process that drives it holds them."""

    def go_on(self, as_json: bool) -> int:
        """See that it does, after the change; return the exit status."""


class CommandBackend(Protocol):
    """A backend keeps and drives runs, as the commands see it: a home folder, or a deployment on Google Cloud."""

    def state(self) -> "State":
        """Return the state, where runs are kept. Raises InputError where there is nothing yet."""

    def listed_runs(self) -> "list[ListedRun | UnreadableDocument]":
        """Return what a list of runs says of all of them. Raises InputError where there is nothing yet."""

    def source(self, given: Path | None) -> Path | None:
        """Return the source folder, absolute; None where the workers know their own. Raises InputError when it is not
        named, or named in vain.
        """

    def last_pipeline(self) -> Path | None:
        """Return the pipeline file that was used last; None: none was."""

    def undriven(self, run_id: str) -> str | None:
        """Say what people do about a run that nobody drives now; None: it is driven."""

    def clock(self) -> "Clock":
        """Return the clock by which runs are kept here."""

    def calendar(self, pipeline_file: Path, source: Path | None) -> CalendarInputs:
        """Return the pipeline of a file with its calendar. Raises InputError for a wrong file or schedule."""

    def pipeline_of(self, run: "Run") -> "Pipeline | None":
        """Return the pipeline of a run as its file says now; None where the file is not there any more. Raises
        InputError for one that is wrong."""

    def schedule(self, run: "Run", plan: "Plan") -> "Query":
        """Return what answers the queries of a run's calendar as the schedule stands now. Raises InputError where there
        is none any more."""

    def check(self, pipeline_file: Path) -> "tuple[Pipeline, list[PreflightLine]]":
        """Check a pipeline file and every statement of it, and return the pipeline with what could not be told. Raises
        InputError for what is wrong."""

    def preflight(self, run_request: "RunRequest") -> "list[PreflightLine]":
        """Check what a start would check, and return the lines. Raises InputError for a bad request."""

    def plan(self, run_request: "RunRequest") -> PlanInputs:
        """Plan a run without beginning it. Raises InputError for a bad request."""

    def run(self, run_request: "RunRequest", run_id: str | None, *, durable: bool, as_json: bool) -> int:
        """Begin a run, or find it again, follow it to its end and print its summary; return the exit status.

        durable: survive a power cut too, where that is not so anyway. Raises InputError, before anything is written,
        for a bad request.
        """

    def start(self, run_request: "RunRequest", run_id: str | None) -> str:
        """Begin a run, or find it again, and leave it to itself; return its id. Raises InputError as ``run`` does."""

    def watch(self, run_id: str, as_json: bool) -> int:
        """Follow a run that others drive to its end; return the exit status. Raises InputError when nobody does."""

    def expect_change(self, run_id: str) -> None:
        """Have a run reconciled soon, also when this process ends right after the change that it is about to make."""

    def going_on(self, run_id: str) -> AbstractContextManager[GoingOn]:
        """Lend what a run goes on with after a change that is made inside."""

    def verify_run(self, run_id: str) -> "tuple[Verified, str]":
        """Write the report on a run; return it, and its page's place. Raises InputError for an unknown run."""

    def verify_dates(
        self, pipeline_file: Path, source: Path | None, selection: "Selection", phases: str | None
    ) -> "tuple[Verified, str]":
        """Write the report on dates without a run; return it, and its page's place. Raises InputError for bad dates."""

    def deletion_of_reports(self, run_ids: "Sequence[str]") -> str:
        """Return the shell command that deletes the reports on these runs, and their logs; empty: there are none.

        Asked before the runs are forgotten.
        """

    def rollback_inputs(self) -> AbstractContextManager[RollbackInputs]:
        """Lend the ports, with no run beginning on them meanwhile as far as that is in our hands.

        Raises InputError where there is nothing yet, HomeInUse while another process has them.
        """
