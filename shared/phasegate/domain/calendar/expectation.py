"""What the output of a processor should hold on a date."""

from datetime import date

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.spec.pipeline import Pipeline, Processor

EXPECTED, OPTIONAL, EMPTY = "e", "o", "z"
"""What a task's table should hold for a date: rows; rows or nothing; nothing."""


def expectation(pipeline: Pipeline, calendar: Calendar, processor: Processor, day: date) -> tuple[str, str]:
    """(letter, reason) for what a processor's output should hold on a date."""
    if processor.available_from and day < processor.available_from:
        return EMPTY, f"the source begins on {processor.available_from}"
    if processor.bootstrap and calendar.days_since_start(day) < pipeline.calendar.bootstrap_days:
        return EMPTY, f"bootstrap: the first {pipeline.calendar.bootstrap_days} days of a season"
    if processor.source_dates in calendar.by_day[day].not_held_by:
        return EMPTY, pipeline.calendar.sources[str(processor.source_dates)].otherwise
    if processor.may_be_empty:
        return OPTIONAL, processor.may_be_empty
    return EXPECTED, ""
