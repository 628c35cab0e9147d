"""The services work with the ports of one backend."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from phasegate.domain.messages.tasks import WakeUp
from phasegate.domain.protocol.names import CONDUCTOR_QUEUE, VERIFY_QUEUE, task_name
from phasegate.ports import Clock, Events, ObjectStore, QueueTask, State, Tasks, Warehouse, Worker

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Backend:
    """A backend holds the ports that every service is given."""

    state: State
    """Runs, boards, facts and claims."""
    tasks: Tasks
    """The queues."""
    events: Events
    """The topics."""
    warehouse: Warehouse
    """The tables."""
    objects: ObjectStore
    """The objects."""
    workers: Mapping[str, Worker]
    """The workers, by their names in the pipeline file."""
    clock: Clock
    """The time."""
    wake_bucket: timedelta
    """The conductor is woken at most once in this time."""
    incarnation: str | None = None
    """Names this process where claims die with it (embedded); None where only a lease ends a claim."""
    undriven: tuple[datetime, datetime] | None = None
    """From when to when nobody drove a run here, before this process did (embedded); None: never (a cloud), or not
    known."""
    asks_for_reports: bool = False
    """A run that has ended is reported on by a task (a cloud); else whoever drives the run does it."""

    def ask_for_report(self, run_id: str, ended_at: datetime) -> None:
        """Have the verifier report on a run that has ended, once for each end."""
        if self.asks_for_reports:
            name, payload = task_name(run_id, "verify", ended_at.isoformat()), WakeUp(run_id=run_id).model_dump_json()
            self.tasks.create([QueueTask(run_id, VERIFY_QUEUE, name, payload)])

    def wake_conductor(self, run_id: str, at: datetime | None = None) -> None:
        """Have the conductor woken for a run after the current time bucket has closed, or after ``at``'s."""
        bucket = ((at or self.clock.now()) - _EPOCH) // self.wake_bucket + 1
        opens = _EPOCH + bucket * self.wake_bucket
        payload = WakeUp(run_id=run_id).model_dump_json()
        self.tasks.create([QueueTask(run_id, CONDUCTOR_QUEUE, task_name(run_id, "wake", str(bucket)), payload, opens)])
