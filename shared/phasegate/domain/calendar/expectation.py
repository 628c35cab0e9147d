"""The calendar says what the output of a processor should hold on a date."""

from datetime import date
from enum import StrEnum

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.spec.arithmetic import evaluate
from phasegate.domain.spec.pipeline import Pipeline, Processor


class ExpectationLetter(StrEnum):
    """A letter says what the output of a processor should hold for a date."""

    EXPECTED = "e"
    """Rows."""
    OPTIONAL = "o"
    """Rows or nothing."""
    EMPTY = "z"
    """Nothing."""


_ROWS = (ExpectationLetter.EXPECTED, "")


def expectation(
    pipeline: Pipeline, calendar: Calendar, phase: str, processor: Processor, day: date
) -> tuple[ExpectationLetter, str]:
    """Say what the output of a phase's processor should hold on a date, and why if that is not simply rows."""
    if processor.available_from and day < processor.available_from:
        return ExpectationLetter.EMPTY, f"the source begins on {processor.available_from}"
    if processor.bootstrap and calendar.days_since_start(day) < pipeline.calendar.bootstrap_days:
        return ExpectationLetter.EMPTY, f"bootstrap: the first {pipeline.calendar.bootstrap_days} days of a season"
    if processor.source_dates in calendar.by_day[day].not_held_by:
        return ExpectationLetter.EMPTY, pipeline.calendar.sources[str(processor.source_dates)].otherwise
    if calendar.by_numbers and (said := _by_numbers(pipeline, calendar, phase, processor, day)) is not None:
        return said
    if processor.may_be_empty:
        return ExpectationLetter.OPTIONAL, processor.may_be_empty
    return _ROWS


def _by_numbers(
    pipeline: Pipeline, calendar: Calendar, phase: str, processor: Processor, day: date
) -> tuple[ExpectationLetter, str] | None:
    """What the numbers of rows say that its checks demand of a date; None: nothing."""
    checks = pipeline.demands.get((phase, processor.name), ())
    numbers = calendar.by_day[day].numbers
    demanded = [(check, evaluate(check.expression, numbers)) for check in checks]
    for check, rows in demanded:
        if check.exactly is not None and rows == 0:
            return ExpectationLetter.EMPTY, f"{check.exactly} is 0: no rows are due"
    if any(rows > 0 for _, rows in demanded):
        return _ROWS
    for check, _ in demanded:
        if check.at_least is not None:
            return ExpectationLetter.OPTIONAL, processor.may_be_empty or f"{check.at_least} is 0: no rows need be there"
    return None
