"""What is right to say of a date, worked out from the rows in Python by what BigQuery documents: no SQL, no engine."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from phasegate.domain.spec.checks import (
    Check,
    CoverageCheck,
    DuplicatesCheck,
    EntitiesCheck,
    NullsCheck,
    RangeCheck,
    SqlCheck,
)
from phasegate.domain.state.facts import BLOCK, PASS, UNKNOWN, WARN

A, LEFT = "same_verdicts.a", "same_verdicts.left_side"
"""The table whose keys are to be covered, and the one that is checked."""

KINDS = {"n": "INT64", "x": "FLOAT64", "s": "STRING", "y": "DATE", "b": "BOOL", "m": "NUMERIC", "t": "TIMESTAMP"}
KINDS |= {"w": "FLOAT64"}
"""The columns of ``LEFT``. Those of ``A`` are the same, but for ``w``, which is INT64 there."""

OUTPUT_KEYS = ["n", "s"]

UNASKED, UNANSWERED = "the check cannot be asked", "the check cannot be answered for this date"
"""How a verdict without an answer begins; what follows are the engine's words."""

Row = Mapping[str, Any]

Said = tuple[str, int, int, str, tuple[str, ...]]
"""Of a verdict: outcome, expected, found, detail, and the keys."""


@dataclass(frozen=True)
class Case:
    """Two tables hold rows, and checks are asked of the second."""

    a: list[tuple[date, Row]]
    """The rows of ``A``, each with its date."""

    left: list[tuple[date, Row]]
    """The rows of ``LEFT``."""

    checks: list[Check]
    """Each has a name of its own."""

    listed: dict[date, tuple[str, ...]]
    """The keys that the calendar lists, by date."""

    may_be_empty: frozenset[str]
    """Those of the two tables that may be."""


def right_verdict(check: Check, case: Case, day: date) -> Said | None:
    """What is right to say of a date; None where checks do not apply."""
    rows = [row for d, row in case.left if d == day]
    if not rows and LEFT in case.may_be_empty:
        return None
    wrong = WARN if check.severity == "warn" else BLOCK
    try:
        is_right, expected, found, detail, keys = _FINDINGS[type(check)](check, case, day, rows)
    except TypeError:
        return wrong, 0, 0, UNASKED, ()
    except ArithmeticError:
        return WARN if wrong == WARN else UNKNOWN, 0, 0, UNANSWERED, ()
    return PASS if is_right else wrong, expected, found, detail, tuple(keys[:20])


Finding = tuple[bool, int, int, str, Sequence[str]]
NO_ROWS: Finding = (False, 0, 0, "no rows to look at", ())


def _nulls(check: NullsCheck, _case: Case, _day: date, rows: list[Row]) -> Finding:
    n, found = len(rows), len(of(rows, check.column))
    if not rows:
        return NO_ROWS
    detail = f"{check.column}: {n - found} of {n} rows are NULL ({(n - found) / n:.1%})"
    return n - found <= Fraction(str(check.at_most)) * n, n, found, detail, ()


def _range(check: RangeCheck, _case: Case, _day: date, rows: list[Row]) -> Finding:
    if KINDS[check.column] not in ("INT64", "FLOAT64", "NUMERIC"):
        raise TypeError(check.column)
    if not rows:
        return NO_ROWS
    values = [float(value) for value in of(rows, check.column)]
    numbers = [value + 0.0 for value in values if not math.isnan(value)]
    low, high = -math.inf if check.min is None else check.min, math.inf if check.max is None else check.max
    n, found = len(values), sum(low <= value <= high for value in values)
    detail = f"{check.column}: {n - found} of {n} values are outside {check.bounds}"
    if found < n:
        seen = [f"{min(numbers):g} to {max(numbers):g}"] if numbers else []
        seen += [f"{n - len(numbers)} NaN"] if len(numbers) < n else []
        detail += f" ({', '.join(seen)})"
    return n - found <= Fraction(str(check.at_most)) * n, n, found, detail, ()


