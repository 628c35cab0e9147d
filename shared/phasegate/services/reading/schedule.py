"""The calendar is read out of the schedule table, with the SQL that the pipeline file gives."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from phasegate.domain.calendar.dates import Calendar, CalendarDate, LeftOutDate
from phasegate.domain.checks.question import in_dialect, quoted
from phasegate.domain.errors import InputError
from phasegate.domain.spec.pipeline import CalendarSpec, SourceSpec

Query = Callable[[str], Sequence[Mapping[str, Any]]]


def asked_in(spec: CalendarSpec, query: Query) -> Query:
    """Ask in the dialect of the calendar's own SQL, which stands within the statements."""
    return query if spec.dialect == "bigquery" else lambda sql: query(in_dialect(spec.dialect, sql))


def read_calendar(spec: CalendarSpec, query: Query) -> Calendar:
    """Read every date with at least one row that meets the condition, and what the sources hold of it.

    query: runs one SELECT of the BigQuery dialect. Raises InputError for a date that belongs to two seasons or
    comes twice, a row without a date, and a number that is not whole.
    """
    query = asked_in(spec, query)
    rows = query(f"{_dates_sql(spec)} ORDER BY day, season")
    entities = {name: query(_entities_sql(spec, columns)) for name, columns in spec.entities.items()}
    dates = _dates_of(spec, rows, entities)
    if dates:
        for name, source in spec.sources.items():
            held = query(_held_sql(source, min(dates), max(dates)))
            _enter_source(name, {require_date(row["day"], source.table, source.date_column) for row in held}, dates)
    return Calendar.of(dates.values())


def read_calendar_at_once(spec: CalendarSpec, query: Query, first: date, last: date) -> Calendar:
    """Read the same in one query, for whoever only compares it; of dates before ``first`` and after ``last`` it is not
    known what the sources hold. Raises InputError as ``read_calendar`` does."""
    query = asked_in(spec, query)
    names = [quoted(name) for name in spec.numbers]
    nulls = "".join(f", NULL AS {name}" for name in names)
    # Names that no number has: each row says which question it answers, and carries that answer's text.
    part, label = "calendar_part", "calendar_label"
    asked = [
        f"SELECT 'dates' AS {part}, day, CAST(season AS STRING) AS {label}, {', '.join(names)} "
        f"FROM ({_dates_sql(spec)})"
    ]
    asked += [
        f"SELECT 'entity {name}' AS {part}, day, entity AS {label}{nulls} FROM ({_entities_sql(spec, columns)})"
        for name, columns in spec.entities.items()
    ]
    asked += [
        f"SELECT 'source {name}' AS {part}, day, CAST(NULL AS STRING) AS {label}{nulls} "
        f"FROM ({_held_sql(source, first, last)})"
        for name, source in spec.sources.items()
    ]
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in query(" UNION ALL ".join(asked)):
        found.setdefault(row[part], []).append({**row, "season": row[label], "entity": row[label]})
    entities = {name: found.get(f"entity {name}", []) for name in spec.entities}
    dates = _dates_of(spec, found.get("dates", []), entities)
    for name in spec.sources:
        _enter_source(name, {row["day"] for row in found.get(f"source {name}", [])}, dates)
    return Calendar.of(dates.values())


def _dates_sql(spec: CalendarSpec) -> str:
    day_of, season_of = quoted(spec.date_column), quoted(spec.season_column)
    numbers = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in spec.numbers.items())
    return (
        f"SELECT {day_of} AS day, {season_of} AS season, {numbers} FROM `{spec.table}` "
        f"WHERE {spec.condition} GROUP BY 1, 2"
    )


def _entities_sql(spec: CalendarSpec, columns: Sequence[str]) -> str:
    return " UNION DISTINCT ".join(
        f"SELECT {quoted(spec.date_column)} AS day, CAST({quoted(column)} AS STRING) AS entity FROM `{spec.table}` "
        f"WHERE {spec.condition}"
        for column in columns
    )


def _dates_of(
    spec: CalendarSpec, rows: Sequence[Mapping[str, Any]], keys: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[date, CalendarDate]:
    """The dates of a schedule. rows: of ``_dates_sql``. keys: of ``_entities_sql``, by entity list."""
    entities: dict[date, dict[str, tuple[str, ...]]] = {}
    for name, of_list in keys.items():
        found: dict[date, list[str]] = {}
        for row in of_list:
            if row["entity"] is not None:
                found.setdefault(row["day"], []).append(row["entity"])
        for day, each in found.items():
            entities.setdefault(day, {})[name] = tuple(sorted(each))
    dates: dict[date, CalendarDate] = {}
    for row in rows:
        day, season = row["day"], str(row["season"])
        if day is None or row["season"] is None:
            raise InputError(f"{spec.table}: rows without a {spec.date_column} or {spec.season_column}; mend them")
        day = require_date(day, spec.table, spec.date_column)
        if day in dates and dates[day].season == season:
            raise InputError(
                f"{spec.table}: the calendar's query returns {day} twice; correct calendar.condition or numbers, which "
                "may make no rows of their own"
            )
        if day in dates:
            raise InputError(
                f"{spec.table}: {day} belongs to two seasons ({dates[day].season} and {season}); give all its rows one "
                f"{spec.season_column}"
            )
        counts = {name: _whole(name, row[name], day) for name in spec.numbers}
        dates[day] = CalendarDate(day, season, counts, entities.get(day, {}))
    return dates


def _enter_source(name: str, held: Collection[date], dates: dict[date, CalendarDate]) -> None:
    for day in dates.keys() - held:
        dates[day] = replace(dates[day], not_held_by=(*dates[day].not_held_by, name))


def _whole(name: str, value: Any, day: date) -> int:
    """A number of the calendar. Raises InputError for one with a fraction, and where there is none."""
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        whole = None
    if whole is None or whole != value:
        raise InputError(f"calendar.numbers.{name}: {value} on {day} is no whole number; COALESCE or ROUND it")
    return whole


def require_date(value: Any, table: str, column: str) -> date:
    """Return a date of a schedule, source or table. Raises InputError for a value of another type."""
    if isinstance(value, datetime) or not isinstance(value, date):
        raise InputError(
            f"{table}: {column} holds '{value}', which is no DATE; CAST the column AS DATE where it is made"
        )
    return value


def read_left_out(spec: CalendarSpec, query: Query) -> tuple[LeftOutDate, ...]:
    """Read the dates of the schedule of which no row meets the condition, in order. query: as in ``read_calendar``."""
    day_of, season_of = quoted(spec.date_column), quoted(spec.season_column)
    rows = asked_in(spec, query)(
        "SELECT s.day AS day, MIN(s.season) AS season, COUNT(*) AS found FROM ("
        f"SELECT {day_of} AS day, {season_of} AS season, {spec.condition} AS counts FROM `{spec.table}` "
        f"WHERE {day_of} IS NOT NULL) AS s GROUP BY s.day HAVING COUNTIF(s.counts) = 0"
    )
    found = (
        LeftOutDate(require_date(r["day"], spec.table, spec.date_column), str(r["season"]), int(r["found"]))
        for r in rows
    )
    return tuple(sorted(found, key=lambda d: d.day))


def _held_sql(source: SourceSpec, first: date, last: date) -> str:
    """Asks for the dates between two of the calendar's of which a source holds a row; the bounds spare partitions
    outside them."""
    column = quoted(source.date_column)
    return (
        f"SELECT DISTINCT {column} AS day FROM `{source.table}` "
        f"WHERE {column} BETWEEN DATE '{first.isoformat()}' AND DATE '{last.isoformat()}'"
    )
