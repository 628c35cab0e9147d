"""Preflight over the ports: the schedule, what was named on purpose, the tables, and what the backend stands on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import PhasegateError, TransientError
from phasegate.domain.operations.overrides import SHOWN, Overrides, check_overrides
from phasegate.domain.operations.preflight import PreflightLine, failed, passed, unanswered, warned
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.ports import Installation, Warehouse
from phasegate.services.starting.planner import choose_phases
from phasegate.services.starting.starter import RunRequest


@dataclass(frozen=True, slots=True)
class RunScope:
    """What preflight is about: phases of a pipeline over selected dates.

    days: in order.
    """

    pipeline: Pipeline
    phases: tuple[str, ...]
    calendar: Calendar
    selection: Selection
    days: tuple[date, ...]


def subject_of(pipeline: Pipeline, calendar: Calendar, run_request: RunRequest) -> RunScope:
    """What a request is about. Raises InputError for a selection without dates, an unknown phase or profile."""
    phases, _ = choose_phases(pipeline, run_request.phases, run_request.profile)
    return RunScope(pipeline, phases, calendar, run_request.selection, run_request.selection.resolve(calendar))


def check_start(subject: RunScope, overrides: Overrides, now: datetime) -> list[PreflightLine]:
    """What can be told before any backend is opened: the schedule, and what has to be named.

    Raises InputError as ``check_overrides`` does.
    """
    return [*check_schedule(subject), *check_overrides(subject.pipeline, subject.phases, subject.days, overrides, now)]


def check_schedule(subject: RunScope) -> list[PreflightLine]:
    """Is the schedule filled for the selection? A date that it does not hold would never be worked on, nor missed."""
    table, dates = subject.pipeline.calendar.table, subject.calendar.dates
    begins, ends = subject.selection.first, subject.selection.last
    lines: list[PreflightLine] = []
    for flag, day, is_beyond in (
        ("--from", begins, begins is not None and begins < dates[0].day),
        ("--to", ends, ends is not None and ends > dates[-1].day),
    ):
        if is_beyond:
            extent = f"it holds {dates[0].day} to {dates[-1].day}"
            lines.append(
                warned("schedule", table, f"{flag} {day} lies outside: {extent}", "fill the schedule, or go on")
            )
    by_day = subject.calendar.by_day
    hollow = [str(day) for day in subject.days if not any(by_day[day].numbers.values())]
    if hollow:
        detail = f"all numbers are 0 on {len(hollow)} dates: {', '.join(hollow[:SHOWN])}"
        lines.append(failed("schedule", table, detail, "fill it again, or correct calendar.numbers"))
    for name, columns in subject.pipeline.calendar.entities.items():
        bare = [str(day) for day in subject.days if not by_day[day].entities.get(name)]
        if bare:
            detail = f"no {name} on {len(bare)} dates: {', '.join(bare[:SHOWN])}"
            lines.append(warned("schedule", table, detail, f"fill {' and '.join(columns)}"))
    if not lines:
        found = f"{len(subject.days)} dates, {subject.days[0]} to {subject.days[-1]}"
        lines.append(passed("schedule", table, found))
    return lines


def check_tables(wanted: Mapping[str, str | None], warehouse: Warehouse) -> list[PreflightLine]:
    """Are the tables there, each with the column of its dates (None: it has none)?"""
    try:
        found = warehouse.columns(wanted)
    except TransientError as error:
        return [unanswered("tables", "all", str(error))]
    except PhasegateError as error:
        return [failed("tables", "all", str(error), "mend what it says")]
    lines: list[PreflightLine] = []
    for table, column in wanted.items():
        if table not in found:
            lines.append(failed("table", table, "is not there", "make it: POST /prepare of its worker, or its script"))
        elif column is not None and column not in found[table]:
            there = ", ".join(list(found[table])[:SHOWN])
            remedy = f"correct date_column in the pipeline file (columns: {there}), or the table"
            lines.append(failed("table", table, f"has no column {column}", remedy))
        elif column is not None and found[table][column] != "DATE":
            detail = f"{column} is of type {found[table][column]}"
            lines.append(failed("table", table, detail, "dates are compared with a DATE column; change it"))
    if not lines:
        lines.append(passed("tables", "all", f"{len(wanted)} tables are there, each with the column of its dates"))
    return lines


def check_everything(
    subject: RunScope, overrides: Overrides, now: datetime, warehouse: Warehouse, installation: Installation
) -> list[PreflightLine]:
    """All that preflight knows. Raises InputError as ``check_overrides`` does."""
    tables = {**subject.pipeline.calendar.tables, **subject.pipeline.tables(subject.phases)}
    return [
        *check_start(subject, overrides, now),
        *check_tables(tables, warehouse),
        *installation.inspect(subject.pipeline, subject.phases),
    ]
