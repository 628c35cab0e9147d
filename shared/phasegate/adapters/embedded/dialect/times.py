"""Dates, wall clocks, instants and time zones."""

import re
from datetime import datetime as clock
from functools import lru_cache

import duckdb as duckdb_module
from sqlglot import exp

from phasegate.adapters.embedded.dialect.mending import (
    INSTANT,
    TEXT,
    WALL_CLOCK,
    Type,
    call,
    duckdb,
    kind,
    literal_text,
    mends,
)
from phasegate.domain.errors import StatementRefused

_DATE = r"(?:\d{3}[1-9]|\d\d[1-9]\d|\d[1-9]\d\d|[1-9]\d{3})-\d{1,2}-\d{1,2}"
_TIME = r"([01]?\d|2[0-3]):\d{1,2}:\d{1,2}(\.\d{1,6})?"
MOMENT = f"{_DATE}([ Tt]{_TIME})?"
"""A date and perhaps a time, as a regular expression."""
ZONED = MOMENT + r"\s?([Zz]|[+-]\d{1,2}(:\d{2})?)?"
"""The same, with the offset of a zone perhaps."""
FORMS = {Type.DATE: _DATE, Type.TIME: _TIME} | dict.fromkeys(WALL_CLOCK, MOMENT)
"""What a text looks like that is cast to such a type."""
_DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_SHORT_PARTS = frozenset({"MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR"})


def week_begins(unit: exp.Expr) -> int | None:
    """Return how many days after Monday such a week begins (BigQuery's own on Sunday); None for what is no week."""
    name = unit.name.upper()
    if isinstance(unit, exp.WeekStart):
        return _DAYS.index(name)
    named = re.fullmatch(r"WEEK\((\w+)\)", name)
    if named:
        return _DAYS.index(named[1])
    return {"WEEK": 6, "ISOWEEK": 0}.get(name)


_OFFSET = re.compile(r"(UTC)?([+-])(\d{1,2})(?::?(\d{2}))?")


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    """The names of time zones that DuckDB knows."""
    with duckdb_module.connect() as connection:
        return frozenset(
            name.lower() for (name,) in connection.execute("SELECT name FROM pg_timezone_names()").fetchall()
        )


def in_zone(node: exp.Expr, zone: exp.Expr | None) -> exp.Expr:
    """Return the wall clock of an instant in a zone; without one in UTC. A wall clock stays what it is."""
    if kind(node) in WALL_CLOCK:
        return node
    name = "UTC" if zone is None else literal_text(zone)
    if name is None:
        return call("local", node, zone)
    minutes = _minutes(name)
    if minutes is None:
        return duckdb(f"_x AT TIME ZONE '{_known(name)}'", _x=node)
    return duckdb(f"(_x AT TIME ZONE 'UTC') + INTERVAL {minutes} MINUTE", _x=node)


def instant(wall_clock: exp.Expr, zone: exp.Expr | str | None) -> exp.Expr:
    """Return the instant at which a zone's wall clock shows this; the earlier one where there are two."""
    name = zone if isinstance(zone, str) else "UTC" if zone is None else literal_text(zone)
    if name is None:
        raise StatementRefused(
            "the zone of a TIMESTAMP that is made must be a text in the statement itself: write 'UTC'"
        )
    minutes = _minutes(name)
    if minutes is not None:
        return duckdb(f"(_x - INTERVAL {minutes} MINUTE) AT TIME ZONE 'UTC'", _x=wall_clock)
    if _known(name).upper() == "UTC":
        return duckdb("_x AT TIME ZONE 'UTC'", _x=wall_clock)
    return call("earlier", duckdb(f"_x AT TIME ZONE '{name}'", _x=wall_clock), wall_clock, name)


def _minutes(zone: str) -> int | None:
    """The minutes of an offset such as +05:30, -8 or UTC+3; None for a name."""
    found = _OFFSET.fullmatch(zone)
    if found is None:
        return None
    return int(f"{found[2]}{int(found[3]) * 60 + int(found[4] or 0)}")


def _known(zone: str) -> str:
    """Raises StatementRefused for a zone that does not exist."""
    if zone.lower() not in _zones():
        raise StatementRefused(
            f"there is no time zone '{zone}': write a name such as America/New_York, or an offset such as +05:30"
        )
    return zone


def checked_zone(zone: exp.Expr | None) -> None:
    """Raise StatementRefused for a text that names no zone."""
    name = literal_text(zone)
    if name is not None and _minutes(name) is None:
        _known(name)


@mends(exp.Datetime, exp.Time)
def zone_of(node: exp.Expr) -> exp.Expr | None:
    """A zone that does not exist is an error. Beside a TIMESTAMP stands a zone, even where it could be a time."""
    if isinstance(node, exp.Datetime) and kind(node.this) in INSTANT and node.expression is not None:
        return in_zone(node.this, node.expression)
    checked_zone(node.args.get("zone"))
    return None