def _duplicates(check: DuplicatesCheck, _case: Case, _day: date, rows: list[Row]) -> Finding:
    keys = [key_of(row, check.keys or OUTPUT_KEYS) for row in rows]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    named = first_of([f"{key} {keys.count(key)} times" for key in twice])
    detail = f"{len(twice)} key(s) more than once ({named})" if twice else "no key twice"
    return not twice, 0, len(twice), detail, twice


def _coverage(check: CoverageCheck, case: Case, day: date, rows: list[Row]) -> Finding:
    due = {key_of(row, check.keys) for d, row in case.a if d == day}
    if not due:
        return A in case.may_be_empty, 0, 0, f"{A} holds no rows: there are no keys to compare with", ()
    return _missing(check, f"keys of {A}", due, {key_of(row, check.keys) for row in rows})


def _entities(check: EntitiesCheck, case: Case, day: date, rows: list[Row]) -> Finding:
    if check.calendar is not None:
        held = {written(value, check.key) for value in of(rows, check.key)}
        return _missing(check, check.calendar, set(case.listed[day]), held)
    due = {key_of(row, [check.key]) for d, row in case.a if d == day}
    if not due:
        return True, 0, 0, f"{A} holds no rows: there are no keys to compare with", ()
    return _missing(check, check.key, due, {key_of(row, [check.key]) for row in rows})


def _missing(check: CoverageCheck | EntitiesCheck, what: str, due: set[str], held: Iterable[str | None]) -> Finding:
    missing = sorted(due.difference(held))
    n, found = len(due), len(due) - len(missing)
    named = f" (missing: {first_of(missing)})" if missing else ""
    return found >= Fraction(str(check.at_least)) * n, n, found, f"{found} of {n} {what}{named}", missing


def _sql(check: SqlCheck, _case: Case, _day: date, rows: list[Row]) -> Finding:
    select, says = next((select, says) for select, says in SELECTS.items() if select in check.query)
    told = [says([row]) for row in rows] if select == OF_EACH_ROW else [says(rows)]
    if not rows:
        return False, 0, 0, "the query said nothing about this date", ()
    findings = [(ok is True, expected, found, str(detail or "no detail given")) for ok, expected, found, detail in told]
    return *min(findings, key=lambda finding: (finding[0], finding[3])), ()


_FINDINGS: dict[type, Callable[[Any, Case, date, list[Row]], Finding]] = {
    NullsCheck: _nulls,
    RangeCheck: _range,
    DuplicatesCheck: _duplicates,
    CoverageCheck: _coverage,
    EntitiesCheck: _entities,
    SqlCheck: _sql,
}


def of(rows: Iterable[Row], column: str) -> list[Any]:
    """The values of a column that are not NULL."""
    return [row[column] for row in rows if row[column] is not None]


def first_of(texts: Sequence[str]) -> str:
    """The first five, for a sentence."""
    return ", ".join(texts[:5]) + (", …" if len(texts) > 5 else "")


def written(value: Any, column: str) -> str | None:
    """What a value of a column is as STRING, by the page on conversion functions."""
    if value is None:
        return None
    if KINDS[column] == "FLOAT64":
        number = float(value) + 0.0
        shortest = f"{number:.15g}"
        return shortest if float(shortest) == number or math.isnan(number) else f"{number:.17g}"
    if isinstance(value, Decimal):
        return f"{value:.9f}".rstrip("0").rstrip(".") if value else "0"
    if isinstance(value, datetime):
        digits = "milliseconds" if value.microsecond % 1000 == 0 else "microseconds"
        return value.isoformat(" ", digits if value.microsecond else "seconds").removesuffix(":00")
    return str(value).lower() if isinstance(value, bool) else str(value)


