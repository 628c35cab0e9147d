"""What the services work with: the ports of one backend, and what is looked up by name."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from phasegate.domain.plan import PlanIndex
from phasegate.domain.state.run import RUN_ID
from phasegate.ports import Clock, Events, ObjectStore, QueueTask, State, Tasks, Warehouse, Worker

COMPLETIONS = "backfill-completions"
"""Phasegate's own topic. The live pipeline must not subscribe to it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CONDUCTOR_QUEUE, DISPATCH_QUEUE, VERIFY_QUEUE = "conductor", "dispatch", "verify"


class WakeUp(BaseModel):
    """What a task of the conductor's queue carries, and of the verifier's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(pattern=f"^{RUN_ID}$")


def task_name(*parts: str) -> str:
    """A task's name: hashed, so that names spread over Cloud Tasks' index and hold only characters it allows."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class Backend:
    """The ports of one backend.

    incarnation: names this process where claims die with it (embedded); None where only a lease ends a claim.
    wake_bucket: the conductor is woken at most once in this time.
    asks_for_reports: a run that has ended is reported on by a task (a cloud); else whoever drives the run does it.
    """

    state: State
    tasks: Tasks
    events: Events
    warehouse: Warehouse
    objects: ObjectStore
    workers: Mapping[str, Worker]
    clock: Clock
    wake_bucket: timedelta
    incarnation: str | None = None
    asks_for_reports: bool = False

    def index(self, run_id: str) -> PlanIndex:
        """The compiled plan of a run."""
        return self.state.index(run_id)

    def ask_for_report(self, run_id: str, ended_at: datetime) -> None:
        """Have the verifier report on a run that has ended, once for each end."""
        if self.asks_for_reports:
            name, payload = task_name(run_id, "verify", ended_at.isoformat()), WakeUp(run_id=run_id).model_dump_json()
            self.tasks.create([QueueTask(run_id, VERIFY_QUEUE, name, payload)])

    def wake_conductor(self, run_id: str, at: datetime | None = None) -> None:
        """Have the conductor look at a run after the current time bucket has closed, or after ``at``'s."""
        bucket = ((at or self.clock.now()) - _EPOCH) // self.wake_bucket + 1
        opens = _EPOCH + bucket * self.wake_bucket
        payload = WakeUp(run_id=run_id).model_dump_json()
        self.tasks.create([QueueTask(run_id, CONDUCTOR_QUEUE, task_name(run_id, "wake", str(bucket)), payload, opens)])
