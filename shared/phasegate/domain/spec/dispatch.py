"""How the tasks of a phase come to be done: somebody calls a worker, or an existing system starts them by itself."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from phasegate.domain.spec.strict import Name, Strict

FieldPath = Annotated[
    str,
    Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*$", description="dotted path in a message"),
]
TopicId = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9._~+%-]{2,229}$", description="a Pub/Sub topic's id")]


class Dispatch(Strict):
    """How a task of the phase reaches its worker."""

    worker: Name
    path: str = Field(pattern=r"^/[A-Za-z0-9/_-]*$")
    date_field: Name = "date"
    processor_field: Name = "processor"
    results: str = Field(default="results", description="dotted path to the per-processor results in the answer")
    timeout_seconds: int = Field(default=540, ge=1, le=1800, description="Cloud Tasks allows up to 30 minutes")
    queue: Name


class MessageFields(Strict):
    """Where a message of the existing system says what: dotted paths.

    id: what names this one event, the same whenever it is delivered; without it the whole content does.
    rows: leave it out where the number is not that of the date's rows (a message a game, for example).
    error: the word for what went wrong, looked up in ``Observed.errors``.
    """

    date: FieldPath
    processor: FieldPath
    status: FieldPath
    id: FieldPath | None = None
    rows: FieldPath | None = None
    message: FieldPath | None = None
    error: FieldPath | None = None


class Observed(Strict):
    """The existing system starts the work by its own events and says on ``topic`` what became of it; nobody calls it.

    statuses: its word -> ours; a word that is not here is set aside. errors: its word for what went wrong -> our class;
    any other is transient. ignore: path -> values; a message with one of them there is about nothing that ended.
    timeout_seconds: how long after it could begin its word is waited for before the output is looked at.
    """

    topic: TopicId
    fields: MessageFields
    statuses: dict[str, Literal["success", "partial", "empty", "failed"]] = Field(min_length=1)
    errors: dict[str, Literal["transient", "not_yet", "unrecoverable", "bug"]] = Field(default={})
    ignore: dict[FieldPath, list[str]] = Field(default={})
    timeout_seconds: int = Field(default=3600, ge=1, le=86400)


class ObservedDispatch(Strict):
    """``dispatch: {observed: …}``."""

    observed: Observed


def _by_key(value: Any) -> Any:
    """Read a mapping as what its keys say it is, so that an error names the key, not the kinds it could have been."""
    if not isinstance(value, dict):
        return value
    return (ObservedDispatch if "observed" in value else Dispatch).model_validate(value)


PhaseDispatch = Annotated[Dispatch | ObservedDispatch, BeforeValidator(_by_key)]
