"""A call is what is sent to a worker at once: claimed attempts of one processor, of one date or of several."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic import JsonValue

from phasegate import __version__, telemetry
from phasegate.domain.calendar.expectation import RowsDue
from phasegate.domain.decisions.answers import Refused
from phasegate.domain.foreign_text import kept
from phasegate.domain.messages.completion import BLANK, CallEnd, Completion
from phasegate.domain.plan import TaskSpec
from phasegate.domain.protocol.worker import (
    OwnFields,
    ProcessorResult,
    WorkerRequest,
    batch_request_body,
    range_request_body,
    request_body,
)
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.domain.state.facts import AttemptKey
from phasegate.domain.state.run import Run
from phasegate.ports import Claim
from phasegate.services.running.sql_processors import PlannedSelect


class ClaimedAttempt(NamedTuple):
    """A claimed attempt is one that a call is made for, or that is refused without one."""

    claim: Claim
    """The claim, which nobody else can have."""
    may_be_empty: bool = False
    """Whether rows that stand there may be deleted where the worker has none."""
    rows_due: RowsDue | None = None
    """How many rows its table should hold on the date; None: it writes none."""
    select: PlannedSelect | None = None
    """What is run in place of a call; None: the worker is called."""
    refused: ProcessorResult | None = None
    """Given: the worker is not asked for it, and this is how the attempt ends."""


class Call(NamedTuple):
    """A call is claimed attempts of one processor, in the order of their dates, ready to be sent to its worker."""

    run: Run
    """The run, as it was read after the claim."""
    task: TaskSpec
    """What the plan says of the task."""
    attempts: tuple[ClaimedAttempt, ...]
    """What is asked for; one at least."""
    constants: Mapping[str, JsonValue]
    """What the worker is sent beside the protocol's own fields."""

    @property
    def keys(self) -> list[AttemptKey]:
        """List the attempts."""
        return [attempt.claim.key for attempt in self.attempts]

    @property
    def claim(self) -> Claim:
        """Return the claim of the first date; all have the same times."""
        return self.attempts[0].claim

    @property
    def asked(self) -> list[ClaimedAttempt]:
        """List the attempts that the worker is asked for."""
        return [attempt for attempt in self.attempts if attempt.refused is None]

    @property
    def days(self) -> str:
        """Name the dates: the one, or the first and the last."""
        first, last = self.attempts[0].claim.key.day, self.attempts[-1].claim.key.day
        return str(first) if first == last else f"{first} to {last}"


def attempt_id(run_id: str, claim: Claim) -> str:
    """Name an attempt and its claim, in every run."""
    return f"{correlation_id(run_id, claim.key)}/{claim.fence}"


def correlation_id(run_id: str, key: AttemptKey) -> str:
    """Name an attempt, in every run; and the holder of its lease."""
    return f"{run_id}/{key.day}/{key.phase}/{key.processor}/{key.attempt}"


def completion(call: Call, claim: Claim, result: ProcessorResult, started: datetime, finished: datetime) -> Completion:
    """Make the event for the result of one attempt. Its values are our own, or were checked when the answer was
    understood."""
    key, output = claim.key, call.task.spec.output
    said = {
        "event_id": attempt_id(call.run.run_id, claim),
        "run_id": call.run.run_id,
        "date": key.day,
        "phase": key.phase,
        "processor": key.processor,
        "attempt": key.attempt,
        "fence": claim.fence,
        "status": result.status,
        "error_class": result.error_class,
        "http_status": result.http_status if isinstance(result, Refused) else None,
        "message": kept(result.message),
        "rows": result.rows,
        "output_table": output.table if isinstance(output, TableOutput) else None,
        "code_version": __version__,
        "started_at": started,
        "finished_at": finished,
        "trace": telemetry.current_trace(),
    }
    return BLANK.model_copy(update=said).with_made_with(result.made_with)


def body_of(call: Call, asked: Sequence[ClaimedAttempt]) -> dict[str, JsonValue]:
    """Write the request for one date, or for several as the worker takes them."""
    dispatch, own = call.task.call, [_own_fields(call, attempt) for attempt in asked]
    fields = call.constants, call.run.why, dispatch.date_field, dispatch.processor_field
    if len(own) == 1:
        return request_body(own[0], *fields)
    return (range_request_body if call.task.batches == "range" else batch_request_body)(own, *fields)


def request_of(call: Call, attempt: ClaimedAttempt) -> WorkerRequest:
    """Return the request for one date, as a worker of the library reads it."""
    return WorkerRequest(**_own_fields(call, attempt)._asdict())


def _own_fields(call: Call, attempt: ClaimedAttempt) -> OwnFields:
    claim, rows = attempt.claim, attempt.rows_due
    return OwnFields(
        run_id=call.run.run_id,
        date=claim.key.day,
        phase=claim.key.phase,
        processor=claim.key.processor,
        attempt=claim.key.attempt,
        fence=claim.fence,
        deadline=claim.deadline,
        correlation_id=correlation_id(call.run.run_id, claim.key),
        may_be_empty=attempt.may_be_empty,
        rows_at_least=rows.at_least if rows else None,
        rows_at_most=rows.at_most if rows else None,
    )


def in_words(call: Call, end: CallEnd) -> str:
    """Say what became of a call: a word for one attempt, for several how many of them have which word.

    The words are the results; ``failed together`` of each that was asked for in a call which failed as a whole; and
    ``accepted`` of each whose end is not known yet.
    """
    words = [completion.status.value for completion in end.completions if completion.status]
    if end.failed_together:
        words += ["failed together"] * len(call.asked)
    words += ["accepted"] * (len(call.attempts) - len(words))
    if len(words) == 1:
        return words[0]
    return ", ".join(f"{count} {word}" for word, count in Counter(words).items())
