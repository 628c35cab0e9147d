"""A run's document says what people want of it. The starter and operators' commands write it, every handler reads
it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

RUN_VERSION = 1
RUN_MINOR = 0
"""Raised when the document gains a key that an earlier version may ignore (decision 23)."""

RUN_ID = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"


class DesiredState(StrEnum):
    """The desired state is the one that a person asked for."""

    RUNNING = "running"
    PAUSED = "paused"
    DRAINING = "draining"
    CANCELLED = "cancelled"


class RunStatus(StrEnum):
    """The status is the state that a run is in."""

    RUNNING = "running"
    PAUSED = "paused"
    DRAINING = "draining"
    COMPLETED = "completed"
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    HALTED = "halted"
    CANCELLED = "cancelled"
    WAITING = "waiting"

    @property
    def is_final(self) -> bool:
        """Tell whether nothing more happens by itself; a retry opens all but a cancelled run again."""
        return self in _FINAL

    @property
    def is_at_rest(self) -> bool:
        """Tell whether it is final, or waits for a person: nobody need watch it."""
        return self.is_final or self is RunStatus.WAITING

    @property
    def exit_status(self) -> int:
        """Return the contract's exit status: 0 complete, 1 something failed or is blocked, 3 halted, cancelled or
        waiting for a person."""
        return {RunStatus.COMPLETED: 0, RunStatus.COMPLETED_WITH_FAILURES: 1}.get(self, 3)


_FINAL = frozenset({RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_FAILURES, RunStatus.HALTED, RunStatus.CANCELLED})


class RetryIntent(BaseModel):
    """A person asked for failed and blocked work again. Empty filters mean any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(description="names it in Board.applied once it was acted on")
    dates: tuple[date, ...] = Field(default=(), description="the dates that it is about")
    phase: str | None = Field(default=None, description="the phase that it is about")
    processor: str | None = Field(default=None, description="the processor that it is about, canonical or an alias")
    signature: str | None = Field(default=None, description="what the failures that it is about have in common")
    accept_empty: bool = Field(
        default=False,
        exclude_if=lambda accepted: not accepted,
        description="a person accepts that the tasks it is about delete rows and put nothing in their place",
    )
    why: str = Field(default="", description="the person's reason")
    at: datetime = Field(description="when it was asked for, UTC")


class Refresh(BaseModel):
    """A person had a run go on by a later generation of its plan: the same dates and tasks, of which something else is
    expected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(description="names it in Board.applied once it was acted on")
    plan: str = Field(description="names the generation, as the store keeps it; a later one has a higher name")
    why: str = Field(default="", description="the person's reason")
    at: datetime = Field(description="when it was asked for, UTC")


MOST_WAIVED = 200
"""Dates of one waiver: they are judged again in one pass, in one commit."""


SIGNED_BY_FILE = "the pipeline file"
"""Who stands for a known exception, where a waiver names the person."""

NO_END = datetime(9999, 12, 31, tzinfo=UTC)
"""The end of a waiver that has none."""


class Waiver(BaseModel):
    """A waiver lets a blocked check pass on these dates, until an end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(description="names it in Board.applied and Board.waivers, and in the verdicts that it lets pass")
    dates: tuple[date, ...] = Field(
        min_length=1, max_length=MOST_WAIVED, description="the dates on which the check may pass"
    )
    check: str = Field(description="the check's name")
    phase: str | None = Field(default=None, description="the phase that it is about; none: any")
    processor: str | None = Field(default=None, description="the processor's canonical name; none: any")
    why: str = Field(description="why the check may pass; stands in the report")
    by: str = Field(description="the person who decided it")
    at: datetime = Field(description="when it was decided, UTC")
    until: datetime = Field(description="its end, UTC")

    @property
    def is_of_the_file(self) -> bool:
        """Tell whether the pipeline file, and no person, decided it."""
        return self.by == SIGNED_BY_FILE

    @property
    def term(self) -> str:
        """Say until when it holds."""
        return "without an end" if self.until == NO_END else f"until {self.until:%Y-%m-%d %H:%M} UTC"

    def covers(self, day: date, phase: str, processor: str, check: str) -> bool:
        """Tell whether a verdict is in its scope; processor: the canonical name."""
        return (
            day in self.dates
            and check == self.check
            and self.phase in (None, phase)
            and self.processor in (None, processor)
        )