def truncated(node: exp.Expr, unit: exp.Expr) -> exp.Expr:
    """Return the beginning of the part that a date or a wall clock lies in."""
    begins = week_begins(unit)
    if begins is None:
        return duckdb(f"date_trunc('{unit.name.lower()}', _x)", _x=node)
    return call("week_trunc", node, begins)


@mends(exp.Extract)
def extract(node: exp.Expr) -> exp.Expr | None:
    """Weeks, days of the week, parts that DuckDB counts otherwise or does not know, and time zones."""
    unit, source, name = node.this, node.expression, node.name.upper()
    if isinstance(source, exp.AtTimeZone):
        source = in_zone(source.this, source.args["zone"])
    elif kind(source) in INSTANT:
        source = in_zone(source, None)
    begins = week_begins(unit)
    if name == "ISOWEEK":
        return duckdb("EXTRACT(WEEK FROM _x)", _x=source)
    if begins is not None:
        return call("week", source, begins)
    if name == "DAYOFWEEK":
        return duckdb("(EXTRACT(DOW FROM _x) + 1)", _x=source)
    if name in {"MILLISECOND", "MICROSECOND"}:
        return duckdb(f"(EXTRACT({name} FROM _x) % {1_000 if name == 'MILLISECOND' else 1_000_000})", _x=source)
    if name in {"DATE", "TIME"}:
        return duckdb(f"CAST(_x AS {name})", _x=source)
    if name == "DATETIME":
        return duckdb("CAST(_x AS TIMESTAMP)", _x=source)
    if isinstance(source, exp.Cast) and isinstance(source.this, exp.Null):
        return duckdb("CAST(NULL AS BIGINT)")
    return exp.Extract(this=unit, expression=source) if source is not node.expression else None


@mends(exp.TimestampTrunc)
def timestamp_trunc(node: exp.Expr) -> exp.Expr | None:
    """The beginning of the day, week or month of a zone, as an instant."""
    unit, zone = node.args["unit"], node.args.get("zone")
    if zone is None:
        return (
            None
            if week_begins(unit) is None
            else duckdb("_t AT TIME ZONE 'UTC'", _t=truncated(in_zone(node.this, None), unit))
        )
    local = in_zone(node.this, zone)
    if unit.name.upper() in _SHORT_PARTS:
        return duckdb("_x - (_l - _t)", _x=node.this, _l=local, _t=truncated(local, unit))
    return instant(truncated(local, unit), zone)


@mends(exp.DateTrunc, exp.DatetimeTrunc)
def date_trunc(node: exp.Expr) -> exp.Expr | None:
    """A DATE stays a DATE; weeks begin on the day that is named."""
    beginning = truncated(node.this, node.args["unit"])
    return duckdb("CAST(_t AS DATE)", _t=beginning) if kind(node.this) == Type.DATE else beginning


@mends(exp.TimestampAdd, exp.TimestampSub)
def timestamp_add(node: exp.Expr) -> exp.Expr | None:
    """A TIMESTAMP takes no part longer than a day: how long it is depends on the zone."""
    unit = node.args["unit"].name.upper()
    if unit in {"WEEK", "MONTH", "QUARTER", "YEAR"}:
        raise StatementRefused(
            f"{node.meta.get('bigquery_name', 'TIMESTAMP_ADD')} takes no {unit}: write DATE_ADD or DATETIME_ADD"
        )
    return None


@mends(exp.LastDay)
def last_day(node: exp.Expr) -> exp.Expr | None:
    """Of the ISO year too."""
    unit = node.args.get("unit")
    return call("last_day_isoyear", node.this) if unit is not None and unit.name.upper() == "ISOYEAR" else None


@mends(exp.TimestampDiff, exp.DateDiff)
def timestamp_diff(node: exp.Expr) -> exp.Expr | None:
    """Whole units, where DuckDB counts boundaries; so DATE_DIFF of TIMESTAMPs too."""
    if isinstance(node.expression, exp.Null) or (isinstance(node, exp.DateDiff) and kind(node.this) not in INSTANT):
        return None
    if node.args["unit"].name.upper() not in {*_SHORT_PARTS, "DAY"}:
        raise StatementRefused("a difference of TIMESTAMPs has no part longer than a day: write DATE_DIFF of DATE(…)")
    return duckdb(f"date_sub('{node.args['unit'].name.lower()}', _b, _a)", _a=node.this, _b=node.expression)


@mends(exp.Sub)
def difference(node: exp.Expr) -> exp.Expr | None:
    """Of two DATEs an INTERVAL of days; of two TIMESTAMPs one of hours and less."""
    kinds = {kind(node.this), kind(node.expression)}
    if kinds == {Type.DATE}:
        return duckdb("to_days(CAST(_d AS INTEGER))", _d=exp.paren(node.copy()))
    return (
        duckdb("to_microseconds(epoch_us(_a) - epoch_us(_b))", _a=node.this, _b=node.expression)
        if kinds <= INSTANT
        else None
    )


