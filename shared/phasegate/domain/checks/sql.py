"""The check ``sql`` is a SELECT of the pipeline file, which says by itself whether a date is right."""

from datetime import date
from typing import Any

from phasegate.domain.checks.question import Answer, DuckDbSql, Question, question
from phasegate.domain.checks.subject import CheckSubject, Finding
from phasegate.domain.spec.checks import SqlCheck


def ask(check: SqlCheck, subject: CheckSubject) -> Question:
    """Ask the query as it was written. Its columns are its own, so it is asked together with no other."""
    sql = DuckDbSql(check.query) if check.dialect == "duckdb" else check.query
    return question(sql, subject.days, f"sql {check.dialect} {check.query}")


def judge(_check: SqlCheck, subject: CheckSubject, answer: Answer) -> dict[date, Finding]:
    """Every row of a date must be ``ok``; NULL is not, and neither is silence."""
    findings: dict[date, Finding] = {}
    for row in answer:
        day = row.get(subject.output.date_column)
        there = findings.get(day) if isinstance(day, date) else None
        if isinstance(day, date) and day in subject.days and (there is None or there.is_right):
            expected, found = _whole(row.get("expected")), _whole(row.get("found"))
            said = str(row.get("detail") or "no detail given")
            findings[day] = Finding(row.get("ok") is True, expected, found, said)
    silence = Finding(False, 0, 0, "the query said nothing about this date")
    return {day: findings.get(day, silence) for day in subject.days}


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0
