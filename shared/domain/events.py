"""The completion event: one model for sender and receiver, versioned, unknown keys rejected."""

from datetime import date
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.domain.worker_protocol import ErrorClass, ResultStatus

EVENT_VERSION: Literal[1] = 1


class Completion(BaseModel):
    """What the runner publishes about an attempt, on Phasegate's own topic.

    ``event_id`` is the same for every delivery and every repeated publication of the same end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = EVENT_VERSION
    event_id: str = Field(min_length=1, max_length=200)
    run_id: str
    date: date
    phase: str
    processor: str
    attempt: int = Field(ge=1)
    fence: int = Field(ge=1)
    kind: Literal["completed"] = "completed"
    status: ResultStatus
    error_class: ErrorClass | None = None
    message: str = Field(default="", max_length=2000)
    rows: int | None = Field(default=None, ge=0)
    output_table: str | None = None
    code_version: str = ""
    started_at: AwareDatetime
    finished_at: AwareDatetime
    trace: str = ""
