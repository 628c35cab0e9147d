"""The document of a date has a largest size, which follows from the pipeline file and from what the models hold.

Facts grow until a date is at its end, and Firestore refuses a document above 1 MiB: nobody could write such a date any
more. So a pipeline that could bring one about is refused when its file is read. Pure.
"""

from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, date, datetime
from enum import StrEnum
from types import NoneType
from typing import Any, get_args, get_type_hints

from phasegate.adapters.gcp.firestore import documents
from phasegate.adapters.gcp.firestore.documents import bytes_of
from phasegate.domain.checks.subject import KEYS_SHOWN
from phasegate.domain.decisions.failures import MOST_THROTTLES, REFUSED_AGAIN
from phasegate.domain.decisions.reconcile import MOST_DISPATCHES
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.spec.checks import ADOPTED, PROOF, UNRECOVERABLE, name_of
from phasegate.domain.spec.pipeline import Phase, Pipeline, Processor, TableOutput
from phasegate.domain.state.facts import (
    UNKNOWN,
    Abandoned,
    AttemptKey,
    Cell,
    Dispatched,
    Fact,
    GroupState,
    Healed,
    HealedAs,
    Proved,
    Reported,
    Verdict,
    fact_name,
)

MOST_BYTES = 1_048_576
"""What a document holds (1 MiB, Firestore quotas)."""

_DAY, _MOMENT = date(2024, 12, 31), datetime(2024, 12, 31, tzinfo=UTC)
_LONG = "x" * 10_000
_RUN = "r" * 63
_KEYED = frozenset({"entities", "coverage", "duplicates"})
"""Checks whose verdicts name keys."""


def largest_date(pipeline: Pipeline) -> int:
    """Return the bytes of the largest document that one date of a run of all phases can come to by itself.

    Every task fails as often as it is tried again, is throttled as often as that is borne, and says as much as is kept
    each time; its queue stands still for a month; every check blocks. What people ask for again on top of that comes to
    lie beside it.
    """
    size = bytes_of(f"runs/{_RUN}/dates/{_DAY}") + 16 + 32
    size += bytes_of({"season": "x" * 60, "at_rest": _MOMENT, "tasks": {}, "cells": {}})
    for phase in pipeline.phases:
        tasks = {processor.name: _attempts(pipeline, phase, processor) for processor in phase.processors}
        size += bytes_of({phase.name: {}}) + sum(bytes_of({name: {}}) + each for name, each in tasks.items())
        size += bytes_of({phase.name: documents.cell_document(_cell(phase))})
    return size


def _attempts(pipeline: Pipeline, phase: Phase, processor: Processor) -> int:
    """Bytes of all attempts of one task."""
    inputs = tuple(("/".join(pipeline.resolve(need, pipeline.phase_names)), 1) for need in processor.needs)
    key = AttemptKey(_DAY, phase.name, processor.name, 1)
    event_id = f"{_RUN}/{key.day}/{key.ref}/100/{10**15}"
    # What a good end was made with takes no more than the class and the status of a bad one, which has none.
    at_once = pipeline.dates_at_once(phase, processor)
    given = {"inputs": inputs, "event_id": event_id, "made_with": "", "batch": at_once}
    failed: list[Fact] = [
        _fullest(Dispatched, **given),
        _fullest(Reported, **given),
        _fullest(Proved),
        _fullest(Healed),
    ]
    throttle = _fullest(Reported, **given, error_class=ErrorClass.THROTTLE)
    refused = _attempt(failed[:2])  # The worker was not reached: there is no output to prove, and a report came.
    policy = phase.failure_of(processor)
    counted = policy.retries + policy.not_yet_retries + 1
    again = (MOST_DISPATCHES - 1) * bytes_of(documents.fact_document(failed[0]))
    throttled = _attempt([failed[0], throttle])
    # A date that makes its calls fail is alone after so many halvings.
    halvings = at_once.bit_length() - 1
    # A SELECT has no service that could refuse it or ask it to wait; who else writes its table may keep it waiting.
    is_select, output = processor.sql is not None, processor.output
    refusals = 0 if is_select else len(REFUSED_AGAIN)
    has_rival = isinstance(output, TableOutput) and output.other_writer is not None
    throttles = 0 if is_select and not has_rival else MOST_THROTTLES
    ends = _fullest(Abandoned, failed_together=True), _fullest(Healed, outcome=HealedAs.VOID)
    void = max(_attempt([failed[0], end]) for end in ends)
    return halvings * void + counted * _attempt(failed) + refusals * refused + throttles * throttled + again


def _attempt(facts: Iterable[Fact]) -> int:
    return bytes_of({"100": {fact_name(fact): [documents.fact_document(fact)] for fact in facts}})


_HINTS = {kind: get_type_hints(kind) for kind in get_args(Fact)}
"""The fields of each kind of fact, and their types."""


def _fullest(kind: type[Any], **given: Any) -> Any:
    """A fact that holds as much as it can."""
    hints = _HINTS[kind]
    return kind(**{f.name: given[f.name] if f.name in given else _most(hints[f.name]) for f in fields(kind)})


def _most(hint: Any) -> Any:
    """The largest value of a type."""
    kind = next((each for each in get_args(hint) if each is not NoneType), hint)
    if issubclass(kind, StrEnum):
        return max((each for each in kind if each != ErrorClass.THROTTLE), key=len)
    return {str: _LONG, bool: False, int: 2**62, datetime: _MOMENT}[kind]


def _cell(phase: Phase) -> Cell:
    """A cell in which each processor is a release group of its own and every check blocks."""
    groups = {}
    for number, processor in enumerate(phase.processors, 100):
        verdicts = [_verdict(processor, name, "") for name in (PROOF, ADOPTED, UNRECOVERABLE)]
        for check in phase.checks_of(processor):
            keys = (_LONG,) * KEYS_SHOWN if check.check in _KEYED else ()
            verdicts.append(_verdict(processor, name_of(check), check.threshold, keys))
        groups[f"{phase.name}.{number}"] = GroupState(1, _MOMENT, "f", _MOMENT, tuple(verdicts), (processor.name,))
    return Cell(1, groups, {processor.name: 1 for processor in phase.processors}, f"0002-{'f' * 16}")


def _verdict(processor: Processor, name: str, threshold: str, keys: tuple[str, ...] = ()) -> Verdict:
    return Verdict(UNKNOWN, name, processor.name, 1, 1, _LONG, keys, threshold, "f" * 12, "w" * 12)
