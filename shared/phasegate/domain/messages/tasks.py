"""The tasks of the queues carry a wake-up, a page of dates, or one attempt for the runner.

A task may have been queued by an earlier release, so that keys are added with a default, and none is taken away.
"""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from phasegate.domain.protocol.worker import MOST
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
    inputs: dict[str, Annotated[int, Field(ge=0, le=MOST)]] = Field(
        description="the attempts of its needs that it is made from: ref -> attempt"
    )
    epoch: int = Field(
        ge=1, le=MOST, description="the run's epoch; claimed under another one, the attempt calls nobody"
    )


def write_payload(run_id: str, key: AttemptKey, generation: int, inputs: Inputs, epoch: int) -> str:
    """Write the payload of an attempt's task as ``TaskPayload`` reads it; our own values need no check."""
    payload = {
        "run_id": run_id,
        "date": key.day,
        "phase": key.phase,
        "processor": key.processor,
        "attempt": key.attempt,
        "generation": generation,
        "inputs": dict(inputs),
        "epoch": epoch,
    }
    return to_json(payload).decode()
