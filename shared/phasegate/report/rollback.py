"""A rollback, as it is shown to a person or a program: what is deleted, what is stale, what to type next."""

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
    """What was typed, for commands to copy.

    program: the command with its global options. inputs: pipeline file and source. dates: the selection. live: what was
    said of the live window. processors: as they were named.
    """

    program: tuple[str, ...]
    inputs: tuple[str, ...]
    dates: tuple[str, ...]
    live: tuple[str, ...] = ()
    processors: tuple[str, ...] = ()


def rollback_document(found: Survey, deleted: Deleted | None, words: Words) -> dict[str, Any]:
    """What would be deleted (or, with ``deleted``, was), what is stale, and the commands that follow."""
    scope = found.scope
    return {
        "pipeline": scope.pipeline.pipeline,
        "phases": list(scope.phases),
        "processors": list(scope.refs),
        "dates": len(scope.days),
        "first": scope.days[0].isoformat(),
        "last": scope.days[-1].isoformat(),
        "is_done": deleted is not None,
        "rows": sum(each.rows for each in found.holdings if each.is_table),
        "objects": sum(each.rows for each in found.holdings if not each.is_table),
        "outputs": [_holding(each, deleted) for each in found.holdings],
        "not_there": list(found.not_there),
        "without_output": list(found.wordless),
        "stale": [_holding(each, None) for each in found.stale],
        "record": deleted.record if deleted else None,
        "commands": commands(found, deleted, words),
    }


def commands(found: Survey, deleted: Deleted | None, words: Words) -> dict[str, str]:
    """By what they do: ``delete`` what is shown, ``delete_stale`` what was built on it, ``make_anew`` all of it."""
    made: dict[str, str] = {}
    if found.holdings and deleted is None:
        phases, named = _span(found.scope.phases), _flags("--processor", words.processors)
        made["delete"] = _join(words, ["rollback", *words.inputs, "--phase", phases, *named, *words.dates, "--yes"])
    if found.stale:
        made["delete_stale"] = _delete_stale(found, words)
    if found.holdings or found.stale:
        made["make_anew"] = _make_anew(found, words)
    return made


def rollback_text(found: Survey, deleted: Deleted | None, words: Words) -> str:
    """The same for a terminal."""
    out = StringIO()
    console = Console(file=out, width=120, highlight=False, emoji=False, markup=False, soft_wrap=True)
    console.print(_headline(found, deleted))
    if found.holdings:
        console.print(_table(found.holdings, deleted))
    typed = commands(found, deleted, words)
    for table in found.not_there:
        console.print(f"not there yet: {table}")
    for ref in found.wordless:
        console.print(f"nothing to delete of {ref}: it leaves no table and no object behind")
    if found.stale:
        console.print(f"built from it, still there, and stale{' then' if 'delete' in typed else ''}:")
        console.print(_table(found.stale, None))
    if deleted is not None:
        console.print(f"recorded: {deleted.record}")
    if found.unseen and "make_anew" in typed:
        console.print(f"not judged by what is missing, so that all of it is made again: {', '.join(found.unseen)}")
    for key, says in (
        ("delete_stale", "to delete what was built from it"),
        ("make_anew", "to make all of it anew" if found.stale else "to make it again"),
        ("delete", "nothing was deleted yet; to delete"),
    ):
        if key in typed:
            console.print(f"{says}: {typed[key]}")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).rstrip()


def _headline(found: Survey, deleted: Deleted | None) -> str:
    scope = found.scope
    span = f"{_span(scope.phases)}, {_dates(scope.days)}"
    if not found.holdings:
        return f"rollback of {span}: nothing to delete"
    if deleted is None:
        return f"rollback of {span}: this would be deleted"
    tables = {each.ref for each in found.holdings if each.is_table}
    rows = sum(count for ref, count in deleted.by_ref.items() if ref in tables)
    objects = sum(count for ref, count in deleted.by_ref.items() if ref not in tables)
    parts = [f"{rows:,} row(s) of {len(tables)} table(s)"] if tables else []
    parts += [f"{objects:,} object(s)"] if len(tables) < len(found.holdings) else []
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


def _delete_stale(found: Survey, words: Words) -> str:
    """The rollback of the outputs that are stale, on all dates on which one of them is."""
    pipeline = found.scope.pipeline
    refs = {each.ref for each in found.stale}
    owners = [phase for phase in pipeline.phase_names if any(ref.startswith(f"{phase}/") for ref in refs)]
    order = pipeline.phase_names
    span = order[order.index(owners[0]) : order.index(owners[-1]) + 1]
    all_of_span = {f"{phase}/{x.name}" for phase in span for x in pipeline.phase(phase).processors}
    others = {ref for ref in all_of_span - refs if found.scope.index.processor(ref).output.kind != "none"}
    named = _flags("--processor", sorted(refs)) if others else []
    days = {day for each in found.stale for day in each.days}
    dates = words.dates if days <= set(found.scope.days) else _selection(days)
    return _join(words, ["rollback", *words.inputs, "--phase", _span(span), *named, *dates])


def _make_anew(found: Survey, words: Words) -> str:
    """The run that makes again what is deleted, and all that was built from it."""
    scope, last = found.scope, found.scope.pipeline.phase_names[-1]
    days = {day for each in found.stale for day in each.days} | set(scope.days)
    dates = words.dates if days == set(scope.days) else _selection(days)
    again = ["--phases", _span((scope.phases[0], last)), "--reprocess", "all"] if found.unseen else []
    refs = {each.ref for each in (*found.holdings, *found.stale)}
    destructive = [ref for ref in sorted(refs) if scope.index.processor(ref).destructive]
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
    return shlex.join([*words.program, *typed, *live])
