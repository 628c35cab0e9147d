"""What the commands need of a backend. ``backends`` has the two that there are; ``main`` chooses one, once."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from phasegate.domain.calendar.dates import Calendar
    from phasegate.domain.calendar.selection import Selection
    from phasegate.domain.messages.run_request import RunRequest
    from phasegate.domain.operations.preflight import PreflightLine
    from phasegate.domain.plan import Plan
    from phasegate.domain.spec.pipeline import Pipeline
    from phasegate.ports import Clock, ObjectStore, State, Warehouse
    from phasegate.report.verifier import Verified
    from phasegate.services.reading.schedule import Query


@dataclass(frozen=True, slots=True)
class CalendarInputs:
    """A pipeline with its calendar."""

    pipeline: "Pipeline"
    """The pipeline of the file that was named."""

    calendar: "Calendar"
    """The dates of its schedule that count."""

    query: "Query"
    """What answers the calendar's queries."""


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """A plan that was made and not written."""

    plan: "Plan"
    """What would run."""

    missing_outside: "Mapping[str, Mapping[date, str]]"
    """What it reads, does not make, and does not find, by processor and date."""


@dataclass(frozen=True, slots=True)
class RollbackInputs:
    """The ports that a rollback works on."""

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


class CommandBackend(Protocol):
    """Where runs are kept and driven, as the commands see it: a home folder, or a deployment on Google Cloud."""

    program: tuple[str, ...]
    """The words with which a command that is printed begins."""

    def state(self) -> "State":
        """Where runs are kept. Raises InputError where there is nothing yet."""

    def source(self, given: Path | None) -> Path | None:
        """The source folder, absolute; None where the workers know their own. Raises InputError when it is not named,
        or named in vain."""

    def last_pipeline(self) -> Path | None:
        """The pipeline file that was used last; None: none was."""

    def driver(self) -> str | None:
        """Who drives runs now, for people; None: nobody."""

    def calendar(self, pipeline_file: Path, source: Path | None) -> CalendarInputs:
        """The pipeline of a file with its calendar. Raises InputError for a file, or a schedule, that is wrong."""

    def preflight(self, run_request: "RunRequest") -> "list[PreflightLine]":
        """What would be checked before a start. Raises InputError for a bad request."""

    def plan(self, run_request: "RunRequest") -> PlanInputs:
        """What would run. Raises InputError for a bad request."""

    def run(self, run_request: "RunRequest", run_id: str | None, *, durable: bool, as_json: bool) -> int:
        """Begin a run, or find it again, follow it to its end and print its summary; the exit status.

        durable: survive a power cut too, where that is not so anyway. Raises InputError, before anything is written,
        for a bad request.
        """

    def start(self, run_request: "RunRequest", run_id: str | None) -> str:
        """Begin a run, or find it again, and leave it to itself; its id. Raises InputError as ``run`` does."""

    def watch(self, run_id: str, as_json: bool) -> int:
        """Follow a run that others drive to its end; the exit status. Raises InputError when nobody drives it."""

    def expect_change(self, run_id: str) -> None:
        """Have a run looked at soon, also when this process ends right after the change that it is about to make."""

    def go_on(self, run_id: str, as_json: bool) -> int:
        """See that a run goes on after a change, here or where it is driven; the exit status."""

    def verify_run(self, run_id: str) -> "tuple[Verified, str]":
        """The report on a run, written, and where its page lies. Raises InputError for an unknown run."""

    def verify_dates(
        self, pipeline_file: Path, source: Path | None, selection: "Selection", phases: str | None
    ) -> "tuple[Verified, str]":
        """The report on dates without a run, written, and where its page lies. Raises InputError for bad dates."""

    def rollback_inputs(self) -> AbstractContextManager[RollbackInputs]:
        """The ports, with no run beginning on them meanwhile as far as that is in our hands.

        Raises InputError where there is nothing yet, HomeInUse while another process has them.
        """
