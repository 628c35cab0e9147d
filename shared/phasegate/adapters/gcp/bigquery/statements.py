"""Statements for BigQuery write partitions and rows, and take parameters of its types. Pure: no client."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date

from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter, StructQueryParameter

from phasegate.adapters.bigquery_sql import split_table
from phasegate.adapters.json_lines import json_lines
from phasegate.domain.errors import InputError
from phasegate.ports import Parameter, Partition, Partitions, Row, Struct

FENCE = "_fence"
FENCES_PARAMETER = "phasegate_fences"
ROWS_PARAMETER = "phasegate_rows"

MAX_ROWS_BYTES = 8 * 1024**2
"""Rows that travel inside a request, as JSON. A request may have 10 MB with everything in it
(https://cloud.google.com/bigquery/quotas, query jobs); a date of the largest table here has 1.2 MB."""

_FENCE_FOUND = "phasegate_fence="
"""Marks the fence in the error that the guard raises; the adapter looks for it."""

_NOTHING_FOUND = "phasegate_rows=0"
"""Marks in the same way that the select yields no row."""

_PLAIN_TYPES = {
    "STRING": "STRING",
    "INTEGER": "INT64",
    "FLOAT": "FLOAT64",
    "BOOLEAN": "BOOL",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP",
    "DATETIME": "DATETIME",
    "TIME": "TIME",
    "NUMERIC": "NUMERIC",
    "BIGNUMERIC": "BIGNUMERIC",
}
"""SQL types whose values JSON holds as plain values, by the name that a table's schema gives them."""


def sql_type(kind: str) -> str:
    """Return the SQL type by the name that a schema gives it: some have another one there."""
    return _PLAIN_TYPES.get(kind, kind)


def plain_columns(table: str, fields: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Return the SQL types by column. fields: name, type and mode. Raises InputError for a type that JSON lines cannot
    carry.
    """
    columns: dict[str, str] = {}
    for name, kind, mode in fields:
        if kind not in _PLAIN_TYPES or mode == "REPEATED":
            raise InputError(f"{table}: column {name} is {mode} {kind}; JSON lines are written to plain columns only")
        columns[name] = _PLAIN_TYPES[kind]
    return columns


def quoted(table: str) -> str:
    """Return ``dataset.table`` as a quoted name. Raises InputError for any other form."""
    return f"`{'.'.join(split_table(table))}`"


def replacement(partitions: Partitions, select: str, columns: Sequence[str]) -> str:
    """Return one MERGE that puts the rows of ``select`` in the place of those of each date: all of it, or nothing.

    Its guards raise an error inside the statement, so that they judge the very rows that it deletes and inserts: a
    held row with a higher fence (``fence_found`` reads it), a fresh row of another date, a date without a fresh row
    (``is_of_nothing``). Takes FENCES_PARAMETER. ``IF`` evaluates only the branch that it takes.
    """
    names = ", ".join(f"`{name}`" for name in columns)
    fresh_names = ", ".join(f"fresh.`{name}`" for name in columns)
    day = f"fresh.`{partitions.date_column}`"
    foreign = (
        f"ERROR(CONCAT('the select for {partitions.table} yields a row of another date: ', "
        f"COALESCE(CAST({day} AS STRING), 'NULL')))"
    )
    guarded = f"IF(asked.day IS NULL, {foreign}, IF(phasegate_there IS NULL, ERROR('{_NOTHING_FOUND}'), asked.fence))"
    return (
        f"MERGE {quoted(partitions.table)} AS held\n"
        f"USING (SELECT {fresh_names}, {guarded} AS `{FENCE}` FROM UNNEST(@{FENCES_PARAMETER}) AS asked FULL JOIN "
        f"(SELECT *, 1 AS phasegate_there FROM (\n{select}\n)) AS fresh ON {day} = asked.day) AS fresh\n"
        "ON FALSE\n"
        f"{_deleting(partitions)}\n"
        f"WHEN NOT MATCHED BY TARGET THEN INSERT ({names}, `{FENCE}`) VALUES ({names}, `{FENCE}`)"
    )


def rows_of_some(select: str, date_column: str, left_out: Collection[date]) -> str:
    """Return a SELECT of the rows of ``select`` but those of some dates."""
    if not left_out:
        return select
    return (
        f"SELECT * FROM (\n{select}\n) WHERE `{date_column}` IS NULL OR `{date_column}` NOT IN ({_literals(left_out)})"
    )


def emptying(partition: Partition, fence: int) -> str:
    """Return one MERGE that deletes the partition's rows, with the guard of their fences."""
    return (
        f"MERGE {quoted(partition.table)} AS held\nUSING (SELECT 1 AS one) AS fresh\nON FALSE\n"
        f"{_deleting(Partitions.one(partition, fence))}"
    )


def _deleting(partitions: Partitions) -> str:
    """The clause that deletes. Dates and fences stand in it as they are: BigQuery takes no correlated subquery there
    (https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax, 2026)."""
    held_day, held_fence = f"held.`{partitions.date_column}`", f"held.`{FENCE}`"
    fences = " ".join(f"WHEN {_literals([day])} THEN {fence}" for day, fence in partitions.fences.items())
    is_asked = f"{held_day} IN ({_literals(partitions.fences)})"
    stale = f"ERROR(CONCAT('{_FENCE_FOUND}', CAST({held_fence} AS STRING)))"
    # AND promises no order: the dates stand in both.
    return (
        f"WHEN NOT MATCHED BY SOURCE AND {is_asked} "
        f"AND IF({is_asked} AND {held_fence} > CASE {held_day} {fences} END, {stale}, TRUE) THEN DELETE"
    )


def _literals(days: Collection[date]) -> str:
    return ", ".join(f"DATE '{day}'" for day in days)


def holding(partitions: Partitions) -> str:
    """Return one SELECT of the rows (``found``) and their highest fence (``highest``) of each ``day`` that has some."""
    day = f"`{partitions.date_column}`"
    return (
        f"SELECT {day} AS day, COUNT(*) AS found, COALESCE(MAX(`{FENCE}`), 0) AS highest "
        f"FROM {quoted(partitions.table)} WHERE {day} IN ({_literals(partitions.fences)}) GROUP BY 1"
    )


def counting(select: str, date_column: str) -> str:
    """Return one SELECT of how many rows ``select`` yields for each ``day`` (``found``)."""
    return f"SELECT `{date_column}` AS day, COUNT(*) AS found FROM (\n{select}\n) GROUP BY 1"


def is_of_nothing(message: str) -> bool:
    """Tell whether a guard met a select without rows, from the error message."""
    return _NOTHING_FOUND in message


def fence_found(message: str) -> int | None:
    """Return the higher fence that a guard met, when that is what the error message says."""
    _, marker, rest = message.partition(_FENCE_FOUND)
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return int(digits) if marker and digits else None


def rows_of_parameter(columns: Mapping[str, str]) -> str:
    """Return a SELECT that unpacks ROWS_PARAMETER. columns: SQL types by name."""
    unpacked = ", ".join(
        f"CAST(JSON_VALUE(line, '$.\"{name}\"') AS {kind}) AS `{name}`" for name, kind in columns.items()
    )
    return f"SELECT {unpacked} FROM UNNEST(JSON_QUERY_ARRAY(@{ROWS_PARAMETER})) AS line"


def rows_parameter(table: str, rows: Sequence[Row]) -> str:
    """Return the value of ROWS_PARAMETER. Raises InputError when the rows are more than one request can carry."""
    lines = json_lines(rows).rstrip(b"\n")
    if len(lines) > MAX_ROWS_BYTES:
        raise InputError(
            f"{table}: {len(rows)} rows are {len(lines)} bytes, one write carries {MAX_ROWS_BYTES}; "
            "write fewer rows at once, or load them into a table of their own and select from it"
        )
    return f"[{lines.decode().replace(chr(10), ',')}]"


def rows_together(parameters: Iterable[str]) -> str:
    """Return the values of ROWS_PARAMETER of several dates as one."""
    return f"[{','.join(rows[1:-1] for rows in parameters)}]"


def by_requests(parameters: Mapping[date, str]) -> Iterator[list[date]]:
    """Yield the dates, as many at once as one request can carry. parameters: the value of ROWS_PARAMETER of each."""
    days: list[date] = []
    size = 0
    for day, rows in parameters.items():
        if days and size + len(rows) > MAX_ROWS_BYTES:
            yield days
            days, size = [], 0
        days.append(day)
        size += len(rows)
    if days:
        yield days


def insertion_of_missing(table: str, columns: Mapping[str, str], keys: Sequence[str]) -> str:
    """Return one INSERT of those rows of ROWS_PARAMETER whose keys the table does not hold; NULL keys are keys."""
    names = ", ".join(f"`{name}`" for name in columns)
    # As text, because NULL is never in a list, and a comparison that allows for it cannot be made a hash join.
    fresh, held = (f"TO_JSON_STRING(STRUCT({', '.join(f'{of}.`{key}`' for key in keys)}))" for of in ("fresh", "held"))
    return (
        f"INSERT INTO {quoted(table)} ({names}) SELECT {names} FROM ({rows_of_parameter(columns)}) AS fresh "
        f"WHERE {fresh} NOT IN (SELECT {held} FROM {quoted(table)} AS held)"
    )


def typed(name: str, value: Parameter) -> ScalarQueryParameter | ArrayQueryParameter:
    """Return a query parameter in the type of its value; None and an empty list are taken for STRING: cast them in the
    SQL.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        return ScalarQueryParameter(name, _type_of(value), value)
    if value and isinstance(value[0], Mapping):
        structs = [_struct(each) for each in value if isinstance(each, Mapping)]
        return ArrayQueryParameter(name, "STRUCT", structs)
    kind = "DATE" if value and isinstance(value[0], date) else "STRING"
    return ArrayQueryParameter(name, kind, list(value))


def fences_by_day(fences: Mapping[date, int]) -> list[Struct]:
    """Return the value of FENCES_PARAMETER: of each ``day`` its ``fence``."""
    return [{"day": day, "fence": fence} for day, fence in fences.items()]


def _struct(fields: Struct) -> StructQueryParameter:
    return StructQueryParameter(None, *(ScalarQueryParameter(name, _type_of(of), of) for name, of in fields.items()))


def _type_of(value: str | float | date | None) -> str:
    if isinstance(value, bool):
        return "BOOL"
    if isinstance(value, int):
        return "INT64"
    if isinstance(value, float):
        return "FLOAT64"
    return "DATE" if isinstance(value, date) else "STRING"
