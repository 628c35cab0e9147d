"""Puts due attempts on the queues of their resources: first the tasks, then the facts that say so."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from phasegate.domain.decisions.reconcile import DueTask, reconcile
from phasegate.domain.state.facts import DateFacts, Dispatched
from phasegate.domain.state.run import RUN_ID, Run
from phasegate.ports import QueueTask
from phasegate.services.backend import DISPATCH_QUEUE, Backend, task_name

PAGE_DATES = 50
"""Released dates a dispatch task covers: creating some 500 tasks in one request runs into deadlines (Cloud Tasks)."""

PAGE_TASKS = 500
"""Tasks that are created in one request of ours, for the same reason."""


class TaskPayload(BaseModel):
    """What a Cloud Task carries to the runner."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(pattern=f"^{RUN_ID}$")
    date: date
    phase: str
    processor: str
    attempt: int = Field(ge=1)
    generation: int = Field(ge=1)
    inputs: dict[str, int]
    epoch: int = Field(ge=1)


class DispatchPage(BaseModel):
    """What a task of the dispatch queue carries: dates with release groups that were released."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(pattern=f"^{RUN_ID}$")
    dates: tuple[date, ...] = Field(min_length=1)


class Reconciled(NamedTuple):
    """What a look found: attempts that were due, and dates with a release group at rest that the conductor had not
    concluded."""

    due: list[DueTask]
    at_rest: list[date]


class Dispatcher:
    """Level-triggered: it looks at dates and creates what is due there, whoever asked."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def put_pages(self, run_id: str, days: Sequence[date], cause: str) -> None:
        """Queue a look at these dates. ``cause`` makes the pages' names: the same cause is queued once."""
        pages = [days[i : i + PAGE_DATES] for i in range(0, len(days), PAGE_DATES)]
        self._backend.tasks.create(
            [
                QueueTask(
                    run_id,
                    DISPATCH_QUEUE,
                    task_name(run_id, "page", cause, str(n)),
                    DispatchPage(run_id=run_id, dates=tuple(page)).model_dump_json(),
                )
                for n, page in enumerate(pages)
            ]
        )

    def handle_page(self, payload: str) -> None:
        """Handle a task of the dispatch queue."""
        page = DispatchPage.model_validate_json(payload)
        self.look_at(page.run_id, page.dates)

    def look_at(self, run_id: str, days: Sequence[date]) -> Reconciled:
        """Read dates, then look at them. Raises InputError for a date that is not the run's."""
        self._backend.index(run_id).require_dates(days)
        return self.reconcile(run_id, self._backend.state.dates(run_id, days))

    def reconcile(self, run_id: str, dates: Mapping[date, DateFacts]) -> Reconciled:
        """Dispatch what is due on these dates, and tell the conductor where a release group has come to rest."""
        backend = self._backend
        index = backend.index(run_id)
        reconciliations = {day: reconcile(facts, index) for day, facts in dates.items()}
        at_rest = [day for day, each in reconciliations.items() if each.settled]
        if at_rest:
            backend.state.mark_at_rest(run_id, at_rest)
            backend.wake_conductor(run_id)
        due = [task for each in reconciliations.values() for task in each.due]
        if due:
            run = backend.state.glance(run_id)
            if run.admits:
                self.dispatch(run, due)
        return Reconciled(due, at_rest)

    def dispatch(self, run: Run, due: Sequence[DueTask]) -> None:
        """Create the tasks, then write that they were. A crash in between: the next look creates them again.

        For an observed task only the fact is written: from now on its end is awaited.
        """
        now = self._backend.clock.now()
        self._backend.tasks.create(
            [
                QueueTask(
                    run.run_id,
                    queue,
                    task_name(run.run_id, *map(str, d.key), str(d.dispatch)),
                    TaskPayload(
                        run_id=run.run_id,
                        date=d.key.day,
                        phase=d.key.phase,
                        processor=d.key.processor,
                        attempt=d.key.attempt,
                        generation=d.generation,
                        inputs=dict(d.inputs),
                        epoch=run.epoch,
                    ).model_dump_json(),
                    d.not_before,
                )
                for d in due
                if (queue := d.task.queue) is not None
            ]
        )
        self._backend.state.record(
            run.run_id, [(d.key, Dispatched(d.dispatch, d.generation, d.inputs, now, d.not_before)) for d in due]
        )
