"""A run's document: what people want of it. The starter and operators' commands write it, every handler reads it."""

from datetime import date, datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

RUN_VERSION = 1
RUN_ID = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"


class DesiredState(StrEnum):
    """The state that a person asked for."""

    RUNNING = "running"
    PAUSED = "paused"
    DRAINING = "draining"
    CANCELLED = "cancelled"


class RunStatus(StrEnum):
    """The state that a run is in."""

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
        """Nothing more happens by itself; a retry opens all but a cancelled run again."""
        return self in _FINAL

    @property
    def is_at_rest(self) -> bool:
        """Final, or waiting for a person: nobody need watch it."""
        return self.is_final or self is RunStatus.WAITING

    @property
    def exit_status(self) -> int:
        """The contract's: 0 complete, 1 something failed or is blocked, 3 halted, cancelled or waiting for a person."""
        return {RunStatus.COMPLETED: 0, RunStatus.COMPLETED_WITH_FAILURES: 1}.get(self, 3)


_FINAL = frozenset({RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_FAILURES, RunStatus.HALTED, RunStatus.CANCELLED})


class RetryIntent(BaseModel):
    """Failed and blocked work again. Empty filters mean any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    dates: tuple[date, ...] = ()
    phase: str | None = None
    processor: str | None = None
    signature: str | None = None
    why: str = ""
    at: datetime


MOST_WAIVED = 200
"""Dates of one waiver: they are judged again in one pass, in one commit."""


class Waiver(BaseModel):
    """A blocked check may pass on these dates, until an end. phase, processor: None means any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    dates: tuple[date, ...] = Field(min_length=1, max_length=MOST_WAIVED)
    check: str
    phase: str | None = None
    processor: str | None = None
    why: str
    by: str
    at: datetime
    until: datetime

    def covers(self, day: date, phase: str, processor: str, check: str) -> bool:
        """Whether a verdict is in its scope; processor: the canonical name."""
        return (
            day in self.dates
            and check == self.check
            and self.phase in (None, phase)
            and self.processor in (None, processor)
        )


class Approval(BaseModel):
    """A person said that a phase may go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    phase: str
    by: str
    why: str = ""
    at: datetime


class Run(BaseModel):
    """One backfill, as people want it.

    request_hash: what was asked for (pipeline, selection, flags); the same request finds its unfinished run again.
    epoch: raised by a cancel; a claim made under an older one calls nobody.
    active_dates: live limits by phase, in place of the pipeline's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)

    schema_version: int = RUN_VERSION
    run_id: str = Field(pattern=f"^{RUN_ID}$")
    pipeline: str
    pipeline_file: str
    plan_hash: str
    request_hash: str
    source: str | None = None
    desired_state: DesiredState = Field(default=DesiredState.RUNNING, alias="wanted")
    epoch: int = 1
    active_dates: dict[str, int] = {}
    retries: tuple[RetryIntent, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    approvals: tuple[Approval, ...] = ()
    why: str = ""
    created_at: datetime

    @property
    def intents(self) -> tuple[str, ...]:
        """Ids of the retries, waivers and approvals that people asked for."""
        found = [retry.id for retry in self.retries] + [waiver.id for waiver in self.waivers]
        return (*found, *(approved.id for approved in self.approvals))

    @property
    def admits(self) -> bool:
        """Whether a task may start."""
        return self.desired_state is DesiredState.RUNNING
