"""The calendar is compared with its sources and raw tables, a query a table, over all dates at once."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any

from phasegate.domain.calendar.cross_check import (
    CalendarGap,
    ScheduleUnit,
    TableUnit,
    bounds_of,
    covered_days,
    schedule_gaps,
    seasons_of,
    table_gaps,
)
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.checks.question import as_text, key_text, quoted
from phasegate.domain.errors import InputError, PhasegateError
from phasegate.domain.spec.cross_check import CrossCheckSpec, CrossCheckTable
from phasegate.domain.spec.pipeline import CalendarSpec, Pipeline, TableOutput
from phasegate.services.reading.schedule import Query, asked_in, require_date


@dataclass(frozen=True, slots=True)
class CalendarReader:
    """A reader is where the schedule, its sources and the tables are asked."""

    schedule: Query
    """Answers queries about the schedule table."""

    tables: Query | None
    """Answers queries about the warehouse's tables; None: there are none yet, or they are not looked at."""

    source_of: Callable[[CrossCheckTable], Query] | None = None
    """Returns what answers queries about a table from the file that stands for it, or raises InputError; None: there
    are no files, and tables are all there is."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One of the places was asked."""

    place: str
    """The schedule, or the table or file that is compared with it."""

    sql: str
    """The SELECT, in the BigQuery dialect."""

    rows: str
    """What its rows are called."""

    error: str | None
    """Why it could not be asked; None: it was answered."""


@dataclass(slots=True)
class CrossChecked:
    """The calendar was compared."""

    gaps: list[CalendarGap] = field(default_factory=list)
    """In which ways it differs, by place and date."""

    let_pass: list[CalendarGap] = field(default_factory=list)
    """In which ways it differs that a person lets pass."""

    asked: list[Asked] = field(default_factory=list)
    """Everything that was asked, or could not be."""


def cross_check(
    pipeline: Pipeline,
    calendar: Calendar,
    days: Collection[date],
    reader: CalendarReader,
    now: datetime,
    written: Collection[str] = (),
    let_pass: Collection[tuple[str, date]] = (),
) -> CrossChecked:
    """Compare the calendar on the selected dates, and on those that it lacks among them, with all it can be told by.

    written: ``phase/processor`` of the outputs that have been made: they too must hold each unit, on dates that have
    rows. let_pass: (``phase/processor``, date) of outputs that a person lets pass without units, or with others:
    they and the files that stand for them are told of apart. What is wrong with a table is said of it, and the others
    are compared.
    """
    spec, checked = pipeline.calendar, CrossChecked()
    check = spec.cross_check
    if check is None or not days:
        return checked
    schedule = _schedule_units(spec, check, asked_in(spec, reader.schedule), checked)
    if schedule is None:
        return checked
    seasons = seasons_of(schedule, calendar)
    is_covered = covered_days(seasons, days)
    today = pipeline.date_at(now)
    checked.gaps += schedule_gaps(spec, schedule, is_covered, today)
    outputs = outputs_of(pipeline)
    for table in check.tables:
        ref = outputs.get(table.table)
        for place, open_query in _places(table, ref, reader, written):
            open_in = partial(_opened_in, spec, open_query)
            found = _table_units(check, table, place, open_in, bounds_of(seasons, days), checked)
            if found is None:
                continue
            held = {each.day for each in found}
            is_output = place == table.table and ref is not None
            due = held.__contains__ if is_output else lambda _: True
            gaps = table_gaps(
                spec, place, schedule, found, is_covered, due if table.holds_all else lambda _: False, today
            )
            for gap in gaps:
                passes = gap.day is not None and ref is not None and (ref, gap.day) in let_pass
                (checked.let_pass if passes else checked.gaps).append(gap)
    return checked


def _opened_in(spec: CalendarSpec, open_query: Callable[[], Query]) -> Query:
    return asked_in(spec, open_query())


def outputs_of(pipeline: Pipeline) -> dict[str, str]:
    """Map the tables that the pipeline fills to ``phase/processor`` of who fills them."""
    return {
        processor.output.table: f"{phase.name}/{processor.name}"
        for phase in pipeline.phases
        for processor in phase.processors
        if isinstance(processor.output, TableOutput)
    }


