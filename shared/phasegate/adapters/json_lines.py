"""Rows are read and written as JSON lines, and refused, the same way on every backend."""

import json
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import NoneType
from typing import NoReturn

from pydantic_core import PydanticSerializationError, to_json

from phasegate.domain.errors import NOBODYS, YIELDS_NOTHING, InputError, PhasegateError, WouldEmpty
from phasegate.ports import Partition, Replaced, Row

_NESTED = {dict, list}


@dataclass(frozen=True, slots=True)
class RowShape:
    """A shape says what a row of one table may hold: values of its columns, none of them an object or a list."""

    table: str
    """``dataset.table``, for messages."""

    columns: AbstractSet[str]
    """The names that a row may carry."""

    whole: Sequence[str]
    """The columns of type INT64."""

    moments: Sequence[str]
    """The columns of type TIMESTAMP."""

    def read(self, lines: bytes) -> list[Row]:
        """Return the rows of JSON lines, moments as UTC text without a zone; blank lines count for nothing.

        Raises InputError for what is not JSON, and as ``check`` does.
        """
        text = b"[" + b",".join(line for line in lines.split(b"\n") if line.strip()) + b"]"
        try:
            rows: list[Row] = json.loads(text, parse_constant=_refuse_constant)
        except ValueError as error:
            raise InputError(f"{self.table}: the lines are not JSON, one object per row: {error}") from error
        self.check(rows)
        for name in self.moments:
            for row in rows:
                if row.get(name) is not None:
                    row[name] = utc_without_zone(row[name])
        return rows

    def check(self, rows: Sequence[Row]) -> None:
        """Raises InputError for a row that is no object, has a key that is no column, or a value that does not fit."""
        for number, row in enumerate(rows, 1):
            if not isinstance(row, dict):
                raise InputError(f"{self.table}, line {number}: expected an object, found {type(row).__name__}")
            if not row.keys() <= self.columns:
                unknown = ", ".join(sorted(row.keys() - self.columns))
                raise InputError(f"{self.table}, line {number}: the table has no column {unknown}")
            if not _NESTED.isdisjoint(map(type, row.values())):
                name = next(name for name, value in row.items() if type(value) in _NESTED)
                raise InputError(f"{self.table}, line {number}: {name} is an object or a list; write a plain value")
            for name in self.whole:
                if type(row.get(name)) is float:
                    raise InputError(f"{self.table}, line {number}: {name} is INT64, found {row[name]}")


def would_empty(
    partition: Partition, fence: int, rows: int, highest: int, empty: Callable[[Partition, int], int]
) -> WouldEmpty:
    """Make the refusal of a write that would leave nothing where rows stand.

    fence: that of the write. highest: the highest fence of the rows. empty: the warehouse's ``empty_partition``.
    """
    held = f"{rows} row{'' if rows == 1 else 's'}{'' if highest > 0 else f', {NOBODYS}'}"
    refusal = WouldEmpty(
        f"{partition.table} of {partition.day} holds {held}, {YIELDS_NOTHING}",
        partition,
        fence,
        rows,
        highest > 0,
    )
    refusal.empty = lambda: empty(partition, fence)
    return refusal


def rows_written(replaced: Replaced) -> int:
    """Return the rows of the one date that was written. Raises the error for which it was not."""
    if isinstance(replaced, PhasegateError):
        raise replaced
    return replaced


def check_day(partition: Partition, rows: Sequence[Row]) -> None:
    """Raises InputError when a row belongs to another date than the partition's."""
    day = partition.day.isoformat()
    for number, row in enumerate(rows, 1):
        found = row.get(partition.date_column)
        if found != day:
            raise InputError(f"{partition.table}, line {number}: {partition.date_column} is {found}, not {day}")


def first_of_each(rows: Sequence[Row], keys: Sequence[str]) -> list[Row]:
    """Return the rows without those whose keys an earlier one has."""
    first = {tuple(map(row.get, keys)): row for row in reversed(rows)}
    return list(reversed(first.values()))


def json_lines(rows: Sequence[Row]) -> bytes:
    """Write rows as JSON lines, dates and moments as text. Raises InputError for a value that a table cannot hold."""
    return b"".join([_line({n: v if type(v) in _PLAIN else _plain(v) for n, v in row.items()}) for row in rows])


def utc_without_zone(moment: str | datetime) -> str:
    """Return a point in time as TIMESTAMP text in UTC; one without a zone is UTC. Raises InputError for other text."""
    try:
        when = moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)
    except (ValueError, TypeError) as error:
        raise InputError(f"'{moment}' is not a timestamp: write 2024-01-15T20:30:00Z") from error
    if when.tzinfo is not None and when.tzinfo is not UTC:
        when = when.astimezone(UTC)
    return when.isoformat(sep=" ").removesuffix("+00:00")


_PLAIN = {str, int, float, bool, NoneType, date}
"""Types that are written as a table takes them, without further ado."""


def _line(row: Row) -> bytes:
    try:
        return to_json(row, inf_nan_mode="constants") + b"\n"
    except PydanticSerializationError as error:
        raise InputError(f"a row has text that cannot be written to a table: {error}") from error


def _plain(value: object) -> object:
    """What is written of a value of another type than ``_PLAIN``."""
    if isinstance(value, datetime):
        return utc_without_zone(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str | int | float):
        return value
    raise InputError(f"a value of type {type(value).__name__} cannot be written to a table: {value!r}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
