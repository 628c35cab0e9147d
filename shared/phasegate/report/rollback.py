"""A rollback, as a person or a program is shown it: what is deleted, what is stale, what to type next."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from io import StringIO
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from phasegate.domain.operations.rollback import Holding
from phasegate.services.operating.rollback import Deleted, Survey

LISTED = 12
"""Dates that a command names one by one; more of them are a range."""


@dataclass(frozen=True, slots=True)
class Words:
    """Words are what a person typed, for the commands that are printed to copy."""

    inputs: tuple[str, ...]
    """The options that name pipeline file and source."""

    dates: tuple[str, ...]
    """The options that select dates."""

    live: tuple[str, ...] = ()
    """The options that speak of the live window."""

    processors: tuple[str, ...] = ()
    """The processors as they were named; empty: all of the phases."""


def rollback_document(survey: Survey, deleted: Deleted | None, words: Words) -> dict[str, Any]:
    """The document says what would be deleted (or, with ``deleted``, was), what is stale, and what to type next."""
    scope = survey.scope
    return {
        "pipeline": scope.pipeline.pipeline,
        "phases": list(scope.phases),
        "processors": list(scope.refs),
        "dates": len(scope.days),
        "first": scope.days[0].isoformat(),
        "last": scope.days[-1].isoformat(),
        "is_done": deleted is not None,
        "rows": sum(each.rows for each in survey.holdings if each.is_table),
        "objects": sum(each.rows for each in survey.holdings if not each.is_table),
        "outputs": [_holding(each, deleted) for each in survey.holdings],
        "not_there": list(survey.not_there),
        "without_output": list(survey.wordless),
        "stale": [_holding(each, None) for each in survey.stale],
        "record": deleted.record if deleted else None,
        "commands": commands(survey, deleted, words),
    }


def commands(survey: Survey, deleted: Deleted | None, words: Words) -> dict[str, str]:
    """Each key says what its command does: delete what is shown, delete what was built on it, make all of it anew."""
    made: dict[str, str] = {}
    if survey.holdings and deleted is None:
        phases, named = _span(survey.scope.phases), _flags("--processor", words.processors)
        made["delete"] = _join(words, ["rollback", *words.inputs, "--phase", phases, *named, *words.dates, "--yes"])
    if survey.stale:
        made["delete_stale"] = _delete_stale(survey, words)
    if survey.holdings or survey.stale:
        made["make_anew"] = _make_anew(survey, words)
    return made


def rollback_text(survey: Survey, deleted: Deleted | None, words: Words) -> str:
    """The text says for a terminal what ``rollback_document`` holds."""
    out = StringIO()
    console = Console(file=out, width=120, highlight=False, emoji=False, markup=False, soft_wrap=True)
    console.print(_headline(survey, deleted))
    if survey.holdings:
        console.print(_table(survey.holdings, deleted))
    typed = commands(survey, deleted, words)
    for table in survey.not_there:
        console.print(f"not there yet: {table}")
    for ref in survey.wordless:
        console.print(f"nothing to delete of {ref}: it leaves no table and no object behind")
    if survey.stale:
        console.print(f"built from it, still there, and stale{' then' if 'delete' in typed else ''}:")
        console.print(_table(survey.stale, None))
    if deleted is not None:
        console.print(f"recorded: {deleted.record}")
    if survey.unseen and "make_anew" in typed:
        console.print(f"not judged by what is missing, so that all of it is made again: {', '.join(survey.unseen)}")
    for key, says in (
        ("delete_stale", "to delete what was built from it"),
        ("make_anew", "to make all of it anew" if survey.stale else "to make it again"),
        ("delete", "nothing was deleted yet; to delete"),
    ):
        if key in typed:
            console.print(f"{says}: {typed[key]}")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).rstrip()


def _headline(survey: Survey, deleted: Deleted | None) -> str:
    scope = survey.scope
    span = f"{_span(scope.phases)}, {_dates(scope.days)}"
    if not survey.holdings:
        return f"rollback of {span}: nothing to delete"
    if deleted is None:
        return f"rollback of {span}: this would be deleted"
    tables = {each.ref for each in survey.holdings if each.is_table}
    rows = sum(count for ref, count in deleted.by_ref.items() if ref in tables)
    objects = sum(count for ref, count in deleted.by_ref.items() if ref not in tables)
    parts = [f"{rows:,} row(s) of {len(tables)} table(s)"] if tables else []
    parts += [f"{objects:,} object(s)"] if len(tables) < len(survey.holdings) else []
    return f"rollback of {span}: deleted {' and '.join(parts)}"


def _table(holdings: Sequence[Holding], deleted: Deleted | None) -> Table:
    table = Table(box=box.SIMPLE)
    table.add_column("processor")
    table.add_column("output")
    for name in ("rows", "dates", *(("deleted",) if deleted else ())):
        table.add_column(name, justify="right")
    for name in ("first", "last"):
        table.add_column(name)
    for each in holdings:
        rows = f"{each.rows:,}" if each.is_table else f"{each.rows:,} objects"
        done = (f"{deleted.by_ref[each.ref]:,}",) if deleted else ()
        table.add_row(each.ref, each.name, rows, str(len(each.days)), *done, str(each.days[0]), str(each.days[-1]))
    return table


def _holding(each: Holding, deleted: Deleted | None) -> dict[str, Any]:
    return {
        "processor": each.ref,
        "kind": "table" if each.is_table else "object",
        "name": each.name,
        "rows" if each.is_table else "objects": each.rows,
        "dates": len(each.days),
        "first": each.days[0].isoformat(),
        "last": each.days[-1].isoformat(),
    } | ({"deleted": deleted.by_ref[each.ref]} if deleted else {})


def _delete_stale(survey: Survey, words: Words) -> str:
    """The rollback of the outputs that are stale, on all dates on which one of them is."""
    pipeline = survey.scope.pipeline
    refs = {each.ref for each in survey.stale}
    owners = [phase for phase in pipeline.phase_names if any(ref.startswith(f"{phase}/") for ref in refs)]
    order = pipeline.phase_names
    span = order[order.index(owners[0]) : order.index(owners[-1]) + 1]
    all_of_span = {f"{phase}/{x.name}" for phase in span for x in pipeline.phase(phase).processors}
    others = {ref for ref in all_of_span - refs if survey.scope.index.processor(ref).output.kind != "none"}
    named = _flags("--processor", sorted(refs)) if others else []
    days = {day for each in survey.stale for day in each.days}
    dates = words.dates if days <= set(survey.scope.days) else _selection(days)
    return _join(words, ["rollback", *words.inputs, "--phase", _span(span), *named, *dates])


def _make_anew(survey: Survey, words: Words) -> str:
    """The run that makes again what is deleted, and all that was built from it."""
    scope, last = survey.scope, survey.scope.pipeline.phase_names[-1]
    days = {day for each in survey.stale for day in each.days} | set(scope.days)
    dates = words.dates if days == set(scope.days) else _selection(days)
    again = ["--phases", _span((scope.phases[0], last)), "--reprocess", "all"] if survey.unseen else []
    refs = {each.ref for each in (*survey.holdings, *survey.stale)}
    destructive = sorted(ref for ref in refs if scope.index.processor(ref).destructive is True)
    # What was built from the rows is published already, and is replaced.
    order = scope.pipeline.phase_names
    behind = order[min(order.index(ref.partition("/")[0]) for ref in refs) :]
    destructive += [
        f"{phase}/{x.name}"
        for phase in behind
        for x in scope.pipeline.phase(phase).processors
        if x.destructive == "when_present"
    ]
    return _join(words, ["run", *words.inputs, *dates, *again, *_flags("--allow-destructive", destructive)])


def _selection(days: set[date]) -> tuple[str, ...]:
    listed = sorted(days)
    if len(listed) <= LISTED:
        return "--dates", ",".join(map(str, listed))
    return "--from", str(listed[0]), "--to", str(listed[-1])


def _flags(flag: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (flag, value)]


def _span(phases: Sequence[str]) -> str:
    return phases[0] if len(set(phases)) == 1 else f"{phases[0]}..{phases[-1]}"


def _dates(days: Sequence[date]) -> str:
    return f"{days[0]}" if len(days) == 1 else f"{len(days)} dates from {days[0]} to {days[-1]}"


def _join(words: Words, typed: Sequence[str]) -> str:
    """The command. What was said of the live window goes with the selection that it was said of."""
    live = words.live if all(word in typed for word in words.dates) else ()
    return shlex.join(["phasegate", *typed, *live])
