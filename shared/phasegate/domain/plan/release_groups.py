"""A plan is compiled to tasks, the release groups that they are released in, and the edges that a group waits for."""

from dataclasses import dataclass
from datetime import date

from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.errors import InputError
from phasegate.domain.plan.document import UNLESS_SAME
from phasegate.domain.protocol.worker import Batches
from phasegate.domain.spec.dispatch import Dispatch, Observed
from phasegate.domain.spec.pipeline import FailurePolicy, Processor


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task is one processor of the plan."""

    number: int
    """Its place in ``PlanIndex.tasks``."""
    phase: str
    """The phase that it belongs to."""
    processor: str
    """Its canonical name."""
    ref: str
    """``phase/processor``."""
    group: int
    """The number of its release group."""
    needs: tuple[int, ...]
    """The tasks of the same date that it needs, by number: of its phase, and of one released with it."""
    need_refs: tuple[str, ...]
    """The same, by ref."""
    reads: tuple[int, ...]
    """The tasks of earlier phases that it reads on the same date, as far as the run makes them, by number."""
    spec: Processor
    """What the pipeline file says of it."""
    dispatch: Dispatch | Observed
    """How its worker is called, or whose events tell of its end."""
    queue: str | None
    """The Cloud Tasks queue that its tasks go through; None when it is observed, and nobody dispatches it."""
    failure: FailurePolicy
    """What its phase does when it ends badly."""
    work: str
    """One ``WorkLetter`` per selected date."""
    expects: str
    """One ``ExpectationLetter`` per selected date."""
    unless_same: str = ""
    """``UNLESS_SAME`` or a dot per selected date; empty: it has none."""
    dates_at_once: int = 1
    """How many dates one call carries at most."""
    batches: Batches = "none"
    """How several dates are asked for in one request."""

    def is_called(self, position: int) -> bool:
        """Tell whether its worker is called on a date when it runs there: not where nothing is expected of it.

        What an existing system starts by itself is awaited on every date.
        """
        is_empty = self.expects[position] == ExpectationLetter.EMPTY
        return not is_empty or self.spec.run_when_empty or isinstance(self.dispatch, Observed)

    def may_stay(self, position: int) -> bool:
        """Tell whether it is left alone on a date where its inputs hold what its table was made from."""
        return self.unless_same[position : position + 1] == UNLESS_SAME

    @property
    def call(self) -> Dispatch:
        """Say how its worker is called. Raises InputError for an observed task: there is nobody to call."""
        if isinstance(self.dispatch, Dispatch):
            return self.dispatch
        raise InputError(f"{self.ref} is observed on topic '{self.dispatch.topic}'; the existing system starts it")


@dataclass(frozen=True, slots=True)
class SameDateEdge:
    """This edge waits for some processors on the same date."""

    check: str
    """The gate's check, as the pipeline file names it."""
    phase: str
    """The phase of the processors."""
    groups: tuple[int, ...]
    """Their release groups, by number."""
    refs: frozenset[str]
    """Those of the processors that are in the run."""
    outside: tuple[str, ...]
    """Refs of those that the run leaves out, judged from their tables."""


@dataclass(frozen=True, slots=True)
class WindowEdge:
    """This edge waits for some processors on the dates before this one."""

    check: str
    """The gate's check, as the pipeline file names it."""
    refs: tuple[tuple[str, int | None], ...]
    """The processors, each with its release group; None for one that the run leaves out."""
    inside: tuple[tuple[int, int], ...]
    """For each selected date, the positions of the selected dates in its window: the first, and one past the last."""
    outside: tuple[tuple[date, ...], ...]
    """For each selected date, the dates of its window that the run does not cover."""
    whole: tuple[tuple[date, ...], ...]
    """For each selected date, all dates of its window."""


@dataclass(frozen=True, slots=True)
class BarrierEdge:
    """This edge waits until every date of the run, or of the season, has passed some release groups."""

    check: str
    """The gate's check, as the pipeline file names it."""
    phase: str
    """The phase that has to be passed."""
    groups: tuple[int, ...]
    """Its release groups, by number."""
    ranges: tuple[tuple[int, int], ...]
    """For each selected date, the positions of the dates that it waits for: the first, and one past the last."""
    outside: tuple[str, ...]
    """Refs of processors that the run leaves out, judged from their tables."""


@dataclass(frozen=True, slots=True)
class ApprovalEdge:
    """This edge waits until a person says that the phase may go, for all dates of the run at once."""

    check: str
    """The gate's check, as the pipeline file names it."""
    phase: str
    """The phase that waits for the approval."""


Edge = SameDateEdge | WindowEdge | BarrierEdge | ApprovalEdge


@dataclass(frozen=True, slots=True)
class ReleaseGroup:
    """A release group is the tasks of a cell that share the same edges: what is released together."""

    number: int
    """Its place in ``PlanIndex.groups``."""
    name: str
    """The phase's name, with a number behind it where the phase has several groups."""
    phase: str
    """The phase that it belongs to."""
    tasks: tuple[int, ...]
    """Its tasks, by number."""
    edges: tuple[Edge, ...]
    """What it waits for."""
    released_with: tuple[int, ...]
    """The release groups of the phase that it is released together with, by number."""
