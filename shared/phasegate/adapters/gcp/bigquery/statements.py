"""Statements for BigQuery write partitions and rows, and take parameters of its types. Pure: no client."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter

from phasegate.adapters.bigquery_sql import split_table
from phasegate.adapters.json_lines import json_lines
from phasegate.domain.errors import InputError
from phasegate.ports import Parameter, Partition, Row

FENCE = "_fence"
FENCE_PARAMETER = "phasegate_fence"
DAY_PARAMETER = "phasegate_day"
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


def replacement(partition: Partition, select: str, columns: Sequence[str]) -> str:
    """Return one MERGE that puts the rows of ``select`` in the place of the partition's: all of it, or nothing.

    Its guards raise an error inside the statement, so that they judge the very rows that it deletes and inserts: a
    held row with a higher fence (``fence_found`` reads it), a fresh row of another date, no fresh row at all
    (``is_of_nothing``): the row of ``phasegate_one`` finds no partner then. Takes FENCE_PARAMETER and DAY_PARAMETER.
    ``IF`` evaluates only the branch that it takes, AND promises no order: the date stands in both.
    """
    names = ", ".join(f"`{name}`" for name in columns)
    day, fence = f"@{DAY_PARAMETER}", f"@{FENCE_PARAMETER}"
    foreign = f"ERROR('the select for {partition.table} yields a row of another date')"
    guarded = f"IF(`{partition.date_column}` = {day}, {fence}, {foreign})"
    return (
        f"MERGE {quoted(partition.table)} AS held\n"
        f"USING (SELECT {names}, IF(phasegate_there IS NULL, ERROR('{_NOTHING_FOUND}'), {guarded}) AS `{FENCE}` "
        "FROM (SELECT 1 AS phasegate_one) LEFT JOIN (SELECT *, 1 AS phasegate_there "
        f"FROM (\n{select}\n)) ON phasegate_there = phasegate_one) AS fresh\n"
        "ON FALSE\n"
        f"{_deleting(partition)}\n"
        f"WHEN NOT MATCHED BY TARGET THEN INSERT ({names}, `{FENCE}`) VALUES ({names}, `{FENCE}`)"
    )


def emptying(partition: Partition) -> str:
    """Return one MERGE that deletes the partition's rows, with the guard of their fences. Parameters as above."""
    return (
        f"MERGE {quoted(partition.table)} AS held\nUSING (SELECT 1 AS one) AS fresh\nON FALSE\n{_deleting(partition)}"
    )


def _deleting(partition: Partition) -> str:
    day, fence = f"@{DAY_PARAMETER}", f"@{FENCE_PARAMETER}"
    held_day, held_fence = f"held.`{partition.date_column}`", f"held.`{FENCE}`"
    stale = f"ERROR(CONCAT('{_FENCE_FOUND}', CAST({held_fence} AS STRING)))"
    return (
        f"WHEN NOT MATCHED BY SOURCE AND {held_day} = {day} "
        f"AND IF({held_day} = {day} AND {held_fence} > {fence}, {stale}, TRUE) THEN DELETE"
    )


def holding(partition: Partition) -> str:
    """Return one SELECT of the partition's rows (``found``) and their highest fence (``highest``), with
    DAY_PARAMETER."""
    return (
        f"SELECT COUNT(*) AS found, COALESCE(MAX(`{FENCE}`), 0) AS highest FROM {quoted(partition.table)} "
        f"WHERE `{partition.date_column}` = @{DAY_PARAMETER}"
    )


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
    if isinstance(value, Sequence) and not isinstance(value, str):
        kind = "DATE" if value and isinstance(value[0], date) else "STRING"
        return ArrayQueryParameter(name, kind, list(value))
    return ScalarQueryParameter(name, _type_of(value), value)


def _type_of(value: str | float | date | None) -> str:
    if isinstance(value, bool):
        return "BOOL"
    if isinstance(value, int):
        return "INT64"
    if isinstance(value, float):
        return "FLOAT64"
    return "DATE" if isinstance(value, date) else "STRING"