def _places(
    table: CrossCheckTable, ref: str | None, reader: CalendarReader, written: Collection[str]
) -> Iterator[tuple[str, Callable[[], Query]]]:
    """Where a table is to be read: its file, where files stand for tables, and what the warehouse holds."""
    source_of, tables = reader.source_of, reader.tables
    has_file = source_of is not None and table.file is not None
    if source_of is not None and table.file is not None:
        yield table.file, lambda: source_of(table)
    if tables is not None and (ref in written if ref is not None else not has_file):
        yield table.table, lambda: tables


def require_comparable(spec: CalendarSpec, query: Query) -> None:
    """Require that the schedule can be asked what its cross-check asks of it: no run is complete where it cannot.

    Raises InputError.
    """
    if spec.cross_check is None:
        return
    try:
        asked_in(spec, query)(f"{_schedule_sql(spec, spec.cross_check)} LIMIT 0")
    except InputError as error:
        raise InputError(
            f"calendar.cross_check: the schedule cannot be asked: {error}; correct the SQL in the pipeline file, or "
            "give the schedule's column the type that it is compared with"
        ) from error


def _schedule_sql(spec: CalendarSpec, check: CrossCheckSpec) -> str:
    day = quoted(spec.date_column)
    postponed = f"COUNTIF(({check.postponed}) AND ({spec.condition}) IS NOT TRUE)" if check.postponed else "0"
    return (
        f"SELECT {day} AS day, {_unit(check.key)} AS unit, MIN({quoted(spec.season_column)}) AS season, "
        f"COUNT(*) AS n, COUNTIF({spec.condition}) AS counts, "
        f"COUNTIF(({spec.condition}) IS NULL) AS unknown, {postponed} AS postponed, "
        f"COUNTIF({' OR '.join(f'{quoted(column)} IS NULL' for column in check.key)}) AS unnamed FROM `{spec.table}` "
        "GROUP BY 1, 2"
    )


def _unit(columns: Sequence[str]) -> str:
    """The name of a unit. Files and tables are compared by it, and as a file's types are its own, by text."""
    return key_text([as_text(quoted(column)) for column in columns])


def _schedule_units(
    spec: CalendarSpec, check: CrossCheckSpec, query: Query, checked: CrossChecked
) -> list[ScheduleUnit] | None:
    rows = _ask(spec.table, spec.date_column, _schedule_sql(spec, check), check.units, lambda: query, checked)
    if rows is None:
        return None
    return [
        ScheduleUnit(
            row["day"],
            str(row["unit"]),
            str(row["season"]),
            int(row["n"]),
            int(row["counts"]),
            int(row["unknown"]),
            int(row["postponed"]),
            int(row["unnamed"]),
        )
        for row in rows
    ]


def _table_units(
    check: CrossCheckSpec,
    table: CrossCheckTable,
    place: str,
    open_query: Callable[[], Query],
    bounds: tuple[date, date],
    checked: CrossChecked,
) -> list[TableUnit] | None:
    day, (first, last) = quoted(table.date_column), bounds
    sql = (
        f"SELECT {day} AS day, {_unit(table.key or check.key)} AS unit, COUNT(*) AS n FROM `{table.table}` "
        f"WHERE ({table.condition}) AND ({day} BETWEEN DATE '{first}' AND DATE '{last}' OR {day} IS NULL) "
        "GROUP BY 1, 2"
    )
    rows = _ask(place, table.date_column, sql, table.rows, open_query, checked)
    return None if rows is None else [TableUnit(row["day"], str(row["unit"]), int(row["n"])) for row in rows]


def _ask(
    place: str, date_column: str, sql: str, called: str, open_query: Callable[[], Query], checked: CrossChecked
) -> Sequence[Mapping[str, Any]] | None:
    try:
        rows = open_query()(sql)
        for row in rows:
            if row["day"] is not None:
                require_date(row["day"], place, date_column)
    except PhasegateError as error:
        checked.asked.append(Asked(place, sql, called, str(error)))
        return None
    checked.asked.append(Asked(place, sql, called, None))
    return rows
