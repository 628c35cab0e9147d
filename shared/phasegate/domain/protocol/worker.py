"""The worker protocol is what the runner sends to a worker and what it understands of the answer.

One request and one answer serve the HTTP runner and the in-process one, and the worker's own side. What the runner
sends it writes from ``OwnFields``; the model that reads it names the same fields, and a test holds the two together.
Unknown keys are errors.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from phasegate.domain.foreign_text import ForeignText

MOST = 2**63 - 1
"""What a 64-bit integer holds, in tables and documents alike."""


class ErrorClass(StrEnum):
    """The class of an error says why an attempt did not succeed; it decides whether and when it is tried again."""

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


NEEDS_A_PERSON = 402
"""The status of a worker's refusal that no later try mends, on whatever date: a statement would read more than a person
allowed. It halts the run."""


class ResultStatus(StrEnum):
    """The status is a worker's own word about one processor and date."""

    SUCCESS = "success"
    PARTIAL = "partial"
    EMPTY = "empty"
    FAILED = "failed"


class WorkerRequest(BaseModel):
    """A request is one task, as the worker receives it.

    ``date`` and ``processor`` travel under the names that the pipeline file gives them. The three fields of
    ``FORMER_CONSTANTS``, and ``settings``, may be there or not: the pipeline file says what is sent beside the
    protocol's own fields.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(description="the run's id")
    date: date
    """The date to process."""
    phase: str = Field(description="the phase of the pipeline file")
    processor: str = Field(description="the processor's name in the pipeline file")
    attempt: int = Field(ge=1, description="how often this run has tried it, this time included")
    fence: int = Field(ge=1, description="only rises: a partition that carries a higher one must not be written")
    deadline: datetime = Field(description="UTC; after it the attempt's lease is void")
    skip_downstream_trigger: Literal[True] = Field(default=True, description="a service must not wake its live cascade")
    backfill_mode: Literal[True] = Field(default=True, description="this is no live work")
    backfill_reason: str = Field(default="", description="the run's reason")
    settings: Mapping[str, JsonValue] = Field(
        default_factory=dict, description="what the pipeline file sets for the service, in the service's own words"
    )
    correlation_id: str = Field(default="", description="names the attempt, in every run")
    may_be_empty: bool = Field(
        default=False,
        exclude_if=lambda may: not may,
        description="no rows are right on this date, or a person accepts that: what stands there may be deleted",
    )
    rows_at_least: int | None = Field(
        default=None,
        ge=0,
        exclude_if=lambda rows: rows is None,
        description="rows that its table should hold on the date, the fewest; null: it writes no table",
    )
    rows_at_most: int | None = Field(
        default=None,
        ge=0,
        exclude_if=lambda rows: rows is None,
        description="the most that are right; null: nothing says so",
    )


NEWER_FIELDS = {"may_be_empty": 1, "rows_at_least": 1, "rows_at_most": 1}
"""Fields that joined the protocol, and its minor version since when: others refuse them."""

FORMER_CONSTANTS: Mapping[str, JsonValue] = MappingProxyType(
    {"skip_downstream_trigger": True, "backfill_mode": True, "backfill_reason": "{why}"}
)
"""What a worker is sent whose pipeline file does not say ``request``: no live cascade may wake for want of a key."""

OWN_FIELDS = frozenset(WorkerRequest.model_fields) - FORMER_CONSTANTS.keys() - {"settings"}
"""Fields of the protocol itself, which no constant may replace."""


Batches = Literal["none", "list", "range"]
"""How a worker takes several dates in one request."""

BATCH_FIELDS = frozenset({"dates", "end_date"})
"""Fields of the protocol itself in requests for several dates: a list of them, or the last of a range."""

FIELDS_OF_A_DATE = ("attempt", "fence", "may_be_empty", "rows_at_least", "rows_at_most")
"""Fields that each date of a list has for itself, beside the date."""


class OwnFields(NamedTuple):
    """These fields are what a request says by the protocol itself, before it is written."""

    run_id: str
    """The run's id."""
    date: date
    """The date to process."""
    phase: str
    """The phase of the pipeline file."""
    processor: str
    """The processor's name in the pipeline file."""
    attempt: int
    """How often this run has tried it, this time included."""
    fence: int
    """The fence of the attempt's claim."""
    deadline: datetime
    """When the answer is waited for no longer."""
    correlation_id: str
    """Names the attempt, in every run."""
    may_be_empty: bool = False
    """What stands there may be deleted; sent only where it is so."""
    rows_at_least: int | None = None
    """The fewest rows that the table should hold; None: not sent."""
    rows_at_most: int | None = None
    """The most of them; None: not sent."""


