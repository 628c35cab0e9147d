"""A fingerprint tells the content of a partition: the same rows, in whatever order, have the same one.

It is asked of one warehouse and compared within it: each writes numbers and moments as text in its own way.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from phasegate.domain.checks.question import Question, on_days, question, quoted
from phasegate.domain.spec.pipeline import TableOutput

NOTHING = ""
"""The fingerprint of a date without rows."""

DIGITS = 12
"""Significant digits of a FLOAT64 that count: a sum in another order differs in the last ones."""

_FLOATS = frozenset({"FLOAT64", "FLOAT", "DOUBLE", "REAL"})
"""The types of fractions that are rounded, as warehouses call them."""

_WORDS = 4
"""Words of 32 bits that a row's MD5 is cut into. Each is summed by itself, so that equal rows count as often as they
are there; an INT64 holds the sum of two thousand million."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a partition, and under which fences it was written."""

    fingerprint: str
    """32 hex digits."""

    lowest_fence: int | None
    """The lowest fence among the rows; None: some row keeps none."""

    highest_fence: int | None
    """The highest fence among the rows; None: some row keeps none."""


def ask_content(output: TableOutput, columns: Mapping[str, str], days: Iterable[date]) -> Question:
    """Ask for the content of one table by date: ``d``, ``n``, ``word0`` to ``word3``, ``fenced``, ``lowest``,
    ``highest``.

    columns: the SQL types of the table's columns, by name. All of them count but the column of the date, which is the
    same in every row, the column of the fence, and what the output names as ``bookkeeping``. Their order in the table
    does not count, nor the case in which they are named. A row is hashed as JSON, where NULL is no text and no text
    runs into the next; a FLOAT64 is written with ``DIGITS`` digits before, -0.0 as 0.0. Fractions inside arrays and
    structs are not rounded.
    """
    day, fence = output.date_column, output.fence_column
    left_out = {name.casefold() for name in (day, *([fence] if fence else []), *output.bookkeeping)}
    counted = sorted(name for name in columns if name.casefold() not in left_out)
    values = ", ".join(f"{_value(name, columns[name])} AS c{n}" for n, name in enumerate(counted))
    row = f"TO_HEX(MD5(TO_JSON_STRING(STRUCT({values or '1 AS c0'}))))"
    words = ", ".join(
        f"SUM(CAST(CONCAT('0x', SUBSTR(f.h, {1 + 8 * n}, 8)) AS INT64)) AS word{n}" for n in range(_WORDS)
    )
    kept = quoted(fence) if fence else "CAST(NULL AS INT64)"
    return question(
        f"SELECT f.d AS d, COUNT(*) AS n, {words}, COUNT(f.fence) AS fenced, MIN(f.fence) AS lowest, "
        f"MAX(f.fence) AS highest FROM (SELECT {quoted(day)} AS d, {kept} AS fence, {row} AS h "
        f"FROM `{output.table}` WHERE {on_days(day)}) AS f GROUP BY f.d",
        days,
        "content",
    )


def content_of(row: Mapping[str, Any]) -> Content:
    """Read the content of one date from a row of the answer."""
    rows = int(row["n"])
    words = " ".join(str(int(row[f"word{n}"])) for n in range(_WORDS))
    is_fenced = int(row["fenced"]) == rows
    return Content(
        hashlib.sha256(f"{rows} {words}".encode()).hexdigest()[:32],
        row["lowest"] if is_fenced else None,
        row["highest"] if is_fenced else None,
    )


def _value(column: str, kind: str) -> str:
    name = quoted(column)
    if kind.upper() not in _FLOATS:
        return name
    # What is no number has a sign of its own, which depends on how it was calculated.
    return f"IF(IS_NAN({name}), 'nan', FORMAT('%.{DIGITS - 1}e', {name} + 0.0))"
