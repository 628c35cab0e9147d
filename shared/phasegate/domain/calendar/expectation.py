"""The calendar says what the output of a processor should hold on a date."""

from datetime import date
from enum import StrEnum

from phasegate.domain.calendar.dates import Calendar
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
    pipeline: Pipeline, calendar: Calendar, processor: Processor, day: date
) -> tuple[ExpectationLetter, str]:
    """Say what a processor's output should hold on a date, and why if that is not simply rows."""
    if processor.available_from and day < processor.available_from:
        return ExpectationLetter.EMPTY, f"the source begins on {processor.available_from}"
    if processor.bootstrap and calendar.days_since_start(day) < pipeline.calendar.bootstrap_days:
        return ExpectationLetter.EMPTY, f"bootstrap: the first {pipeline.calendar.bootstrap_days} days of a season"
    if processor.source_dates in calendar.by_day[day].not_held_by:
        return ExpectationLetter.EMPTY, pipeline.calendar.sources[str(processor.source_dates)].otherwise
    if processor.may_be_empty:
        return ExpectationLetter.OPTIONAL, processor.may_be_empty
    return _ROWS
