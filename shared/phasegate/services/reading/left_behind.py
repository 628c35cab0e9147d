"""A run that covers a part of a pipeline, or of a season, leaves behind what was made from what it made anew."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import NamedTuple

from phasegate.domain.checks.proof import Found, count_rows
from phasegate.domain.decisions.built_on import built_on
from phasegate.domain.decisions.stale import OtherCalendar, dates_read
from phasegate.domain.errors import PhasegateError
from phasegate.domain.plan import PlanIndex, WorkLetter, compile_plan
from phasegate.domain.plan.blank import blank_plan
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.ports import Warehouse
from phasegate.services.reading.ages import find_ages
from phasegate.services.reading.asking import ask


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

    So are those on later dates that were made from another calendar of such a season than the run goes by. A table that
    cannot be asked, or keeps no fence, is not among them. Nothing is asked for a run of all phases over whole seasons.
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
    readers = {ref: on for ref, on in _readers_of_its_seasons(whole, index, made).items() if _keeps_fences(whole, ref)}
    if not behind and not readers:
        return None
    asked = dates_read(whole, behind)
    for ref, on in readers.items():
        asked.setdefault(ref, set()).update(on)
    outputs = {ref: whole.by_ref[ref].spec.output for ref in asked}
    questions = [count_rows(output, asked[ref]) for ref, output in outputs.items() if isinstance(output, TableOutput)]
    held: dict[str, dict[date, Found]] = {}
    for ref, rows in zip(outputs, ask(warehouse, questions), strict=True):
        if not isinstance(rows, PhasegateError):
            held[ref] = {row["d"]: Found(row["n"], row["lowest"], row["highest"]) for row in rows}
    stale = find_ages(whole, held, warehouse).stale
    found: dict[str, set[date]] = {}
    for ref, of_ref in stale.items():
        # Of a reader alone the inputs were not asked for, and only the calendar is known.
        by_calendar = {day for day in readers.get(ref, ()) if isinstance(of_ref.get(day), OtherCalendar)}
        found[ref] = by_calendar.union(day for day in behind.get(ref, ()) if day in of_ref)
    tables = {ref: tuple(sorted(on)) for ref, on in found.items() if on}
    if not tables:
        return None
    built = {day for ref, on in behind.items() for day in on if day in held.get(ref, ())}
    named = {day for on in tables.values() for day in on}
    return LeftBehind(tables, min(named), max(named | built))


def _readers_of_its_seasons(
    whole: PlanIndex, index: PlanIndex, made: Mapping[str, Collection[date]]
) -> dict[str, list[date]]:
    """Find the tables outside a run that read the calendar of a season in which it made something, after the first date
    of that: ref -> dates."""
    first_of: dict[str, date] = {}
    for day in sorted(day for of_ref in made.values() for day in of_ref):
        first_of.setdefault(index.calendar.by_day[day].season, day)
    found = {
        task.ref: [
            day
            for day, season in zip(whole.days, whole.season_of, strict=True)
            if season in first_of and day >= first_of[season]
            if task.ref not in index.by_ref or day not in index.position
        ]
        for task in whole.tasks
        if task.spec.reads_calendar is not None
    }
    return {ref: days for ref, days in found.items() if days}


def _keeps_fences(index: PlanIndex, ref: str) -> bool:
    output = index.by_ref[ref].spec.output
    return isinstance(output, TableOutput) and output.fence_column is not None
