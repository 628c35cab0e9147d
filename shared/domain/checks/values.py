"""The checks of one column's values: ``nulls`` and ``range``."""

from datetime import date
from fractions import Fraction

from shared.domain.checks.question import Answer, Question, on_days, question, quoted, value_name
from shared.domain.checks.specs import NullsCheck, RangeCheck
from shared.domain.checks.subject import NOTHING, Finding, Subject


def ask_nulls(check: NullsCheck, subject: Subject) -> Question:
    """Rows by date, and those without a value."""
    column, table = subject.output.date_column, subject.output.table
    return question(
        f"SELECT {quoted(column)} AS d, COUNT(*) AS n, COUNTIF({quoted(check.column)} IS NULL) AS bad "
        f"FROM `{table}` WHERE {on_days(column)} GROUP BY 1",
        subject.days,
        "nulls",
    )


def judge_nulls(check: NullsCheck, subject: Subject, answer: Answer) -> dict[date, Finding]:
    """expected: the rows that should have a value; found: those that have one."""
    findings = dict.fromkeys(subject.days, NOTHING)
    for row in answer:
        n, bad = row["n"], row["bad"]
        detail = f"{check.column}: {bad} of {n} rows are NULL ({bad / n:.1%})"
        findings[row["d"]] = Finding(_is_allowed(bad, n, check.at_most), n, n - bad, detail)
    return findings


def ask_range(check: RangeCheck, subject: Subject) -> Question:
    """Values by date, those outside, and the lowest and highest."""
    column, table, of = subject.output.date_column, subject.output.table, quoted(check.column)
    bounds = [(sign, bound) for sign, bound in ((">=", check.min), ("<=", check.max)) if bound is not None]
    inside = " AND ".join(f"{of} {sign} @{value_name(bound)}" for sign, bound in bounds)
    return question(
        f"SELECT {quoted(column)} AS d, COUNT({of}) AS n, COUNTIF(NOT ({inside})) AS bad, "
        f"CAST(MIN({of}) AS FLOAT64) AS lowest, CAST(MAX({of}) AS FLOAT64) AS highest "
        f"FROM `{table}` WHERE {on_days(column)} GROUP BY 1",
        subject.days,
        "range",
        {value_name(bound): bound for _, bound in bounds},
    )


def judge_range(check: RangeCheck, subject: Subject, answer: Answer) -> dict[date, Finding]:
    """expected: the values; found: those inside. Rows without any value have none outside."""
    findings = dict.fromkeys(subject.days, NOTHING)
    for row in answer:
        n, bad = row["n"], row["bad"]
        seen = f" ({row['lowest']:g} to {row['highest']:g})" if bad else ""
        detail = f"{check.column}: {bad} of {n} values are outside {check.bounds}{seen}"
        findings[row["d"]] = Finding(_is_allowed(bad, n, check.at_most), n, n - bad, detail)
    return findings


def _is_allowed(bad: int, n: int, share: float) -> bool:
    return bad <= Fraction(str(share)) * n
