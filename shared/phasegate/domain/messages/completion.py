"""The completion event has one model for sender and receiver, versioned; unknown keys are rejected."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from phasegate.domain.foreign_text import MOST_MESSAGE, ForeignMessage, ForeignText
from phasegate.domain.protocol.versions import MINOR
from phasegate.domain.protocol.worker import MOST, ErrorClass, MadeWith, ResultStatus
from phasegate.domain.state.run import RUN_ID

EVENT_VERSION: Literal[1] = 1


class Completion(BaseModel):
    """The runner, or a worker that answered 202, publishes this about an attempt, on Phasegate's own topic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(default=EVENT_VERSION, description="the version of this document")
    event_id: str = Field(
        min_length=1,
        max_length=300,
        description="the same for every delivery and every repeated publication of the same end",
    )
    run_id: str = Field(pattern=f"^{RUN_ID}$", description="whose attempt it is")
    date: Annotated[date, Field(description="the date that was worked on")]
    phase: str = Field(description="the phase of the processor")
    processor: str = Field(description="the processor's name, canonical or alias")
    attempt: int = Field(ge=1, le=MOST, description="the number of the attempt, as the worker was told")
    fence: int = Field(ge=1, le=MOST, description="the fence of its claim, as the worker was told")
    kind: Literal["started", "completed", "heartbeat"] = Field(default="completed", description="what it says")
    status: ResultStatus | None = Field(
        default=None, description="that of the end; what began (started) or goes on (heartbeat) has none"
    )
    error_class: ErrorClass | None = Field(default=None, description="why it failed; null: it did not, or transient")
    http_status: int | None = Field(
        default=None,
        ge=100,
        le=599,
        exclude_if=lambda status: status is None,
        description="the status with which the worker was refused to the runner (401, 402, 403, 404); null: it was not",
    )
    message: ForeignMessage = Field(
        default="", max_length=MOST_MESSAGE, description="what there is to say, in a sentence"
    )
    rows: int | None = Field(default=None, ge=0, le=MOST, description="rows written; null: it writes no table")
    output_table: ForeignText | None = Field(default=None, description="the table, as dataset.table")
    code_version: ForeignText = Field(default="", description="the version of who sends this")
    made_with: MadeWith = Field(
        default="",
        exclude_if=lambda text: not text,
        description="what the worker says that it made the rows with; empty: it does not say, or it failed",
    )
    protocol_minor: int = Field(
        default=0,
        ge=0,
        exclude_if=lambda minor: not minor,
        description="the protocol's minor version, where a reader of one before may leave a key out (`made_with`)",
    )
    started_at: AwareDatetime = Field(description="when the work began")
    finished_at: AwareDatetime = Field(description="when it ended; of what goes on: when it said so")
    trace: ForeignText = Field(default="", description="the trace that the work belongs to, as a traceparent")

    @model_validator(mode="after")
    def _only_an_end_has_a_status(self) -> Self:
        if (self.kind == "completed") != (self.status is not None):
            raise ValueError(f"status: a {self.kind} event has {'a' if self.kind == 'completed' else 'no'} status")
        return self

    def with_made_with(self, made_with: str) -> Self:
        """Add what the rows of a good end were made with, so that an earlier version reads the event without it."""
        if not made_with or self.error_class is not None or self.status is ResultStatus.FAILED:
            return self
        return self.model_copy(update={"made_with": made_with, "protocol_minor": MINOR})


_NEVER = datetime.min.replace(tzinfo=UTC)

BLANK = Completion(
    event_id="blank",
    run_id="blank",
    date=_NEVER.date(),
    phase="blank",
    processor="blank",
    attempt=1,
    fence=1,
    status=ResultStatus.SUCCESS,
    started_at=_NEVER,
    finished_at=_NEVER,
)
"""What an event of checked values is copied from: ``model_copy`` checks nothing a second time."""


class CompletionBatch(BaseModel):
    """The runner publishes this about the attempts of one call. Each of them is taken, or set aside, by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(default=EVENT_VERSION, description="the version of this document")
    completions: tuple[Completion, ...] = Field(min_length=1, description="what became of each attempt")


_OF_A_BATCH = re.compile(r'"completions"\s*:')


def taken_apart(text: str) -> list[str]:
    """Return the messages about one attempt each that a message is made of; another message is its own only part."""
    if not _OF_A_BATCH.search(text):
        return [text]
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    if not isinstance(message, dict) or message.keys() != CompletionBatch.model_fields.keys():
        return [text]
    parts = message["completions"]
    is_known = message["schema_version"] == EVENT_VERSION and isinstance(parts, list) and parts
    return [json.dumps(part, ensure_ascii=False) for part in parts] if is_known else [text]


class CallEnd(NamedTuple):
    """The end of a call says what became of its attempts, as far as that is known."""

    completions: Sequence[Completion]
    """The ends that are known; what is missing is told by an event, or found by the sweep."""
    failed_together: str = ""
    """Why a call of several dates failed as a whole, so that nothing is known of one of them; empty: it did not."""
    attempts: int = 0
    """The attempts that the worker was asked for; 0: it was not called."""
    seconds: float = 0.0
    """How long the call took, in seconds."""

    @property
    def message(self) -> Completion | CompletionBatch | None:
        """Return what is published of it: one message, however many dates it is about; None: nothing."""
        if len(self.completions) > 1:
            return CompletionBatch.model_construct(completions=tuple(self.completions))
        return next(iter(self.completions), None)