@mends(exp.UnixSeconds, exp.UnixMillis)
def unix_seconds(node: exp.Expr) -> exp.Expr | None:
    """Rounded down."""
    divisor = 1_000_000 if isinstance(node, exp.UnixSeconds) else 1_000
    return duckdb(f"CAST(floor(epoch_us(_x) / {divisor}) AS BIGINT)", _x=node.this)


@mends(exp.TimeTrunc)
def time_trunc(node: exp.Expr) -> exp.Expr | None:
    """DuckDB truncates no TIME."""
    return call("time_trunc", node.args["unit"].name.lower(), node.this)


@mends(exp.Timestamp)
def timestamp(node: exp.Expr) -> exp.Expr | None:
    """The instant of a DATE, DATETIME or text, in a zone or in UTC."""
    zone, text = node.args.get("zone"), literal_text(node.this)
    if text is not None:
        return instant_of_text(text, zone)
    of: exp.Expr = node.this
    if kind(of) in INSTANT:
        return of
    if kind(of) in TEXT and zone is None:
        return duckdb("CAST(_x AS TIMESTAMPTZ)", _x=call("in_form", of, ZONED))
    if kind(of) in TEXT:
        of = call("in_form", of, MOMENT)
    wall_clock = node.this if kind(node.this) in WALL_CLOCK else duckdb("CAST(_x AS TIMESTAMP)", _x=of)
    return instant(wall_clock, zone) if zone is not None else duckdb("_x AT TIME ZONE 'UTC'", _x=wall_clock)


_MOMENT = re.compile(
    r"(\d{4}-\d{1,2}-\d{1,2})"
    r"(?:[ Tt](\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d{1,6})?))?"
    r"\s?([Zz]|[+-]\d{1,2}(?::?\d{2})?|[A-Za-z]\w*(?:/[\w/+-]+)?|UTC[+-]\d{1,2})?"
)
"""A date, a time, and a zone or an offset."""


def instant_of_text(text: str, zone: exp.Expr | None = None) -> exp.Expr:
    """Return the instant that a literal text means: with a zone or an offset of its own, in ``zone``, or in UTC.

    Raises StatementRefused for a text that BigQuery takes for no TIMESTAMP.
    """
    found = _MOMENT.fullmatch(text)
    if not found or (found[3] and zone is not None):
        raise StatementRefused(
            f"'{text}' is no TIMESTAMP: write 2024-01-15 20:30:00+00"
            if not found
            else f"'{text}' names a zone, and another one is given: write one of them"
        )
    wall_clock = f"CAST('{_checked(found[1], found[2] or '00:00:00')}' AS TIMESTAMP)"
    if found[3] and found[3] not in "Zz":
        return instant(duckdb(wall_clock), found[3])
    return instant(duckdb(wall_clock), zone) if zone is not None else duckdb(f"{wall_clock} AT TIME ZONE 'UTC'")


def _checked(day: str, time: str) -> str:
    hours, minutes, seconds = (part.zfill(2) for part in time.split(":"))
    year, month, date_ = day.split("-")
    written = f"{year}-{month.zfill(2)}-{date_.zfill(2)} {hours}:{minutes}:{seconds}"
    try:
        return clock.fromisoformat(written).isoformat(sep=" ")
    except ValueError as error:
        raise StatementRefused(f"'{day} {time}' is no TIMESTAMP: {error}; write a day and a time that exist") from error


@mends(exp.Date)
def date(node: exp.Expr) -> exp.Expr | None:
    """The date of an instant in a zone."""
    zone = node.args.get("zone")
    if zone is None and kind(node.this) not in INSTANT:
        return None
    return duckdb("CAST(_l AS DATE)", _l=in_zone(node.this, zone))


@mends(exp.UnixToTime)
def instant_of_count(node: exp.Expr) -> exp.Expr | None:
    """An instant, where DuckDB makes a wall clock; of seconds, milliseconds or microseconds since 1970."""
    scale = int(node.args["scale"].name) if node.args.get("scale") is not None else 0
    return duckdb(f"make_timestamptz(CAST(_x AS BIGINT) * {10 ** (6 - scale)})", _x=node.this)


@mends(exp.GenerateTimestampArray, exp.GenerateDateArray)
def step_of_zero(node: exp.Expr) -> exp.Expr | None:
    """No step is an error, not an empty array."""
    step = node.args.get("step")
    if isinstance(step, exp.Interval) and step.this is not None and step.this.name.strip("-0") == "":
        raise StatementRefused("an array with a step of zero: write another step")
    return None


@mends(exp.GenerateTimestampArray)
def generate_timestamp_array(node: exp.Expr) -> exp.Expr | None:
    """Of instants."""
    ends = {
        name: instant_of_text(text) if (text := literal_text(node.args[name])) is not None else node.args[name]
        for name in ("start", "end")
    }
    return duckdb("generate_series(_a, _b, _s)", _a=ends["start"], _b=ends["end"], _s=node.args["step"])
