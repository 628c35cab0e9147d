"""The tasks of a phase come to be done in one of two ways: somebody calls a worker, or an existing system starts them
by itself."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from phasegate.domain.spec.strict import Name, Strict

LONGEST_ANSWER_SECONDS = 1800
"""An answer is waited for within a delivery of Cloud Tasks, which takes up to 30 minutes."""

FieldPath = Annotated[
    str,
    Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*$", description="dotted path in a message"),
]
TopicId = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9._~+%-]{2,229}$", description="a Pub/Sub topic's id")]


MOST_DATES_AT_ONCE = 50
"""Dates of one call: what is released is dispatched in pages of 50 dates at most, and the results of so many fit into
one event (512 KB, Functions quotas), however much each of them says."""


class Batch(Strict):
    """A batch says how much may travel in one call, one Cloud Task and one message."""

    dates: int = Field(
        ge=1,
        le=MOST_DATES_AT_ONCE,
        examples=[20],
        description="the most dates of one processor that one call carries; fewer where 1,800 seconds do not hold as "
        "many `timeout_seconds`, and one where the worker takes no batches",
    )


ONE_DATE = Batch(dates=1)


class Dispatch(Strict):
    """A dispatch says how Phasegate calls the worker of a task."""

    worker: Name = Field(
        default="",
        exclude_if=lambda worker: not worker,
        description="one of `workers`; needed unless each processor of the phase is `sql`",
    )
    path: str = Field(
        default="",
        pattern=r"^/[A-Za-z0-9/_-]*$",
        exclude_if=lambda path: not path,
        description="path of the request, below the worker's address; needed as `worker` is",
    )
    date_field: Name = Field(default="date", description="the request's name for the date")
    processor_field: Name = Field(default="processor", description="the request's name for the processor")
    results: str = Field(default="results", description="dotted path to the per-processor results in the answer")
    timeout_seconds: int = Field(
        default=540,
        ge=1,
        le=LONGEST_ANSWER_SECONDS,
        description="how long an answer is waited for; Cloud Tasks allows up to 30 minutes",
    )
    queue: Name = Field(description="one of `queues`")
    batch: Batch = Field(
        default=ONE_DATE,
        exclude_if=lambda batch: batch == ONE_DATE,
        description="how many dates travel together; default: each by itself",
    )

    def without_worker(self) -> "Dispatch":
        """Return the dispatch of what Phasegate itself runs: the same queue, time and batch, and nobody to call."""
        return Dispatch(queue=self.queue, timeout_seconds=self.timeout_seconds, batch=self.batch)

    @property
    def dates_in_time(self) -> int:
        """Return how many dates one call carries at most: each of them may take all of its time."""
        return max(1, min(self.batch.dates, LONGEST_ANSWER_SECONDS // self.timeout_seconds))


class MessageFields(Strict):
    """These dotted paths say where a message of the existing system says what."""

    date: FieldPath = Field(description="dotted path to the date")
    processor: FieldPath = Field(description="dotted path to the processor's name or alias")
    status: FieldPath = Field(description="dotted path to the word for how it ended, looked up in `statuses`")
    id: FieldPath | None = Field(
        default=None,
        description="dotted path to what names this one event, the same whenever it is delivered; without it the "
        "whole content does",
    )
    rows: FieldPath | None = Field(
        default=None,
        description="dotted path to the number of the date's rows; leave it out where the number is another one "
        "(several messages per date, for example)",
    )
    message: FieldPath | None = Field(default=None, description="dotted path to a text for people")
    error: FieldPath | None = Field(
        default=None, description="dotted path to the word for what went wrong, looked up in `errors`"
    )


class Observed(Strict):
    """The existing system starts the work by its own events and says on ``topic`` what became of it; nobody calls
    it."""

    topic: TopicId = Field(description="the Pub/Sub topic on which the existing system reports")
    fields: MessageFields = Field(description="where its messages say what")
    statuses: dict[str, Literal["success", "partial", "empty", "failed"]] = Field(
        min_length=1, description="its word for how a task ended -> ours; a word that is not here is set aside"
    )
    errors: dict[str, Literal["transient", "not_yet", "unrecoverable", "bug"]] = Field(
        default={}, description="its word for what went wrong -> our class; any other is transient"
    )
    ignore: dict[FieldPath, list[str]] = Field(
        default={}, description="dotted path -> values; a message with one of them there is about nothing that ended"
    )
    timeout_seconds: int = Field(
        default=3600,
        ge=1,
        le=86400,
        description="how long after it could begin its word is waited for before the output is looked at",
    )


class ObservedDispatch(Strict):
    """With ``dispatch: {observed: …}`` an existing system starts the tasks of the phase."""

    observed: Observed = Field(description="what that system says of them, and where")


def _by_key(value: Any) -> Any:
    """Read a mapping as what its keys say it is, so that an error names the key, not the kinds it could have been."""
    if not isinstance(value, dict):
        return value
    return (ObservedDispatch if "observed" in value else Dispatch).model_validate(value)


PhaseDispatch = Annotated[Dispatch | ObservedDispatch, BeforeValidator(_by_key)]
