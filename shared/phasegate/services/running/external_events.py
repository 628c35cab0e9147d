"""The external event listener takes the events of an existing system that starts a phase by itself, and counts them for
the run that waits."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from phasegate.domain.decisions.external_events import (
    NO_FENCE,
    Awaited,
    ExternalEvent,
    Unreadable,
    attempt_for,
    day_of,
    document_of,
    is_ignored,
    is_known,
    read_external_event,
    says_nothing_new,
)
from phasegate.domain.errors import TransientError, UnreadableRun
from phasegate.domain.plan import FIRST, PlanIndex
from phasegate.domain.spec.dispatch import Observed
from phasegate.domain.state.facts import DateFacts, Reported
from phasegate.domain.state.run import DesiredState
from phasegate.services.backend import Backend
from phasegate.services.running.quarantine import set_aside
from phasegate.services.running.reconciler import Reconciler

_TRIES = 3
"""How often an end seeks its attempt when other ends of the same work are taken at the same time."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _ListeningRun:
    """An unfinished run that observes the topic, and how its frozen plan reads what is said there."""

    run_id: str
    """The run."""
    index: PlanIndex
    """Its compiled plan."""
    phase: str
    """The phase whose topic it is."""
    observed: Observed
    """How the phase's messages are read."""


@dataclass(frozen=True, slots=True)
class _Concerned:
    """A run whose dates an end is about, and what it has to do with it."""

    listening: _ListeningRun
    """The run."""
    end: ExternalEvent
    """What the message says, as the run's plan reads it."""
    facts: DateFacts
    """The facts of the event's date, as they were read for it."""
    attempt: Awaited | str
    """The attempt that the end counts for; or why there is none."""