class Approval(BaseModel):
    """A person said that a phase may go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(description="names it in Board.applied once it was acted on")
    phase: str = Field(description="the phase that may go")
    by: str = Field(description="the person who decided it")
    why: str = Field(default="", description="the person's reason")
    at: datetime = Field(description="when it was decided, UTC")


class Run(BaseModel):
    """A run is one backfill, as people want it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)

    schema_version: int = Field(default=RUN_VERSION, description="the layout of this document")
    schema_minor: int = Field(
        default=RUN_MINOR,
        exclude_if=lambda minor: minor == 0,
        description="counts the keys that joined the layout since, which an earlier version ignores; 0 is not written",
    )
    run_id: str = Field(pattern=f"^{RUN_ID}$", description="the run's name, in commands and documents")
    pipeline: str = Field(description="the pipeline's name")
    pipeline_file: str = Field(description="the pipeline file that it was planned with")
    plan_hash: str = Field(description="the hash of the frozen plan")
    request_hash: str = Field(
        description="what was asked for (pipeline, selection, flags): the same request finds its unfinished run again"
    )
    source: str | None = Field(default=None, description="the source folder; none: the pipeline has no such folder")
    desired_state: DesiredState = Field(
        default=DesiredState.RUNNING, alias="wanted", description="the state that a person asked for"
    )
    epoch: int = Field(default=1, description="raised by a cancel: a claim made under an older one calls nobody")
    active_dates: dict[str, int] = Field(default={}, description="live limits by phase, in place of the pipeline's")
    retries: tuple[RetryIntent, ...] = Field(default=(), description="work that people asked for again, oldest first")
    waivers: tuple[Waiver, ...] = Field(default=(), description="checks that people let pass, oldest first")
    approvals: tuple[Approval, ...] = Field(default=(), description="phases that people let go, oldest first")
    refreshes: tuple[Refresh, ...] = Field(
        default=(),
        exclude_if=lambda refreshes: not refreshes,
        description="later generations of the plan by which people had it go on, oldest first; an earlier version, "
        "which would judge the run by the first one, refuses a document with this key (decision 31)",
    )
    why: str = Field(default="", description="the person's reason for the run")
    created_at: datetime = Field(description="when the run was created, UTC")

    @property
    def intents(self) -> tuple[str, ...]:
        """List the ids of the refreshes, retries, waivers and approvals that people asked for."""
        found = [refresh.id for refresh in self.refreshes] + [retry.id for retry in self.retries]
        return (*found, *(waiver.id for waiver in self.waivers), *(approved.id for approved in self.approvals))

    @property
    def newest_plan(self) -> str:
        """Name the generation of the plan that people want it to go by; empty: the first."""
        return self.refreshes[-1].plan if self.refreshes else ""

    def plan_at(self, moment: datetime) -> str:
        """Name the generation of the plan that people wanted it to go by at a moment, UTC; empty: the first.

        The schedule was read for a generation before that was asked for: who begins later has not read an older one.
        """
        return next((asked.plan for asked in reversed(self.refreshes) if asked.at <= moment), "")

    @property
    def takes_back(self) -> bool:
        """Tell whether a release may have been taken back: by a retry, or by a later generation of the plan."""
        return bool(self.retries or self.refreshes)

    @property
    def admits(self) -> bool:
        """Tell whether a task may start."""
        return self.desired_state is DesiredState.RUNNING


@dataclass(frozen=True, slots=True)
class UnreadableDocument:
    """A run's document is there, and this version of the program cannot read it: what is known of it all the same."""

    run_id: str
    """The run."""

    reason: str
    """Why it cannot be read, and what to do."""

    pipeline: str | None = None
    """The pipeline's name, as it stands there; None: it does not say."""

    source: str | None = None
    """The source folder, as it stands there; None: it does not say."""
