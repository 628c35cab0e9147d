"""The listener takes completion events: it adds each as a fact, then has the dates concerned reconciled. Keeps what it
cannot apply."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

from pydantic import ValidationError

from phasegate.domain.errors import UnknownRun, UnreadableRun
from phasegate.domain.messages.completion import Completion, CompletionBatch, taken_apart
from phasegate.domain.plan import FIRST, PlanIndex, TaskSpec
from phasegate.domain.protocol.versions import read_json
from phasegate.domain.protocol.worker import ResultStatus
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.domain.state.facts import AttemptKey, DateFacts, Reported
from phasegate.ports import Claim
from phasegate.ports.claims import LEASE_MARGIN
from phasegate.ports.events import Message, text_of
from phasegate.services.backend import Backend
from phasegate.services.running.calls import correlation_id
from phasegate.services.running.quarantine import claimed_run, set_aside
from phasegate.services.running.reconciler import Reconciler
from phasegate.single_flight import SingleFlight

_log = logging.getLogger(__name__)


class Listener:
    """The listener applies every event, or records why not. A duplicate has its date reconciled once more."""

    def __init__(self, backend: Backend, reconciler: Reconciler) -> None:
        self._backend, self._reconciler = backend, reconciler
        self._reconciling: SingleFlight[Mapping[date, DateFacts]] = SingleFlight()

    def handle(self, messages: Sequence[Message]) -> None:
        """Apply a batch of messages. May be called again with any of them, in any order."""
        by_run: dict[str, list[tuple[Completion, Message]]] = {}
        for part in _taken_apart(messages):
            try:
                event = read_json(Completion, part) if isinstance(part, str) else part
            except ValidationError as error:
                self._set_aside(part, claimed_run(text_of(part)), _first_problem(error))
            else:
                by_run.setdefault(event.run_id, []).append((event, part))
        for run_id, events in by_run.items():
            try:
                self._handle_run(run_id, events)
            except (UnknownRun, UnreadableRun) as error:
                whose = run_id if isinstance(error, UnreadableRun) else None
                for _, message in events:
                    self._set_aside(message, whose, str(error))

    def _handle_run(self, run_id: str, events: list[tuple[Completion, Message]]) -> None:
        index = self._backend.state.index(run_id, FIRST)
        keyed = [(self._key(event, index), event, message) for event, message in events]
        claims = self._backend.state.claims(run_id, [key for key, _, _ in keyed if isinstance(key, AttemptKey)])
        facts: list[tuple[AttemptKey, Reported]] = []
        taken: list[Message] = []
        for key, event, message in keyed:
            if isinstance(key, str):
                self._set_aside(message, run_id, key)
                continue
            claim = claims.get(key)
            if claim is None:
                self._set_aside(message, run_id, f"nobody claimed {key}")
            elif claim.fence != event.fence:
                self._set_aside(message, run_id, f"{key}: fence {event.fence} is not the claim's {claim.fence}")
            elif event.status is None:
                self._extend(run_id, index.by_ref[key.ref], claim)
            else:
                facts.append((key, _reported(event, event.status, claim)))
                taken.append(message)
        if not facts:
            return
        self._backend.state.record(run_id, facts)
        days = tuple(sorted({key.day for key, _ in facts}))
        dates = self._reconciling.get((run_id, days), lambda: self._reconcile(run_id, days))
        for (key, fact), message in zip(facts, taken, strict=True):
            standing = dates[key.day].attempt(key.phase, key.processor, key.attempt).reported
            if standing is not None and not standing.is_told_by(fact):
                self._set_aside(message, run_id, f"{key}: contradicts what was reported before")

    def _extend(self, run_id: str, task: TaskSpec, claim: Claim) -> None:
        """The worker is alive: its claim holds on, and the lease with it where another system writes the table too.

        Both or neither. Where the lease is somebody else's by now the claim runs out: the attempt has lost its right to
        write, and another one is made.
        """
        alive_until = self._backend.clock.now() + timedelta(seconds=task.dispatch.timeout_seconds) + LEASE_MARGIN
        until = max(claim.lease_until, alive_until)
        output, key = task.spec.output, claim.key
        if isinstance(output, TableOutput) and output.other_writer is not None:
            holder = correlation_id(run_id, key)
            if not self._backend.state.leases.extend(output.table, key.day, holder, until):
                _log.warning("%s: it goes on, but the lease on %s is not its own any more", key, output.table)
                return
        self._backend.state.extend(run_id, claim, until)

    def _reconcile(self, run_id: str, days: Sequence[date]) -> Mapping[date, DateFacts]:
        """The facts of these dates, which are reconciled. Completions of a date that come in a crowd share it."""
        dates = self._backend.state.dates(run_id, days)
        self._reconciler.reconcile(run_id, dates)
        return dates

    def _key(self, event: Completion, index: PlanIndex) -> AttemptKey | str:
        """The attempt that an event is about, under canonical names; or why there is none."""
        name = index.plan.pipeline.registry.get((event.phase, event.processor))
        if name is None or f"{event.phase}/{name}" not in index.by_ref:
            return f"unknown processor '{event.processor}' of phase '{event.phase}'"
        if event.date not in index.position:
            return f"{event.date} is not a date of the run"
        return AttemptKey(event.date, event.phase, name, event.attempt)

    def _set_aside(self, message: Message, run_id: str | None, reason: str) -> None:
        set_aside(self._backend, text_of(message), run_id, reason)


def _taken_apart(messages: Sequence[Message]) -> Iterator[Completion | str]:
    """Messages about one attempt each."""
    for message in messages:
        if isinstance(message, str):
            yield from taken_apart(message)
        elif isinstance(message, CompletionBatch):
            yield from message.completions
        else:
            yield message


def _reported(event: Completion, status: ResultStatus, claim: Claim) -> Reported:
    return Reported(
        status=status,
        rows=event.rows,
        error_class=event.error_class,
        message=event.message,
        fence=event.fence,
        generation=claim.generation,
        inputs=claim.inputs,
        started_at=event.started_at,
        finished_at=event.finished_at,
        event_id=event.event_id,
        code_version=event.code_version,
        http_status=event.http_status,
        made_with=event.made_with if event.error_class is None and event.http_status is None else "",
    )


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"not a completion event: {'.'.join(map(str, first['loc'])) or 'message'}: {first['msg']}"
