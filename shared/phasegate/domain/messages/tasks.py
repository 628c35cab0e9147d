"""The tasks of the queues carry a wake-up, a page of dates, or for the runner an attempt or a batch of them.

A task may have been queued by an earlier release, so that keys are added with a default, and none is taken away.
"""

import re
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Annotated, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import to_json

from phasegate.domain.protocol.worker import MOST
from phasegate.domain.spec.pipeline import Phase, Pipeline, Processor
from phasegate.domain.state.facts import AttemptKey, Inputs
from phasegate.domain.state.run import RUN_ID


class WakeUp(BaseModel):
    """A wake-up names the run that the conductor, or the verifier, is to work on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(pattern=f"^{RUN_ID}$", description="the run to work on")


class DispatchPage(BaseModel):
    """A dispatch page names dates of a run that are to be reconciled: their release groups were released."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(pattern=f"^{RUN_ID}$", description="whose dates they are")
    dates: tuple[date, ...] = Field(min_length=1, description="the dates to reconcile")


AttemptsByRef = dict[str, Annotated[int, Field(ge=0, le=MOST)]]
"""The attempts of its needs that an attempt is made from: ref -> attempt."""


class QueuedAttempt(NamedTuple):
    """A queued attempt is what a payload says of one of its dates."""

    key: AttemptKey
    """Which attempt it is."""
    generation: int
    """The generation of the (date, phase) that it belongs to."""
    inputs: Inputs
    """The attempts of its needs that it is made from."""


class TaskPayload(BaseModel):
    """A task's payload tells the runner which attempt to execute, and what it was dispatched from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(pattern=f"^{RUN_ID}$", description="whose attempt it is")
    date: Annotated[date, Field(description="the date that is worked on")]
    phase: str = Field(description="the phase of the processor")
    processor: str = Field(description="the canonical name of the processor")
    attempt: int = Field(ge=1, le=MOST, description="counts the attempts of the task, from 1")
    generation: int = Field(
        ge=1, le=MOST, description="the generation of the (date, phase) that the attempt belongs to"
    )
    inputs: AttemptsByRef = Field(description="the attempts of its needs that it is made from: ref -> attempt")
    epoch: int = Field(
        ge=1, le=MOST, description="the run's epoch; claimed under another one, the attempt calls nobody"
    )

    @property
    def queued(self) -> tuple[QueuedAttempt, ...]:
        """Return what is said of its attempts: there is one."""
        key = AttemptKey(self.date, self.phase, self.processor, self.attempt)
        return (QueuedAttempt(key, self.generation, tuple(self.inputs.items())),)


class BatchedAttempt(BaseModel):
    """A batched attempt is what a batch's payload says of one of its dates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: Annotated[date, Field(description="the date that is worked on")]
    attempt: int = Field(ge=1, le=MOST, description="counts the attempts of the task, from 1")
    generation: int = Field(
        ge=1, le=MOST, description="the generation of the (date, phase) that the attempt belongs to"
    )
    inputs: AttemptsByRef = Field(description="the attempts of its needs that it is made from: ref -> attempt")


class BatchPayload(BaseModel):
    """A batch's payload tells the runner which attempts of one processor to execute in one call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(pattern=f"^{RUN_ID}$", description="whose attempts they are")
    phase: str = Field(description="the phase of the processor")
    processor: str = Field(description="the canonical name of the processor")
    epoch: int = Field(
        ge=1, le=MOST, description="the run's epoch; claimed under another one, the attempts call nobody"
    )
    attempts: tuple[BatchedAttempt, ...] = Field(min_length=1, description="the attempts, in the order of their dates")

    @model_validator(mode="after")
    def _has_each_date_once_in_order(self) -> Self:
        for before, after in pairwise(self.attempts):
            if after.date <= before.date:
                raise ValueError(f"attempts: {after.date} comes after {before.date}; each date stands once, in order")
        return self

    @property
    def queued(self) -> tuple[QueuedAttempt, ...]:
        """Return what is said of its attempts."""
        return tuple(
            QueuedAttempt(
                AttemptKey(each.date, self.phase, self.processor, each.attempt),
                each.generation,
                tuple(each.inputs.items()),
            )
            for each in self.attempts
        )


def write_payload(run_id: str, attempts: Sequence[QueuedAttempt], epoch: int) -> str:
    """Write the payload of attempts of one processor as ``TaskPayload`` reads it, of several as ``BatchPayload`` does;
    our own values need no check.
    """
    first = attempts[0].key
    if len(attempts) == 1:
        return _json(
            {
                "run_id": run_id,
                "date": first.day,
                "phase": first.phase,
                "processor": first.processor,
                "attempt": first.attempt,
                "generation": attempts[0].generation,
                "inputs": dict(attempts[0].inputs),
                "epoch": epoch,
            }
        )
    return _json(
        {
            "run_id": run_id,
            "phase": first.phase,
            "processor": first.processor,
            "epoch": epoch,
            "attempts": [
                {"date": key.day, "attempt": key.attempt, "generation": generation, "inputs": dict(inputs)}
                for key, generation, inputs in attempts
            ],
        }
    )


MOST_TASK_BYTES = 100_000
"""What a Cloud Task carries (task.proto; the quotas page says 1 MiB)."""

_MOST_COUNTED = 9_999
"""Attempts, generations and epochs of a run, for all that can be foreseen."""

_LONGEST_RUN_ID = 63
"""Characters, by ``RUN_ID``."""


def largest_payload(pipeline: Pipeline, phase: Phase, processor: Processor) -> int:
    """Return the bytes that the payload for a processor comes to with as many dates as travel together."""
    companions = [name for name in (phase.name, phase.released_with) if name]
    needs = ("/".join(pipeline.resolve(need, companions)) for need in processor.needs)
    inputs = tuple((ref, _MOST_COUNTED) for ref in needs)
    key = AttemptKey(date.max, phase.name, processor.name, _MOST_COUNTED)
    attempts = [QueuedAttempt(key, _MOST_COUNTED, inputs)] * pipeline.dates_at_once(phase, processor)
    return len(write_payload("r" * _LONGEST_RUN_ID, attempts, _MOST_COUNTED))


def _json(payload: object) -> str:
    return to_json(payload).decode()


_OF_A_BATCH = re.compile(r'"attempts"\s*:')


def payload_model(text: str) -> type[TaskPayload] | type[BatchPayload]:
    """Return what a payload for the runner is read as: that of a batch has a list of attempts."""
    return BatchPayload if _OF_A_BATCH.search(text) else TaskPayload