def key_of(row: Row, columns: Sequence[str]) -> str:
    """A key as a verdict names it. Two keys are one where their values are equal, and NULL and NaN equal themselves."""
    parts = []
    for column in columns:
        text = written(row[column], column)
        if text is None:
            text = "NULL"
        elif text == "NULL" or text.startswith('"') or ("/" in text and len(columns) > 1):
            text = '"' + text.replace('"', '""') + '"'
        parts.append(text)
    return "/".join(parts)


def whole(number: int) -> int:
    """An INT64. Raises ArithmeticError beyond."""
    if not -(2**63) <= number < 2**63:
        raise OverflowError(number)
    return number


def whole_of(text: str) -> int:
    """The INT64 that a text is. Raises ArithmeticError for other text."""
    if not re.fullmatch(r"\s*[+-]?\d+\s*", text, re.ASCII):
        raise ArithmeticError(text)
    return whole(int(text))


def _refused(_rows: list[Row]) -> Any:
    raise TypeError


OF_EACH_ROW = "n > 0 AS ok, s AS detail"

SELECTS: dict[str, Callable[[list[Row]], tuple[Any, int, int, Any]]] = {
    "COUNTIF(s = '') = 0 AS ok, CONCAT(CAST(COUNT(DISTINCT s) AS STRING), ' texts') AS detail, "
    "COUNT(*) AS expected, COUNTIF(s <> '') AS found": lambda rows: (
        "" not in of(rows, "s"),
        len(rows),
        sum(text != "" for text in of(rows, "s")),
        f"{len(set(of(rows, 's')))} texts",
    ),
    "LOGICAL_AND(b) AS ok, CAST(MAX(y) AS STRING) AS detail": lambda rows: (
        all(of(rows, "b")) if of(rows, "b") else None,
        0,
        0,
        written(max(of(rows, "y"), default=None), "y"),
    ),
    "COUNT(n) > 1 AS ok, SUM(n) AS found": lambda rows: (
        len(of(rows, "n")) > 1,
        0,
        whole(sum(of(rows, "n"))),
        None,
    ),
    "SUM(CAST(s AS INT64)) >= 0 AS ok": lambda rows: (
        whole(sum(map(whole_of, of(rows, "s")))) >= 0 if of(rows, "s") else None,
        0,
        0,
        None,
    ),
    "MIN(1 / n) < 0 AS ok, CAST(MIN(n) AS STRING) AS detail": lambda rows: (
        min((1 / number for number in of(rows, "n")), default=0) < 0,
        0,
        0,
        written(min(of(rows, "n"), default=None), "n"),
    ),
    "MAX(m) >= 1 AS ok, MAX(m) AS detail": lambda rows: (
        max(of(rows, "m"), default=0) >= 1,
        0,
        0,
        str(Decimal(str(written(max(of(rows, "m")), "m")))) if of(rows, "m") else None,
    ),
    "COUNTIF(NOT (x > 0)) = 0 AS ok, CAST(COUNTIF(x = x) AS STRING) AS detail": lambda rows: (
        all(number > 0 for number in of(rows, "x")),
        0,
        0,
        str(sum(number == number for number in of(rows, "x"))),
    ),
    "MAX(t) > TIMESTAMP '2024-01-01' AS ok, CAST(SUM(LENGTH(s)) AS STRING) AS detail": lambda rows: (
        any(moment > datetime(2024, 1, 1, tzinfo=UTC) for moment in of(rows, "t")),
        0,
        0,
        str(sum(map(len, of(rows, "s")))) if of(rows, "s") else None,
    ),
    OF_EACH_ROW: lambda rows: (rows[0]["n"] is not None and rows[0]["n"] > 0, 0, 0, rows[0]["s"]),
    "COUNTIF(n = '1') = 0 AS ok": _refused,
    "COUNTIF(nothing = 1) = 0 AS ok": _refused,
}
"""What the check ``sql`` selects of the rows of each date, and what comes of them: ok, expected, found, detail."""
