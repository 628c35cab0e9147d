"""The reconciler reads dates, derives what is due and what has come to rest there, and has both acted on: whatever
caused it."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from phasegate.domain.decisions.reconcile import DueTask, reconcile
from phasegate.domain.plan import FIRST
from phasegate.domain.state.facts import DateFacts
from phasegate.services.backend import Backend
from phasegate.services.reading.plans_of_dates import indexes_of
from phasegate.services.running.dispatcher import Dispatcher


class Reconciled(NamedTuple):
    """Reconciling dates of a run brought this to light."""

    due: list[DueTask]
    """The attempts that were due; they are dispatched by now, if the run admits it."""
    at_rest: list[date]
    """The dates with a release group at rest that the conductor had not concluded."""


class Reconciler:
    """The reconciler compares what is with what should be, date by date, and starts what is missing.

    It is level-triggered: it goes by the facts of a date alone, never by the event or task that had it called, so that
    calling it twice, late or for nothing does no harm.
    """

    def __init__(self, backend: Backend, dispatcher: Dispatcher) -> None:
        self._backend, self._dispatcher = backend, dispatcher

    def reconcile_days(self, run_id: str, days: Sequence[date]) -> Reconciled:
        """Read the facts of these dates and reconcile them. Raises InputError for a date that is not the run's."""
        self._backend.state.index(run_id, FIRST).require_dates(days)
        return self.reconcile(run_id, self._backend.state.dates(run_id, days))

    def reconcile(self, run_id: str, dates: Mapping[date, DateFacts]) -> Reconciled:
        """Have the conductor woken where a release group has come to rest, and what is due dispatched."""
        backend = self._backend
        indexes = indexes_of(backend.state, run_id, dates)
        reconciliations = {day: reconcile(facts, indexes[day]) for day, facts in dates.items()}
        at_rest = [day for day, each in reconciliations.items() if each.settled]
        if at_rest:
            backend.state.mark_at_rest(run_id, at_rest)
            backend.wake_conductor(run_id)
        due = [task for each in reconciliations.values() for task in each.due]
        if due:
            run = backend.state.glance(run_id)
            if run.admits:
                self._dispatcher.dispatch(run, due)
        return Reconciled(due, at_rest)
