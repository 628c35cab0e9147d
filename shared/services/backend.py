"""What the services work with: the ports of one backend, and what is looked up by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.plan import PlanIndex
from shared.ports import Clock, Events, ObjectStore, QueueTask, State, Tasks, Warehouse, Worker

COMPLETIONS = "backfill-completions"
"""Phasegate's own topic. The live pipeline must not subscribe to it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CONDUCTOR_QUEUE, DISPATCH_QUEUE = "conductor", "dispatch"


@dataclass(frozen=True, slots=True)
class Backend:
    """The ports of one backend.

    incarnation: names this process where claims die with it (embedded); None where only a lease ends a claim.
    wake_bucket: the conductor is woken at most once in this time.
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

    def index(self, run_id: str) -> PlanIndex:
        """The compiled plan of a run."""
        return self.state.plan(run_id).index

    def wake_conductor(self, run_id: str, at: datetime | None = None) -> None:
        """Have the conductor look at a run after the current time bucket has closed, or after ``at``'s."""
        bucket = ((at or self.clock.now()) - _EPOCH) // self.wake_bucket + 1
        opens = _EPOCH + bucket * self.wake_bucket
        self.tasks.create([QueueTask(run_id, CONDUCTOR_QUEUE, f"wake-{run_id}-{bucket}", run_id, opens)])