def request_body(
    own: OwnFields, constants: Mapping[str, JsonValue], why: str, date_field: str, processor_field: str
) -> dict[str, JsonValue]:
    """Write the request as it is sent: under the pipeline file's names, with its constants.

    constants: by field; ``{why}`` in a text becomes the run's reason.
    """
    body: dict[str, JsonValue] = {
        "run_id": own.run_id,
        "date": own.date.isoformat(),
        "phase": own.phase,
        "processor": own.processor,
        "attempt": own.attempt,
        "fence": own.fence,
        "deadline": own.deadline.isoformat().replace("+00:00", "Z"),
        "correlation_id": own.correlation_id,
    }
    if own.may_be_empty:
        body["may_be_empty"] = True
    if own.rows_at_least is not None:
        body["rows_at_least"] = own.rows_at_least
    if own.rows_at_most is not None:
        body["rows_at_most"] = own.rows_at_most
    for field, name in (("date", date_field), ("processor", processor_field)):
        if name != field:
            body[name] = body.pop(field)
    for name, value in constants.items():
        body[name] = value.replace("{why}", why) if isinstance(value, str) else value
    return body


def batch_request_body(
    own: Sequence[OwnFields], constants: Mapping[str, JsonValue], why: str, date_field: str, processor_field: str
) -> dict[str, JsonValue]:
    """Write one request for several dates of a processor, which are in order: what ``request_body`` says of a date
    stands in the list ``dates``, and the rest once.

    All of them have one deadline. The correlation id is that of the first date's attempt.
    """
    bodies = [request_body(each, {}, why, date_field, processor_field) for each in own]
    of_a_date = (date_field, *FIELDS_OF_A_DATE)
    shared = request_body(own[0], constants, why, date_field, processor_field)
    return {
        **{name: value for name, value in shared.items() if name not in of_a_date},
        "dates": [{name: body[name] for name in of_a_date if name in body} for body in bodies],
    }


def range_request_body(
    own: Sequence[OwnFields], constants: Mapping[str, JsonValue], why: str, date_field: str, processor_field: str
) -> dict[str, JsonValue]:
    """Write one request for the dates of a processor from the first to the last of these, between which the calendar
    has no other.

    One fence has to do for all of them: the highest, as rows under a lower one would be those of an earlier attempt to
    whoever proves the others. It is no higher than any later claim's, and the partitions hold no rows under one that
    lies between. What stands there may be deleted only where that is so on each of the dates; the number of rows that a
    date should hold is not sent.
    """
    whole = own[0]._replace(
        attempt=max(each.attempt for each in own),
        fence=max(each.fence for each in own),
        may_be_empty=all(each.may_be_empty for each in own),
        rows_at_least=None,
        rows_at_most=None,
    )
    return {
        **request_body(whole, constants, why, date_field, processor_field),
        "end_date": own[-1].date.isoformat(),
    }


MOST_MADE_WITH = 32
"""Bytes of the text with which a worker names what it makes rows with; in place of a longer one stands its hash, which
has as many. The facts of a date keep it (``largest_date.py``)."""


def _short(text: str) -> str:
    return text if len(text.encode()) <= MOST_MADE_WITH else hashlib.sha256(text.encode()).hexdigest()[:MOST_MADE_WITH]


MadeWith = Annotated[ForeignText, AfterValidator(_short)]
"""What rows are made with, in a worker's own words: a version, or a hash of a statement. Two that differ make, for all
that is known, different rows of the same inputs; empty: it does not say."""

Said = Mapping[str, Mapping[str, str]]
"""What a worker says that it would make rows with now: path -> processor -> text, as in its ``/health``."""

_MADE_WITH: TypeAdapter[str] = TypeAdapter(MadeWith)


def read_said(made_with: object) -> Said:
    """Read what a worker says that it would make rows with. What is of another shape says nothing."""
    paths = made_with.items() if isinstance(made_with, Mapping) else ()
    return {
        str(path): {
            str(name): _MADE_WITH.validate_python(text)
            for name, text in of_path.items()
            if isinstance(text, str) and text
        }
        for path, of_path in paths
        if isinstance(of_path, Mapping)
    }


Offered = Mapping[str, str]
"""How a worker takes several dates in one request, by path, as in its ``/health``; a path that is absent takes none."""


def read_offered(batches: object) -> Offered | None:
    """Read how a worker says that it takes several dates; None: it does not say. What is of another shape says
    nothing."""
    return {str(path): str(how) for path, how in batches.items()} if isinstance(batches, Mapping) else None


class ProcessorResult(BaseModel):
    """A result says what became of one processor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: ResultStatus = Field(description="how it ended")
    rows: int | None = Field(default=None, ge=0, le=MOST, description="rows written; null: it writes no table")
    message: ForeignText = Field(default="", description="why, if it is no success; a sentence")
    error_class: ErrorClass | None = Field(default=None, description="why it failed; null: it did not, or transient")
    made_with: MadeWith = Field(
        default="", exclude_if=lambda text: not text, description="what its rows were made with; empty: it does not say"
    )


class WorkerAnswer(BaseModel):
    """An answer holds results by processor name, canonical or alias."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    results: dict[str, ProcessorResult] = Field(description="processor name -> what became of it")
