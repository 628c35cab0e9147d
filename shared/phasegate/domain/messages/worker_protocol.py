"""What the runner sends to a worker and what it understands of the answer.

The same two models serve the HTTP runner and the in-process one, and the worker's own side, so that
sender and receiver can never disagree on a field name. Unknown keys are errors.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_ROWS = 2**63 - 1
"""What a 64-bit integer holds, in tables and documents alike."""


class ErrorClass(StrEnum):
    """Why an attempt did not succeed; decides whether and when it is tried again."""

    TRANSIENT = "transient"
    """Timeout, 5xx, connection reset: tried again with exponential backoff."""
    THROTTLE = "throttle"
    """429 or a quota error: tried again later, and costs no attempt."""
    NOT_YET = "not_yet"
    """The source has not published yet: tried again later, few times."""
    EXPECTED_EMPTY = "expected_empty"
    """There is rightly nothing: a success with its reason."""
    UNRECOVERABLE = "unrecoverable"
    """The source is gone: terminal."""
    BUG = "bug"
    """A bad request, a schema error, an assertion: never tried again by itself."""


class ResultStatus(StrEnum):
    """A worker's own word about one processor and date."""

    SUCCESS = "success"
    PARTIAL = "partial"
    EMPTY = "empty"
    FAILED = "failed"


class WorkerRequest(BaseModel):
    """One task, as the worker receives it.

    ``date`` travels under the name that the pipeline file gives it (``game_date``, ``analysis_date``).
    ``fence`` only rises: a partition that carries a higher one must not be written.
    ``deadline`` is UTC; after it the attempt's lease is void.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    date: date
    phase: str
    processor: str
    attempt: int = Field(ge=1)
    fence: int = Field(ge=1)
    deadline: datetime
    skip_downstream_trigger: Literal[True] = True
    backfill_mode: Literal[True] = True
    backfill_reason: str = ""
    correlation_id: str = ""


class ProcessorResult(BaseModel):
    """What became of one processor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: ResultStatus = Field(description="how it ended")
    rows: int | None = Field(default=None, ge=0, le=MOST_ROWS, description="rows written; null: it writes no table")
    message: str = Field(default="", description="why, if it is no success; a sentence")
    error_class: ErrorClass | None = Field(default=None, description="why it failed; null: it did not, or transient")


class WorkerAnswer(BaseModel):
    """Results by processor name, canonical or alias."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    results: dict[str, ProcessorResult] = Field(description="processor name -> what became of it")
