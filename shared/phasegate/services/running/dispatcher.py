"""The dispatcher puts due attempts on the queues of their resources: first the tasks, then the facts that say so."""

from collections.abc import Sequence
from datetime import date, datetime

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.decisions.batches import form_batches
from phasegate.domain.decisions.reconcile import DueTask
from phasegate.domain.messages.tasks import DispatchPage, QueuedAttempt, write_payload
from phasegate.domain.plan import FIRST, PlanIndex
from phasegate.domain.protocol.names import DISPATCH_QUEUE, task_name
from phasegate.domain.state.facts import AttemptKey, Dispatched, Inputs
from phasegate.domain.state.run import Run
from phasegate.ports import QueueTask
from phasegate.services.backend import Backend

PAGE_DATES = 50
"""Dates that are reconciled at once, at most: their documents are read together, and each may have 1 MiB (Firestore
quotas)."""

PAGE_TASKS = 500
"""Tasks that are created before the facts are written that say so, at most. Each is a request to Cloud Tasks, with a
few under way at a time; some 500 of them run into the deadline of the request of ours that creates them
(cloud.google.com/tasks/docs/common-pitfalls), and what is recorded by then is not created again."""


class Dispatcher:
    """The dispatcher creates tasks and records them. What is due it is told: the reconciler decides that."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def put_pages(self, run_id: str, days: Sequence[date], cause: str) -> None:
        """Queue these dates for the reconciler, in pages. ``cause`` makes the pages' names: the same cause is queued
        once."""
        size = _page_size(self._backend.state.index(run_id, FIRST))
        pages = [days[i : i + size] for i in range(0, len(days), size)]
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

    def dispatch(self, run: Run, due: Sequence[DueTask]) -> None:
        """Create the tasks, a batch each, then write that they were. A crash in between: reconciled again, they are
        created again, perhaps in other batches: who claims an attempt first runs it.

        For an observed task only the fact is written: from now on its end is awaited.
        """
        now = self._backend.clock.now()
        batches = form_batches(due, self._calendar(run.run_id, due), now)
        self._backend.tasks.create(
            [
                QueueTask(
                    run.run_id,
                    queue,
                    task_name(run.run_id, *[part for d in batch for part in (*map(str, d.key), str(d.dispatch))]),
                    write_payload(run.run_id, [QueuedAttempt(d.key, d.generation, d.inputs) for d in batch], run.epoch),
                    batch[0].starts_at(now),
                )
                for batch in batches
                if (queue := batch[0].task.queue) is not None
            ]
        )
        alike: dict[tuple[int, int, Inputs, datetime | None, int], Dispatched] = {}
        facts: list[tuple[AttemptKey, Dispatched]] = []
        for batch in batches:
            for d in batch:
                what = d.dispatch, d.generation, d.inputs, d.starts_at(now), len(batch)
                if (fact := alike.get(what)) is None:
                    fact = alike[what] = Dispatched(d.dispatch, d.generation, d.inputs, now, what[-2], len(batch))
                facts.append((d.key, fact))
        self._backend.state.record(run.run_id, facts)

    def _calendar(self, run_id: str, due: Sequence[DueTask]) -> Calendar | None:
        """The youngest calendar that the run knows, where somebody is asked for a range of its dates."""
        is_asked_for_ranges = any(d.task.batches == "range" for d in due)
        return self._backend.state.index(run_id).calendar if is_asked_for_ranges else None


def _page_size(index: PlanIndex) -> int:
    """How many dates a page has: at most ``PAGE_DATES``, and no more than make ``PAGE_TASKS`` tasks due when a phase is
    released on them.

    As far as so many fit it is a multiple of the largest batch of the run, which no page cuts in two; smaller batches,
    of other processors, may be cut where a page ends.
    """
    fit = max(1, min(PAGE_DATES, int(PAGE_TASKS / index.calls_a_date)))
    return fit - fit % index.dates_at_once or fit
