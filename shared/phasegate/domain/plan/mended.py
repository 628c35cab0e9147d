"""A pipeline file may be mended while a run of it goes on: what of that the run can take over, and what needs a new
run."""

from collections.abc import Iterator, Mapping
from typing import Any

from phasegate.domain.spec.pipeline import Pipeline

_OF_PROCESSORS = frozenset({"checks", "may_be_empty", "available_from", "bootstrap", "source_dates", "run_when_empty"})
_OF_PHASES = frozenset({"checks"})
_OF_THE_CALENDAR = frozenset({"bootstrap_days", "left_out", "cross_check"})
_OF_THE_FILE = frozenset({"known"})
"""Checks and expectations: what is asked of the tables, and what of their absence is right. Nothing that a task does
or reads follows from them."""

_PARTS = ("processors", "output")
"""What a phase has, and what a processor has, and nothing else that stands in a list."""

_FOR_NO_RUN = frozenset({"description", "sample", "profiles", "schema_files"})
"""What decides about no run that has begun."""


def mended(before: Pipeline, now: Pipeline) -> tuple[list[str], list[str]]:
    """Compare two states of a pipeline file: where its checks and expectations differ, and where all the rest does.

    Both are paths of the file, with names in place of numbers: ``phases.raw.processors.a.checks``.
    """
    one, two = (each.model_dump(mode="json", by_alias=True) for each in (before, now))
    checks: list[str] = []
    others: list[str] = []
    for path in _differences(one, two, ()):
        if path[0] not in _FOR_NO_RUN:
            (checks if _is_expectation(path) else others).append(".".join(path))
    return checks, others


def _is_expectation(path: tuple[str, ...]) -> bool:
    if path[0] == "calendar":
        return len(path) > 1 and path[1] in _OF_THE_CALENDAR
    if path[0] != "phases":
        return path[0] in _OF_THE_FILE
    if len(path) > 4 and path[2] == "processors":
        return path[4] in _OF_PROCESSORS
    return len(path) > 2 and path[2] in _OF_PHASES


def _differences(one: Any, two: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Where two documents differ: down to the keys of mappings, and of the named elements of a list in one order."""
    if one == two:
        return
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for key in dict.fromkeys((*one, *two)):
            yield from _differences(one.get(key), two.get(key), (*path, key))
    elif _names(one) and _names(one) == _names(two):
        for name, a, b in zip(_names(one), one, two, strict=True):
            yield from _differences(a, b, (*path, name))
    else:
        yield path


def _names(value: Any) -> list[str]:
    """The names of a list of phases, or of processors; empty for anything else."""
    if not isinstance(value, list):
        return []
    are_named = all(isinstance(each, dict) and "name" in each and not each.keys().isdisjoint(_PARTS) for each in value)
    return [each["name"] for each in value] if are_named else []
