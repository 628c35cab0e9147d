"""Puts due attempts on the queues of their resources: first the tasks, then the facts that say so."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.facts import Dispatched
from shared.domain.look import DueTask, look
from shared.domain.run import Run
from shared.ports import QueueTask
from shared.services.backend import DISPATCH_QUEUE, Backend

PAGE_DATES = 50
"""Released dates a dispatch task covers: creating some 500 tasks in one request runs into deadlines (Cloud Tasks)."""


class TaskPayload(BaseModel):
    """What a Cloud Task carries to the runner."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    date: date
    phase: str
    processor: str
    attempt: int = Field(ge=1)
    generation: int = Field(ge=1)
    inputs: dict[str, int]
    epoch: int = Field(ge=1)


class DispatchPage(BaseModel):
    """What a task of the dispatch queue carries: dates with lanes that were released."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    dates: tuple[date, ...]


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
                    f"{_digest(run_id, cause, str(n))}-page",
                    DispatchPage(run_id=run_id, dates=tuple(page)).model_dump_json(),
                )
                for n, page in enumerate(pages)
            ]
        )

    def handle_page(self, payload: str) -> None:
        """Handle a task of the dispatch queue."""
        page = DispatchPage.model_validate_json(payload)
        self.look_at(page.run_id, page.dates)

    def look_at(self, run_id: str, days: Iterable[date]) -> None:
        """Look at dates, dispatch what is due, and wake the conductor where a lane has come to rest."""
        backend = self._backend
        index = backend.index(run_id)
        looks = [look(facts, index) for facts in backend.state.dates(run_id, days).values()]
        due = [task for each in looks for task in each.due]
        if due:
            run = backend.state.run(run_id)
            if run.admits:
                self.dispatch(run, due)
        if any(each.settled for each in looks):
            backend.wake_conductor(run_id)

    def dispatch(self, run: Run, due: Sequence[DueTask]) -> None:
        """Create the tasks, then write that they were. A crash in between: the next look creates them again."""
        now = self._backend.clock.now()
        self._backend.tasks.create(
            [
                QueueTask(
                    run.run_id,
                    d.task.queue,
                    _digest(run.run_id, *map(str, d.key), str(d.dispatch)),
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
            ]
        )
        self._backend.state.record(
            run.run_id, [(d.key, Dispatched(d.dispatch, d.generation, d.inputs, now, d.not_before)) for d in due]
        )


def _digest(*parts: str) -> str:
    """A task name: hashed, so that names spread over Cloud Tasks' index."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:40]
