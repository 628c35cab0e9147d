"""Every backend needs these lines of preflight: the schedule, what was named on purpose, and the tables."""

from collections.abc import Mapping
from datetime import datetime

from phasegate.domain.decisions.standing import end_of
from phasegate.domain.errors import PhasegateError, TransientError
from phasegate.domain.operations.overrides import SHOWN, check_overrides
from phasegate.domain.operations.preflight import PreflightLine, failed, passed, unanswered, warned
from phasegate.ports import Warehouse
from phasegate.services.starting.scope import RunScope


def check_request(scope: RunScope, now: datetime) -> list[PreflightLine]:
    """Check what can be told before any backend is opened: the schedule, and what has to be named.

    Raises InputError as ``check_overrides`` does.
    """
    overrides = check_overrides(scope.pipeline, scope.phases, scope.days, scope.request.overrides, now)
    return [*check_schedule(scope), *check_known(scope, now), *overrides]


def check_schedule(scope: RunScope) -> list[PreflightLine]:
    """Check that the schedule is filled for the selection: a date that it does not hold would never be worked on, nor
    missed."""
    table, dates = scope.pipeline.calendar.table, scope.calendar.dates
    begins, ends = scope.request.selection.first, scope.request.selection.last
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
    by_day = scope.calendar.by_day
    hollow = [str(day) for day in scope.days if not any(by_day[day].numbers.values())]
    if hollow:
        detail = f"all numbers are 0 on {len(hollow)} dates: {', '.join(hollow[:SHOWN])}"
        lines.append(failed("schedule", table, detail, "fill it again, or correct calendar.numbers"))
    for name, columns in scope.pipeline.calendar.entities.items():
        bare = [str(day) for day in scope.days if not by_day[day].entities.get(name)]
        if bare:
            detail = f"no {name} on {len(bare)} dates: {', '.join(bare[:SHOWN])}"
            lines.append(warned("schedule", table, detail, f"fill {' and '.join(columns)}"))
    if not lines:
        found = f"{len(scope.days)} dates, {scope.days[0]} to {scope.days[-1]}"
        lines.append(passed("schedule", table, found))
    return lines


def check_known(scope: RunScope, now: datetime) -> list[PreflightLine]:
    """Check the known exceptions of the pipeline file: one on a date that the schedule does not have lets nothing pass,
    and neither does one that has ended."""
    lines: list[PreflightLine] = []
    for known in scope.pipeline.known:
        subject = f"{known.check} of {known.processor}"
        strange = [str(day) for day in sorted(known.dates) if day not in scope.calendar.by_day]
        if strange:
            detail = f"the schedule has no {', '.join(strange[:SHOWN])}{' and others' if len(strange) > SHOWN else ''}"
            lines.append(failed("known", subject, detail, "correct `known` in the pipeline file, or the schedule"))
        if end_of(known, scope.pipeline.timezone) <= now:
            detail = f"ended with {known.until}, and lets nothing pass any more"
            lines.append(warned("known", subject, detail, "remove it from the pipeline file, or give it a later end"))
    return lines


def check_tables(date_columns: Mapping[str, str | None], warehouse: Warehouse) -> list[PreflightLine]:
    """Check that the tables are there, each with the column of its dates.

    date_columns: by table; None: it has none.
    """
    try:
        columns = warehouse.columns(date_columns)
    except TransientError as error:
        return [unanswered("tables", "all", str(error))]
    except PhasegateError as error:
        return [failed("tables", "all", str(error), "mend what it says")]
    lines: list[PreflightLine] = []
    for table, column in date_columns.items():
        if table not in columns:
            lines.append(failed("table", table, "is not there", "make it: POST /prepare of its worker, or its script"))
        elif column is not None and column not in columns[table]:
            there = ", ".join(list(columns[table])[:SHOWN])
            remedy = f"correct date_column in the pipeline file (columns: {there}), or the table"
            lines.append(failed("table", table, f"has no column {column}", remedy))
        elif column is not None and columns[table][column] != "DATE":
            detail = f"{column} is of type {columns[table][column]}"
            lines.append(failed("table", table, detail, "dates are compared with a DATE column; change it"))
    if not lines:
        lines.append(
            passed("tables", "all", f"{len(date_columns)} tables are there, each with the column of its dates")
        )
    return lines
