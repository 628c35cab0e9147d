"""The calendar says what the output of a processor should hold on a date."""

from datetime import date
from enum import StrEnum
from functools import lru_cache

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.spec.arithmetic import evaluate
from phasegate.domain.spec.pipeline import Demand, Pipeline, Processor


class ExpectationLetter(StrEnum):
    """A letter says what the output of a processor should hold for a date."""

    EXPECTED = "e"
    """Rows."""
    OPTIONAL = "o"
    """Rows or nothing."""
    EMPTY = "z"
    """Nothing."""


LOST = "the schedule does not have this date any more"
"""Why nothing is due on a date that the schedule had when the run was planned."""

_ROWS = (ExpectationLetter.EXPECTED, "")


def expectation(
    pipeline: Pipeline, calendar: Calendar, phase: str, processor: Processor, day: date
) -> tuple[ExpectationLetter, str]:
    """Say what the output of a phase's processor should hold on a date, and why if that is not simply rows."""
    if day in calendar.lost:
        return ExpectationLetter.EMPTY, LOST
    if processor.available_from and day < processor.available_from:
        return ExpectationLetter.EMPTY, f"the source begins on {processor.available_from}"
    if processor.bootstrap and calendar.days_since_start(day) < pipeline.calendar.bootstrap_days:
        return ExpectationLetter.EMPTY, f"bootstrap: the first {pipeline.calendar.bootstrap_days} days of a season"
    if processor.source_dates in calendar.by_day[day].not_held_by:
        return ExpectationLetter.EMPTY, pipeline.calendar.sources[str(processor.source_dates)].otherwise
    if calendar.by_numbers and (demands := pipeline.demands.get((phase, processor.name))):
        numbers = tuple(calendar.by_day[day].numbers.items())
        if (said := _by_numbers(demands, processor.may_be_empty, numbers)) is not None:
            return said
    if processor.may_be_empty:
        return ExpectationLetter.OPTIONAL, processor.may_be_empty
    return _ROWS


@lru_cache(maxsize=8192)
def _by_numbers(
    demands: tuple[Demand, ...], may_be_empty: str | None, numbers: tuple[tuple[str, int], ...]
) -> tuple[ExpectationLetter, str] | None:
    """What the numbers of rows say that are demanded of a date with these numbers; None: nothing.

    Kept, because a plan asks the same of a thousand dates, which have few different numbers.
    """
    demanded = [(demand, evaluate(demand.expression, dict(numbers))) for demand in demands]
    for demand, rows in demanded:
        if demand.is_exact and rows == 0:
            return ExpectationLetter.EMPTY, f"{demand.expression} is 0: no rows are due"
    if any(rows > 0 for _, rows in demanded):
        return _ROWS
    for demand, _ in demanded:
        if not demand.is_exact:
            return ExpectationLetter.OPTIONAL, may_be_empty or f"{demand.expression} is 0: no rows need be there"
    return None
