"""A worker's answer is understood here: a status and a body in, the result of the task's processor out."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pydantic import Field, ValidationError

from phasegate.domain.plan import TaskSpec
from phasegate.domain.protocol.worker import NEEDS_A_PERSON, ErrorClass, ProcessorResult, ResultStatus

_THROTTLES = frozenset({429, 503})
_PASSING = frozenset({408, 425})
"""Statuses below 500 that say nothing against the request: it took too long, it came too early."""

DATES = "dates"
"""Where the answer to a request for several dates has the answer of each of them, by date."""

_SHOWN, _LONGEST_SHOWN = 5, 40
"""Keys of an answer that a message names, and how many characters of each."""


class Several(list[Any]):
    """Values that stand in an answer under one and the same key."""


_OF_A_RESULT = frozenset(ProcessorResult.model_fields)

REFUSALS = frozenset({401, 403, 404})
"""Statuses with which a service is refused to the runner, or is not there: rights, and routes, of a new deployment need
minutes to spread."""


class Refused(ProcessorResult):
    """A refusal is a failure of class ``bug`` that is none of the task's own: it may pass, as the request never came to
    the worker's code (``REFUSALS``), or a person has to act before anything goes on (``NEEDS_A_PERSON``)."""

    http_status: int = Field(description="one of ``REFUSALS``, or ``NEEDS_A_PERSON``")


def understand(status: int, body: Mapping[str, Any], task: TaskSpec) -> ProcessorResult:
    """Take the result for the task's processor out of a worker's answer.

    A class that the worker names itself counts more than the status: without one, 401, 402, 403 and 404 are a refusal.
    Where it says when to come back
    (``retry_after_seconds``) the message says so; a throttle is retried with the phase's own backoff.
    """
    if status == 200:
        return _from_results(body, task)
    message = str(body.get("message") or body.get("error") or f"HTTP {status}")
    named = body.get("error_class")
    if isinstance(named, str) and named in ErrorClass._value2member_map_:
        return _settled(failed(ErrorClass(named), message))
    if status in _THROTTLES:
        seconds = body.get("retry_after_seconds")
        return failed(ErrorClass.THROTTLE, message if seconds is None else f"{message} (to come back in {seconds} s)")
    if status == 409:
        return failed(ErrorClass.TRANSIENT, f"stale fence: {message}")
    if status >= 500 or status in _PASSING:
        return failed(ErrorClass.TRANSIENT, message)
    if status in REFUSALS or status == NEEDS_A_PERSON:
        said = message if message.startswith("HTTP ") else f"HTTP {status}: {message}"
        return Refused(status=ResultStatus.FAILED, error_class=ErrorClass.BUG, message=said, http_status=status)
    return failed(ErrorClass.BUG, message if status >= 400 else f"HTTP {status} is no answer to a task: {message}")


_OF_EACH_DATE = frozenset({409, NEEDS_A_PERSON})
"""Statuses that say the same of each date of a request: it came too late, or a person has to act."""


def understand_batch(
    status: int, body: Mapping[str, Any], task: TaskSpec, days: Sequence[date]
) -> Mapping[date, ProcessorResult] | ProcessorResult:
    """Take the results for the task's processor on these dates out of a worker's answer to a request for all of them.

    One result for all: the call failed as a whole, and nothing is known of any date. A date without a result in the
    answer has failed. An answer that names a date which was not asked for leaves no result of it to be believed.
    """
    if status != 200:
        failure = understand(status, body, task)
        return dict.fromkeys(days, failure) if status in _OF_EACH_DATE else failure
    entries = body.get(DATES)
    if not isinstance(entries, Mapping):
        return failed(ErrorClass.BUG, f"the worker's answer has no results by date (in {DATES}){_said(body)}")
    by_date: dict[str, list[Any]] = {}
    for day, entry in entries.items():
        by_date.setdefault(str(day), []).extend(entry if isinstance(entry, Several) else [entry])
    if strange := sorted(by_date.keys() - {str(day) for day in days}):
        named = ", ".join(each[:_LONGEST_SHOWN] for each in strange[:_SHOWN]) + (", …" if len(strange) > _SHOWN else "")
        problem = f"the worker's answer is about {named}, and was asked for {days[0]} to {days[-1]} ({len(days)} dates)"
        return dict.fromkeys(days, failed(ErrorClass.BUG, problem))
    return {day: _of_date(by_date.get(str(day), []), task, day, body, sorted(by_date)) for day in days}


def _of_date(
    entries: Sequence[Any], task: TaskSpec, day: date, body: Mapping[str, Any], there: Sequence[str]
) -> ProcessorResult:
    """The result of one date, for which there should be one entry in the answer."""
    if not entries:
        named = f"{there[0]} to {there[-1]}, {len(there)} dates" if there else "nothing"
        return failed(ErrorClass.BUG, f"the worker's answer has no result for {day} (in {DATES}: {named}){_said(body)}")
    if len(entries) > 1:
        return failed(ErrorClass.BUG, f"the worker's answer has {len(entries)} results for {day} (in {DATES})")
    if not isinstance(entries[0], Mapping):
        what = type(entries[0]).__name__
        return failed(ErrorClass.BUG, f"the worker's answer for {day} is no mapping but a {what} (in {DATES})")
    return _from_results(entries[0], task)


def _from_results(body: Mapping[str, Any], task: TaskSpec) -> ProcessorResult:
    value: Any = body
    where = task.call.results
    for part in where.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    entries = value if isinstance(value, Mapping) else {}
    name = next((name for name in (task.processor, *task.spec.aliases) if name in entries), None)
    if name is None:
        there = ", ".join(sorted(map(str, entries))) or "nothing"
        problem = f"the worker's answer has no result for '{task.processor}' (in {where}: {there})"
        return failed(ErrorClass.BUG, problem + _said(body))
    try:
        return _settled(ProcessorResult.model_validate(_known(entries[name])))
    except ValidationError as error:
        first = error.errors()[0]
        what = ".".join(map(str, (where, name, *first["loc"])))
        return failed(ErrorClass.BUG, f"the worker's answer is not understood: {what}: {first['msg']}{_said(body)}")


def _known(entry: Any) -> Any:
    """A result without what a service says beside it (its own times and counts)."""
    if not isinstance(entry, dict) or entry.keys() <= _OF_A_RESULT:
        return entry
    return {k: v for k, v in entry.items() if k in _OF_A_RESULT}


def _said(body: Mapping[str, Any]) -> str:
    return f"; it says: {body['message']}" if isinstance(body.get("message"), str) else ""


def _settled(result: ProcessorResult) -> ProcessorResult:
    """An expected emptiness is a success with its reason, however the worker put it."""
    if result.error_class is ErrorClass.EXPECTED_EMPTY:
        return ProcessorResult(status=ResultStatus.EMPTY, rows=0, message=result.message, made_with=result.made_with)
    return result


def failed(error_class: ErrorClass, message: str) -> ProcessorResult:
    """Make the result of an attempt that ended badly."""
    return ProcessorResult(status=ResultStatus.FAILED, error_class=error_class, message=message)
