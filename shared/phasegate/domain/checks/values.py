"""The checks ``nulls`` and ``range`` judge one column's values."""

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from typing import Any

from phasegate.domain.checks.question import Answer, Question, on_days, question, quoted, value_name
from phasegate.domain.checks.subject import NOTHING, CheckSubject, Finding
from phasegate.domain.spec.checks import NullsCheck, RangeCheck


def ask_nulls(check: NullsCheck, subject: CheckSubject) -> Question:
    """Ask for the rows by date, and those without a value."""
    column, table = subject.output.date_column, subject.output.table
    return question(
        f"SELECT {quoted(column)} AS d, COUNT(*) AS n, COUNTIF({quoted(check.column)} IS NULL) AS bad "
        f"FROM `{table}` WHERE {on_days(column)} GROUP BY 1",
        subject.days,
        "nulls",
    )


def judge_nulls(check: NullsCheck, subject: CheckSubject, answer: Answer) -> dict[date, Finding]:
    """Compare rows without a value with the allowed share. expected: the rows that should have one; found: those that
    do."""
    findings = dict.fromkeys(subject.days, NOTHING)
    for row in answer:
        n, bad = row["n"], row["bad"]
        detail = f"{check.column}: {bad} of {n} rows are NULL ({bad / n:.1%})"
        findings[row["d"]] = Finding(_is_allowed(bad, n, check.at_most), n, n - bad, detail)
    return findings


def ask_range(check: RangeCheck, subject: CheckSubject) -> Question:
    """Ask for the values by date, those outside, those that are NaN, and the lowest and highest of the others.

    NaN is outside of every range, and the statement says so: by itself it is above every number in DuckDB, and
    compares with none in BigQuery.
    """
    column, table, of = subject.output.date_column, subject.output.table, quoted(check.column)
    bounds = [(sign, bound) for sign, bound in ((">=", check.min), ("<=", check.max)) if bound is not None]
    inside = " AND ".join(f"{of} {sign} @{value_name(bound)}" for sign, bound in bounds)
    is_nan = f"IS_NAN(CAST({of} AS FLOAT64))"
    number = f"CAST(IF({is_nan}, NULL, {of}) AS FLOAT64)"
    return question(
        f"SELECT {quoted(column)} AS d, COUNT({of}) AS n, COUNTIF({is_nan} OR NOT ({inside})) AS bad, "
        f"COUNTIF({is_nan}) AS nan, MIN({number}) AS lowest, MAX({number}) AS highest "
        f"FROM `{table}` WHERE {on_days(column)} GROUP BY 1",
        subject.days,
        "range",
        {value_name(bound): bound for _, bound in bounds},
    )


def judge_range(check: RangeCheck, subject: CheckSubject, answer: Answer) -> dict[date, Finding]:
    """Compare values outside the range with the allowed share. expected: the values; found: those inside. Rows without
    any value have none outside."""
    findings = dict.fromkeys(subject.days, NOTHING)
    for row in answer:
        n, bad = row["n"], row["bad"]
        seen = f" ({_seen(row)})" if bad else ""
        detail = f"{check.column}: {bad} of {n} values are outside {check.bounds}{seen}"
        findings[row["d"]] = Finding(_is_allowed(bad, n, check.at_most), n, n - bad, detail)
    return findings


def _seen(row: Mapping[str, Any]) -> str:
    """The lowest and highest number, and how many values are none. Zero has no sign: it equals the one with it."""
    said = [f"{row['lowest'] + 0.0:g} to {row['highest'] + 0.0:g}"] if row["lowest"] is not None else []
    return ", ".join([*said, f"{row['nan']} NaN"] if row["nan"] else said)


def _is_allowed(bad: int, n: int, share: float) -> bool:
    return bad == 0 or bad <= Fraction(str(share)) * n
