"""A run that covers a part of a pipeline, or of a season, leaves behind what was made from what it made anew."""

from datetime import date
from typing import NamedTuple

from phasegate.domain.checks.proof import Found, count_rows
from phasegate.domain.decisions.built_on import built_on
from phasegate.domain.decisions.stale import dates_read
from phasegate.domain.errors import PhasegateError
from phasegate.domain.plan import PlanIndex, WorkLetter, compile_plan
from phasegate.domain.plan.blank import blank_plan
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.ports import Warehouse
from phasegate.services.reading.ages import find_ages
from phasegate.services.reading.prover import ask


class LeftBehind(NamedTuple):
    """What a run left behind was made from something else than what it made."""

    tables: dict[str, tuple[date, ...]]
    """By ``phase/processor``: the dates on which its table is."""
    first: date
    """The first of these dates."""
    last: date
    """The last date on which anything was built on what the run made: once these are mended, it is stale as well."""


def left_behind(index: PlanIndex, warehouse: Warehouse) -> LeftBehind | None:
    """Find the tables outside a run that are stale by what it made, in the seasons of its dates; None: none is.

    A table that cannot be asked, or keeps no fence, is not among them. Nothing is asked for a run of all phases over
    whole seasons.
    """
    plan, lost = index.plan, index.calendar.lost
    calendar = [each for each in plan.calendar if each.day not in lost]
    pipeline, days = plan.pipeline, [each.day for each in calendar]
    if plan.phases == pipeline.phase_names and len(plan.days) - len(lost) == len(days):
        return None
    whole = compile_plan(blank_plan(pipeline, pipeline.phase_names, days, calendar))
    made = {
        task.ref: [day for day, letter in zip(index.days, task.work, strict=True) if letter == WorkLetter.RUN]
        for task in index.tasks
    }
    beyond = {
        ref: [day for day in on if ref not in index.by_ref or day not in index.position]
        for ref, on in built_on(whole, made).items()
    }
    behind = {ref: on for ref, on in beyond.items() if on and _keeps_fences(whole, ref)}
    if not behind:
        return None
    asked = dates_read(whole, behind)
    outputs = {ref: whole.by_ref[ref].spec.output for ref in asked}
    questions = [count_rows(output, asked[ref]) for ref, output in outputs.items() if isinstance(output, TableOutput)]
    held: dict[str, dict[date, Found]] = {}
    for ref, rows in zip(outputs, ask(warehouse, questions), strict=True):
        if not isinstance(rows, PhasegateError):
            held[ref] = {row["d"]: Found(row["n"], row["lowest"], row["highest"]) for row in rows}
    stale = find_ages(whole, held, warehouse).stale
    found = {ref: tuple(day for day in on if day in stale.get(ref, ())) for ref, on in behind.items()}
    tables = {ref: on for ref, on in found.items() if on}
    if not tables:
        return None
    last = max(day for ref, on in behind.items() for day in on if day in held.get(ref, ()))
    return LeftBehind(tables, min(day for on in tables.values() for day in on), last)


def _keeps_fences(index: PlanIndex, ref: str) -> bool:
    output = index.by_ref[ref].spec.output
    return isinstance(output, TableOutput) and output.fence_column is not None