class ExternalEventListener:
    """The listener counts an end if exactly one run waits for it. What else concerns a date of a run is set aside.

    The topic carries the live system's traffic as well: what is about no date of an unfinished run is counted in the
    log and not kept.
    """

    def __init__(self, backend: Backend, reconciler: Reconciler) -> None:
        self._backend, self._reconciler = backend, reconciler

    def handle(self, topic: str, messages: Sequence[str]) -> None:
        """Take messages of an observed topic. May be called again with any of them, in any order.

        Raises TransientError when a later delivery may help.
        """
        listening_runs, unreadable = self._listening_runs(topic)
        for (run_id, reason), message in product(unreadable.items(), messages):
            set_aside(self._backend, message, run_id, f"topic {topic}: {reason}")
        outcomes = Counter(self._take(listening_runs, message) for message in messages)
        _log.info("topic %s: %s", topic, ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))

    def _listening_runs(self, topic: str) -> tuple[list[_ListeningRun], dict[str, str]]:
        """The runs that listen; and those that may, and cannot be read: why not."""
        state = self._backend.state
        listening_runs: list[_ListeningRun] = []
        unreadable: dict[str, str] = {}
        for run_id in state.listening(topic):
            try:
                index = state.index(run_id, FIRST)
                number = next((n for n, observed in index.observed.items() if observed.topic == topic), None)
                if number is not None and state.glance(run_id).desired_state is not DesiredState.CANCELLED:
                    phase, observed = index.tasks[number].phase, index.observed[number]
                    listening_runs.append(_ListeningRun(run_id, index, phase, observed))
            except UnreadableRun as error:
                unreadable[run_id] = str(error)
        return listening_runs, unreadable

    def _take(self, listening_runs: Sequence[_ListeningRun], message: str) -> str:
        """What became of a message, in a few words."""
        if not listening_runs:
            return "of no run"
        try:
            document = document_of(message)
        except Unreadable as error:
            return self._set_aside(listening_runs, message, str(error))
        for _ in range(_TRIES):
            concerned, unread = self._concerned(listening_runs, message, document)
            if not concerned:
                return self._set_aside_each(message, unread) if unread else "of no run"
            if repeated := [c for c in concerned if is_known(c.end, c.facts, c.listening.index.by_ref[_ref(c)])]:
                for each in repeated:
                    self._reconciler.reconcile(each.listening.run_id, {each.end.day: each.facts})
                return "known"
            waiting = [(c, c.attempt) for c in concerned if isinstance(c.attempt, Awaited)]
            if len(waiting) > 1:
                names = ", ".join(sorted(c.listening.run_id for c, _ in waiting))
                return self._set_aside([c.listening for c, _ in waiting], message, f"several runs wait for it: {names}")
            if not waiting:
                return self._nobody_waits(concerned, message)
            if self._record(*waiting[0]):
                return "counted"
        raise TransientError(f"{_ref(concerned[0])}: other ends of it are being taken just now; deliver it again")

    def _concerned(
        self, listening_runs: Sequence[_ListeningRun], message: str, document: Mapping[str, Any]
    ) -> tuple[list[_Concerned], list[tuple[_ListeningRun, str]]]:
        """The runs that a message is about; and those that cannot read it although it may be about them."""
        concerned: list[_Concerned] = []
        unread: list[tuple[_ListeningRun, str]] = []
        for listening in listening_runs:
            if is_ignored(document, listening.observed):
                continue
            try:
                day = day_of(document, listening.observed)
                if day not in listening.index.position:
                    continue
                end = read_external_event(
                    document, listening.observed, listening.phase, listening.index.plan.pipeline.registry
                )
            except Unreadable as error:
                unread.append((listening, str(error)))
                continue
            try:
                facts = self._backend.state.dates(listening.run_id, (day,))[day]
            except UnreadableRun as error:
                # Nobody knows whether it waits: kept for it, while the message goes to whoever does.
                self._set_aside([listening], message, str(error))
                continue
            index = self._backend.state.index(listening.run_id, facts.plan)
            task = index.by_ref[f"{listening.phase}/{end.processor}"]
            concerned.append(_Concerned(listening, end, facts, attempt_for(facts, index, task)))
        return concerned, unread

    def _nobody_waits(self, concerned: Sequence[_Concerned], message: str) -> str:
        news = [c for c in concerned if not says_nothing_new(c.end, c.facts, c.listening.index.by_ref[_ref(c)])]
        return (
            self._set_aside_each(message, [(c.listening, f"{c.end.day} {_ref(c)}: {c.attempt}") for c in news])
            or "known"
        )

    def _record(self, one: _Concerned, awaited: Awaited) -> bool:
        """Report the end, then have the date reconciled. False when another end was faster: this one is still to be
        taken."""
        run_id, end, now = one.listening.run_id, one.end, self._backend.clock.now()
        fact = Reported(
            status=end.status,
            rows=end.rows,
            error_class=end.error_class,
            message=end.message,
            fence=NO_FENCE,
            generation=awaited.generation,
            inputs=awaited.inputs,
            started_at=now,
            finished_at=now,
            event_id=end.event_id,
        )
        self._backend.state.record(run_id, [(awaited.key, fact)])
        dates = self._backend.state.dates(run_id, (end.day,))
        self._reconciler.reconcile(run_id, dates)
        standing = dates[end.day].attempt(awaited.key.phase, awaited.key.processor, awaited.key.attempt).reported
        return standing is not None and standing.event_id == end.event_id

    def _set_aside(self, listening_runs: Sequence[_ListeningRun], message: str, reason: str) -> str:
        return self._set_aside_each(message, [(listening, reason) for listening in listening_runs])

    def _set_aside_each(self, message: str, reasons: Sequence[tuple[_ListeningRun, str]]) -> str:
        """Keep a message for each run that it may be about; nothing to keep: an empty word."""
        for listening, reason in reasons:
            where = f"topic {listening.observed.topic}, run {listening.run_id}"
            set_aside(self._backend, message, listening.run_id, f"{where}: {reason}")
        return "set aside" if reasons else ""


def _ref(one: _Concerned) -> str:
    return f"{one.listening.phase}/{one.end.processor}"
