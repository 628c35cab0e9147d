"""Takes completion events: adds each as a fact, then looks at the dates concerned. Keeps what it cannot apply."""

import hashlib
import json
from collections.abc import Sequence
from datetime import date

from pydantic import ValidationError

from shared.domain.errors import InputError
from shared.domain.events import Completion
from shared.domain.facts import AttemptKey, Reported
from shared.domain.plan import PlanIndex
from shared.ports import Claim, QuarantineRecord
from shared.services.backend import Backend
from shared.services.dispatcher import Dispatcher


class Listener:
    """Every event is applied, or recorded with the reason. A duplicate is a reason to look again, not to go home."""

    def __init__(self, backend: Backend, dispatcher: Dispatcher) -> None:
        self._backend, self._dispatcher = backend, dispatcher

    def handle(self, messages: Sequence[str]) -> None:
        """Apply a batch of messages. May be called again with any of them, in any order."""
        by_run: dict[str, list[tuple[Completion, str]]] = {}
        for message in messages:
            try:
                event = Completion.model_validate_json(message)
            except ValidationError as error:
                self._set_aside(message, _claimed_run(message), _first_problem(error))
            else:
                by_run.setdefault(event.run_id, []).append((event, message))
        for run_id, events in by_run.items():
            self._handle_run(run_id, events)

    def _handle_run(self, run_id: str, events: list[tuple[Completion, str]]) -> None:
        try:
            index = self._backend.index(run_id)
        except InputError as error:
            for _, message in events:
                self._set_aside(message, None, str(error))
            return
        keyed = [(self._key(event, index), event, message) for event, message in events]
        claims = self._backend.state.claims(run_id, [key for key, _, _ in keyed if isinstance(key, AttemptKey)])
        facts: list[tuple[AttemptKey, Reported]] = []
        texts: list[str] = []
        days: dict[date, None] = {}
        for key, event, message in keyed:
            if isinstance(key, str):
                self._set_aside(message, run_id, key)
                continue
            claim = claims.get(key)
            if claim is None:
                self._set_aside(message, run_id, f"nobody claimed {key}")
            elif claim.fence != event.fence:
                self._set_aside(message, run_id, f"{key}: fence {event.fence} is not the claim's {claim.fence}")
            else:
                facts.append((key, _reported(event, claim)))
                texts.append(message)
                days[key.day] = None
        for position in self._backend.state.record(run_id, facts):
            self._set_aside(texts[position], run_id, f"{facts[position][0]}: contradicts what was reported before")
        self._dispatcher.look_at(run_id, days)

    def _key(self, event: Completion, index: PlanIndex) -> AttemptKey | str:
        """The attempt that an event is about, under canonical names; or why there is none."""
        name = index.plan.pipeline.registry.get((event.phase, event.processor))
        if name is None or f"{event.phase}/{name}" not in index.by_ref:
            return f"unknown processor '{event.processor}' of phase '{event.phase}'"
        if event.date not in index.position:
            return f"{event.date} is not a date of the run"
        return AttemptKey(event.date, event.phase, name, event.attempt)

    def _set_aside(self, message: str, run_id: str | None, reason: str) -> None:
        digest = hashlib.sha256(f"{reason}\x1f{message}".encode()).hexdigest()[:32]
        self._backend.state.quarantine(
            [QuarantineRecord(digest, run_id, reason, message[:100_000], self._backend.clock.now())]
        )


def _reported(event: Completion, claim: Claim) -> Reported:
    return Reported(
        status=event.status,
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
    )


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"not a completion event: {'.'.join(map(str, first['loc'])) or 'message'}: {first['msg']}"


def _claimed_run(message: str) -> str | None:
    """The run that a malformed message says it belongs to, so that it is shown there."""
    try:
        value = json.loads(message)
    except ValueError:
        return None
    run_id = value.get("run_id") if isinstance(value, dict) else None
    return run_id if isinstance(run_id, str) else None
