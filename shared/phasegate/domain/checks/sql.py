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
    """Every row of a date must be ``ok``; NULL is not, and neither is silence.

    Of several rows, which come in any order, that is told which is wrong, and of those the first by its text.
    """
    findings_by_day: dict[date, list[Finding]] = {day: [] for day in subject.days}
    for row in answer:
        day = row.get(subject.output.date_column)
        if isinstance(day, date) and day in findings_by_day:
            detail = row.get("detail")
            said = "no detail given" if detail is None or detail == "" else str(detail)
            expected, found = _whole(row.get("expected")), _whole(row.get("found"))
            findings_by_day[day].append(Finding(row.get("ok") is True, expected, found, said))
    silence = Finding(False, 0, 0, "the query said nothing about this date")
    return {day: min(findings, key=_place, default=silence) for day, findings in findings_by_day.items()}


def _place(finding: Finding) -> tuple[bool, str, int, int]:
    return finding.is_right, finding.detail, finding.expected, finding.found


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0
