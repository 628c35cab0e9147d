"""What a plan is compiled to: tasks, the release groups that they are released in, and the edges that a group
waits for."""

from dataclasses import dataclass
from datetime import date

from phasegate.domain.errors import InputError
from phasegate.domain.spec.dispatch import Dispatch, Observed
from phasegate.domain.spec.pipeline import FailurePolicy, Processor


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One processor of the plan. ``needs`` are task numbers; ``expects`` has a letter a selected date.

    queue: the Cloud Tasks queue that its tasks go through; None when it is observed, and nobody dispatches it.
    """

    number: int
    phase: str
    processor: str
    ref: str
    group: int
    needs: tuple[int, ...]
    need_refs: tuple[str, ...]
    spec: Processor
    dispatch: Dispatch | Observed
    queue: str | None
    failure: FailurePolicy
    work: str
    expects: str

    @property
    def call(self) -> Dispatch:
        """How its worker is called. Raises InputError for an observed task: there is nobody to call."""
        if isinstance(self.dispatch, Observed):
            raise InputError(f"{self.ref} is observed on topic '{self.dispatch.topic}'; the existing system starts it")
        return self.dispatch


@dataclass(frozen=True, slots=True)
class SameDateEdge:
    """Edge: these processors (of ``groups``) on the same date. ``outside``: refs of phases that the run leaves
    out."""

    check: str
    phase: str
    groups: tuple[int, ...]
    refs: frozenset[str]
    outside: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WindowEdge:
    """Edge: ``refs`` on the dates before this one.

    inside: for each selected date the range of selected dates in its window; outside: the window's dates that the
    run does not cover (for processors it leaves out: all of them).
    """

    check: str
    refs: tuple[tuple[str, int | None], ...]
    inside: tuple[tuple[int, int], ...]
    outside: tuple[tuple[date, ...], ...]
    whole: tuple[tuple[date, ...], ...]


@dataclass(frozen=True, slots=True)
class BarrierEdge:
    """Edge: every date of the run, or of the season, has passed these release groups. ``outside``: as in
    ``SameDateEdge``."""

    check: str
    phase: str
    groups: tuple[int, ...]
    ranges: tuple[tuple[int, int], ...]
    outside: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApprovalEdge:
    """Edge: a person says that the phase may go, for all dates of the run at once."""

    check: str
    phase: str


Edge = SameDateEdge | WindowEdge | BarrierEdge | ApprovalEdge


@dataclass(frozen=True, slots=True)
class ReleaseGroup:
    """The tasks of a cell that share the same edges: what is released together."""

    number: int
    name: str
    phase: str
    tasks: tuple[int, ...]
    edges: tuple[Edge, ...]
    released_with: tuple[int, ...]
