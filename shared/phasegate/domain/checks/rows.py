"""The check ``rows`` demands as many rows as the date's schedule does."""

from datetime import date

from phasegate.domain.checks.question import Answer
from phasegate.domain.checks.subject import CheckSubject, Finding
from phasegate.domain.spec.arithmetic import evaluate
from phasegate.domain.spec.checks import RowsCheck


def ask(_check: RowsCheck, _subject: CheckSubject) -> None:
    """Ask nothing: the proof has counted already."""


def judge(check: RowsCheck, subject: CheckSubject, _answer: Answer) -> dict[date, Finding]:
    """Compare the counted rows with the calendar's numbers."""
    findings: dict[date, Finding] = {}
    for day in subject.days:
        expected = evaluate(check.expression, subject.calendar.by_day[day].numbers)
        found = subject.counts[day].rows if day in subject.counts else 0
        is_right = found == expected if check.exactly is not None else found >= expected
        least = "" if check.exactly is not None else "at least "
        findings[day] = Finding(is_right, expected, found, f"{found} of {least}{expected} rows")
    return findings
