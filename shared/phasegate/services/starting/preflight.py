"""Every backend needs these lines of preflight: the schedule, what was named on purpose, and the tables."""

from collections.abc import Collection, Mapping
from datetime import datetime

from phasegate.domain.calendar.cross_check import GapKind, by_what_is_said, in_words
from phasegate.domain.decisions.standing import end_of
from phasegate.domain.errors import PhasegateError, TransientError
from phasegate.domain.operations.overrides import SHOWN, check_overrides, window_begins
from phasegate.domain.operations.preflight import PreflightLine, failed, passed, unanswered, warned
from phasegate.domain.plan import Plan, ScheduleChanges, compare
from phasegate.domain.spec.pipeline import DATE_COLUMN, CalendarSpec, NamedColumns, did_you_mean
from phasegate.domain.state.run import Run
from phasegate.ports import RunReader, Warehouse
from phasegate.services.reading.cross_check import CrossChecked
from phasegate.services.reading.schedule_changes import is_read_alike, runs_with_another_schedule
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
        remedy = "nothing is due there by numbers; where something is, fill it again, or correct calendar.numbers"
        lines.append(warned("schedule", table, detail, remedy))
    for name, columns in scope.pipeline.calendar.entities.items():
        bare = [str(day) for day in scope.days if not by_day[day].entities.get(name)]
        if bare:
            detail = f"no {name} on {len(bare)} dates: {', '.join(bare[:SHOWN])}"
            lines.append(warned("schedule", table, detail, f"fill {' and '.join(columns)}"))
    for name, source in scope.pipeline.calendar.sources.items():
        if all(name in each.not_held_by for each in dates):
            detail = f"holds none of the calendar's {len(dates)} dates: '{source.otherwise}' is said of each"
            remedy = f"see that the table is filled and, in embedded mode, that {source.file} has this name"
            lines.append(warned("schedule", f"{name} ({source.table})", detail, remedy))
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


def check_earlier_plans(scope: RunScope, state: RunReader | None, now: datetime) -> list[PreflightLine]:
    """Tell of runs on these dates that go by another calendar than the schedule gives now, which a start does not
    change; state: None where there is no run yet."""
    if state is None:
        return []
    spec, live_from = scope.pipeline.calendar, window_begins(scope.pipeline, now)

    def compared(run: Run, plan: Plan) -> ScheduleChanges | None:
        is_same = run.source == scope.request.source and is_read_alike(plan.pipeline.calendar, spec)
        return compare(plan, scope.calendar, live_from) if is_same else None

    lines: list[PreflightLine] = []
    for run, _, changes in runs_with_another_schedule(state, scope.pipeline.pipeline, frozenset(scope.days), compared):
        days = sorted(changes.days)
        named = f"{', '.join(map(str, days[:SHOWN]))}{' and others' if len(days) > SHOWN else ''}"
        detail = f"the schedule has changed since it was planned ({named}), and it goes on by what it was"
        lines.append(warned("schedule", f"run {run.run_id}", detail, f"see what: phasegate refresh {run.run_id}"))
    return lines


_REMEDIES = {
    GapKind.OFF_THE_CALENDAR: "mend the schedule, or what holds them, and plan again",
    GapKind.ONLY_IN_THE_CALENDAR: "fill it, or mend the schedule",
    GapKind.UNDECIDED: "bring the schedule up to date: these are no work before it is",
    GapKind.DOUBLED: "keep one row of each in the schedule",
    GapKind.UNNAMED: "fill the key in the schedule",
}


def calendar_lines(spec: CalendarSpec, checked: CrossChecked) -> list[PreflightLine]:
    """Make a line for each way in which the calendar differs from what it was compared with, over all dates."""
    check = spec.cross_check
    if check is None:
        return []
    rows_of = {asked.place: asked.rows for asked in checked.asked}
    lines = [
        warned("calendar", each.place, f"could not be asked: {each.error}", "the calendar was not compared with it")
        for each in checked.asked
        if each.error is not None
    ]
    for (kind, place, _), gaps in by_what_is_said(checked.gaps).items():
        days = sorted(str(gap.day) for gap in gaps if gap.day)
        listed = f": {', '.join(days[:SHOWN])}{', …' if len(days) > SHOWN else ''}" if days else ""
        lines.append(warned("calendar", place, in_words(gaps, check.units, rows_of[place]) + listed, _REMEDIES[kind]))
    if not lines:
        places = ", ".join(each.place for each in checked.asked)
        lines.append(passed("calendar", spec.table, f"nothing is missing and nothing too much ({places})"))
    return lines


def check_tables(
    named: Mapping[str, NamedColumns], warehouse: Warehouse, made_at_start: Collection[str] = ()
) -> list[PreflightLine]:
    """Check that the tables are there, each with the columns that the pipeline file names of it, and dates in that of
    its dates.

    named: by table. made_at_start: those that may be absent, because the start makes them.
    """
    try:
        columns = warehouse.columns(named)
    except TransientError as error:
        return [unanswered("tables", "all", str(error))]
    except PhasegateError as error:
        return [failed("tables", "all", str(error), "mend what it says")]
    lines: list[PreflightLine] = []
    for table, by_key in named.items():
        if table in columns:
            lines += _check_columns(table, by_key, columns[table])
        elif table not in made_at_start:
            lines.append(failed("table", table, "is not there", "make it: POST /prepare of its worker, or its script"))
    if not lines:
        absent = f"; {len(named) - len(columns)} are made at the start" if len(columns) < len(named) else ""
        found = f"{len(columns)} tables are there, each with the columns that are named{absent}"
        lines.append(passed("tables", "all", found))
    return lines


def _check_columns(table: str, by_key: NamedColumns, columns: Mapping[str, str]) -> list[PreflightLine]:
    """Make a line for each column that a table lacks, and for one of dates that holds something else.

    SQL does not mind the case of a column's name; whoever writes a partition compares the column of its dates as it is
    written.
    """
    folded = {name.casefold() for name in columns}
    lines: list[PreflightLine] = []
    for key, names in by_key.items():
        for name in names:
            is_there = name in columns if key == DATE_COLUMN else name.casefold() in folded
            if not is_there:
                remedy = f"correct {key} in the pipeline file, or the table{did_you_mean(name, columns)}"
                lines.append(failed("table", table, f"has no column {name}", remedy))
            elif key == DATE_COLUMN and columns[name] != "DATE":
                detail = f"{name} is of type {columns[name]}"
                lines.append(failed("table", table, detail, "dates are compared with a DATE column; change it"))
    return lines
