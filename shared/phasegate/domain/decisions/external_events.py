"""An existing system's message is read in Phasegate's words here, and given to the attempt that it is about."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from phasegate.domain.decisions.reconcile import BAD, UNLOCKING, TaskStatus, TaskView, derive
from phasegate.domain.foreign_text import kept
from phasegate.domain.plan import PlanIndex, TaskSpec
from phasegate.domain.protocol.worker import ErrorClass, ResultStatus
from phasegate.domain.spec.dispatch import Observed
from phasegate.domain.spec.pipeline import did_you_mean
from phasegate.domain.state.facts import AttemptKey, Cell, DateFacts, HealedAs, Inputs

NO_FENCE = 0
"""The fence of an observed end: below every claim's, so that rows without a fence prove it."""

_ANY_CASE = "; words count as they are written"


class Unreadable(ValueError):
    """The mapping of the pipeline file cannot read a message. Says which field, and why."""


@dataclass(frozen=True, slots=True)
class ExternalEvent:
    """An external event is the end of one processor's work for a date, as the existing system says."""

    day: date
    """The date that was worked on."""
    processor: str
    """The canonical name of the processor."""
    status: ResultStatus
    """How it ended."""
    rows: int | None
    """Rows written, where the message says so and it is no failure."""
    error_class: ErrorClass | None
    """The class of a failure."""
    message: str
    """What was said, redacted."""
    event_id: str
    """The same for every delivery of this event, and another one for a later end of the same work."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """An awaited attempt is the one that an end is counted for."""

    key: AttemptKey
    """Which attempt it is."""
    generation: int
    """The generation of the (date, phase) that it belongs to."""
    inputs: Inputs
    """The attempts of its needs that it was made from."""


def document_of(text: str) -> Mapping[str, Any]:
    """Read the message as an object. Raises Unreadable."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Unreadable("not a JSON object")
    return value


def is_ignored(document: Mapping[str, Any], observed: Observed) -> bool:
    """Tell whether the pipeline file says that such a message is about nothing that ended."""
    return any(_word(_at(document, path)) in values for path, values in observed.ignore.items())


def day_of(document: Mapping[str, Any], observed: Observed) -> date:
    """Read the date that a message is about. Raises Unreadable."""
    text = _text(document, observed.fields.date)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Unreadable(f"{observed.fields.date}: '{text[:100]}' is no date such as 2024-01-15") from error


def read_external_event(
    document: Mapping[str, Any], observed: Observed, phase: str, registry: Mapping[tuple[str, str], str]
) -> ExternalEvent:
    """Read a message in our words. Raises Unreadable, also for a processor or a status that the file does not name."""
    fields = observed.fields
    name = _text(document, fields.processor)
    processor = registry.get((phase, name))
    if processor is None:
        known = [spelling for owner, spelling in registry if owner == phase]
        raise Unreadable(f"{fields.processor}: unknown processor '{name[:100]}' of {phase}{did_you_mean(name, known)}")
    word = _text(document, fields.status)
    if word not in observed.statuses:
        hint = did_you_mean(word, observed.statuses) + (_ANY_CASE if word.casefold() in observed.statuses else "")
        raise Unreadable(f"{fields.status}: unknown status '{word[:100]}'{hint}")
    status = ResultStatus(observed.statuses[word])
    error = _word(_at(document, fields.error)) if fields.error else ""
    said = _word(_at(document, fields.message)) if fields.message else ""
    has_failed = status is ResultStatus.FAILED
    return ExternalEvent(
        day=day_of(document, observed),
        processor=processor,
        status=status,
        rows=_rows(document, fields.rows) if fields.rows and not has_failed else None,
        error_class=ErrorClass(observed.errors.get(error, ErrorClass.TRANSIENT.value)) if has_failed else None,
        message=kept(": ".join(filter(None, (error, said)))),
        event_id=f"{observed.topic}/{_identity(document, observed)}/{word}",
    )


def attempt_for(facts: DateFacts, index: PlanIndex, task: TaskSpec) -> Awaited | str:
    """Find the attempt that an end counts for: the one that is awaited, or else the next one; or why there is none.

    An event may come before its attempt is awaited, even before the report of what it was made from: then it counts as
    made from the attempts of its needs that are under way.
    """
    views = derive(facts, index)
    view = views[task.number]
    attempts = facts.tasks.get((task.phase, task.processor), [])
    if view.status is TaskStatus.QUEUED and view.facts is not None and (awaited := view.facts.dispatched) is not None:
        key = AttemptKey(facts.day, task.phase, task.processor, view.attempt)
        return Awaited(key, awaited.generation, awaited.inputs)
    if view.status is not TaskStatus.PENDING:
        return _why_not(view)
    needs = [(index.tasks[n].ref, views[n]) for n in task.needs]
    for ref, need in needs:
        if need.status in BAD or not (need.attempt or need.status in UNLOCKING):
            return f"{ref}, which it is made from, has not begun"
    cell = facts.cells.get(task.phase, Cell())
    inputs = tuple((ref, need.attempt) for ref, need in needs)
    last = attempts[-1].reported if attempts else None
    if (
        last is not None
        and last.status is not ResultStatus.FAILED
        and dict(last.inputs) == dict(inputs)
        and last.generation >= cell.redo.get(task.processor, 1)
    ):
        return f"attempt {attempts[-1].number} has ended before"
    number = attempts[-1].number + 1 if attempts else 1
    return Awaited(AttemptKey(facts.day, task.phase, task.processor, number), cell.generation, inputs)


def says_nothing_new(end: ExternalEvent, facts: DateFacts, task: TaskSpec) -> bool:
    """Tell whether an end that no attempt waits for only repeats what the last one reported, or was found to be."""
    attempts = facts.tasks.get((task.phase, task.processor), [])
    if not attempts:
        return False
    last = attempts[-1]
    if last.healed is not None:
        return last.healed.outcome is HealedAs.SUCCESS and end.status is not ResultStatus.FAILED
    there = last.reported
    return there is not None and (there.status, there.rows) == (end.status, end.rows)


def is_known(end: ExternalEvent, facts: DateFacts, task: TaskSpec) -> bool:
    """Tell whether this very event was applied before."""
    attempts = facts.tasks.get((task.phase, task.processor), [])
    return any(a.reported is not None and a.reported.event_id == end.event_id for a in attempts)


def _why_not(view: TaskView) -> str:
    if view.status in UNLOCKING and not view.attempt:
        return "the run adopted its output when it was planned"
    if view.status is TaskStatus.UPSTREAM_FAILED:
        return "something that it is made from ended badly"
    return f"attempt {view.attempt} has ended before{f': {view.message}' if view.message else ''}"


def _at(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _word(value: Any) -> str:
    """A value as text that can be stored; nothing for null and for what is no single value."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).encode(errors="replace").decode() if isinstance(value, str | int | float) else ""


def _text(document: Mapping[str, Any], path: str) -> str:
    text = _word(_at(document, path))
    if not text:
        raise Unreadable(f"{path}: is required and not there")
    return text


def _rows(document: Mapping[str, Any], path: str) -> int | None:
    value = _at(document, path)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Unreadable(f"{path}: {str(value)[:100]!r} is no number of rows")
    return value


def _identity(document: Mapping[str, Any], observed: Observed) -> str:
    if observed.fields.id and (word := _word(_at(document, observed.fields.id))):
        return word[:200]
    content = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()[:32]
