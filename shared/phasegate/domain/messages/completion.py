"""The completion event: one model for sender and receiver, versioned, unknown keys rejected."""

from datetime import date
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from phasegate.domain.messages.worker_protocol import MOST_ROWS, ErrorClass, ResultStatus
from phasegate.domain.redaction import RedactedText
from phasegate.domain.state.run import RUN_ID

EVENT_VERSION: Literal[1] = 1


class Completion(BaseModel):
    """What the runner, or a worker that answered 202, publishes about an attempt, on Phasegate's own topic.

    ``event_id`` is the same for every delivery and every repeated publication of the same end. ``status`` is that of
    the end; what began (``started``) or goes on (``heartbeat``) has none, and ``finished_at`` is when it said so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = EVENT_VERSION
    event_id: str = Field(min_length=1, max_length=300)
    run_id: str = Field(pattern=f"^{RUN_ID}$")
    date: date
    phase: str
    processor: str
    attempt: int = Field(ge=1)
    fence: int = Field(ge=1)
    kind: Literal["started", "completed", "heartbeat"] = "completed"
    status: ResultStatus | None = None
    error_class: ErrorClass | None = None
    message: RedactedText = Field(default="", max_length=2000)
    rows: int | None = Field(default=None, ge=0, le=MOST_ROWS)
    output_table: str | None = None
    code_version: str = ""
    started_at: AwareDatetime
    finished_at: AwareDatetime
    trace: str = ""

    @model_validator(mode="after")
    def _only_an_end_has_a_status(self) -> Self:
        if (self.kind == "completed") != (self.status is not None):
            raise ValueError(f"status: a {self.kind} event has {'a' if self.kind == 'completed' else 'no'} status")
        return self
