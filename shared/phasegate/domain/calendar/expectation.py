"""The calendar says what the output of a processor should hold on a date."""

from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

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


class RowsDue(NamedTuple):
    """The rows that are due are so many as a table should hold for a date."""

    at_least: int
    """The fewest that are right."""
    at_most: int | None
    """The most that are right; None: nothing says so."""


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


def rows_due(pipeline: Pipeline, calendar: Calendar, phase: str, processor: Processor, day: date) -> RowsDue:
    """Say how many rows the table of a phase's processor should hold on a date: what its row checks demand there."""
    letter, _ = expectation(pipeline, calendar, phase, processor, day)
    if letter == ExpectationLetter.EMPTY:
        return RowsDue(0, 0)
    demands = pipeline.demands.get((phase, processor.name), ())
    demanded = _demanded(demands, tuple(calendar.by_day[day].numbers.items())) if demands else ()
    least = max((0, *(rows for _, rows in demanded)))
    most = min((max(rows, 0) for demand, rows in demanded if demand.is_exact), default=None)
    return RowsDue(max(least, 1) if letter == ExpectationLetter.EXPECTED else least, most)


def contradiction(pipeline: Pipeline, calendar: Calendar, phase: str, processor: Processor, day: date) -> str:
    """Say why no number of rows can be right for a date by the row checks of a phase's processor; empty: one can."""
    demands = pipeline.demands.get((phase, processor.name), ())
    demanded = _demanded(demands, tuple(calendar.by_day[day].numbers.items())) if demands else ()
    exact = [(demand.expression, rows) for demand, rows in demanded if demand.is_exact]
    for expression, rows in exact:
        if rows < 0:
            return f"'exactly: {expression}' is {rows}"
        for demand, others in demanded:
            if others > rows or (demand.is_exact and others != rows):
                word = "exactly" if demand.is_exact else "at_least"
                return f"'exactly: {expression}' is {rows}, and '{word}: {demand.expression}' is {others}"
    return ""


@lru_cache(maxsize=8192)
def _demanded(demands: tuple[Demand, ...], numbers: tuple[tuple[str, int], ...]) -> tuple[tuple[Demand, int], ...]:
    """Each demand with its rows on a date with these numbers.

    Kept, because the same is asked of a thousand dates, which have few different numbers.
    """
    return tuple((demand, evaluate(demand.expression, dict(numbers))) for demand in demands)


@lru_cache(maxsize=8192)
def _by_numbers(
    demands: tuple[Demand, ...], may_be_empty: str | None, numbers: tuple[tuple[str, int], ...]
) -> tuple[ExpectationLetter, str] | None:
    """What the numbers of rows say that are demanded of a date with these numbers; None: nothing."""
    demanded = _demanded(demands, numbers)
    for demand, rows in demanded:
        if demand.is_exact and rows == 0:
            return ExpectationLetter.EMPTY, f"{demand.expression} is 0: no rows are due"
    if any(rows > 0 for _, rows in demanded):
        return _ROWS
    for demand, rows in demanded:
        if not demand.is_exact:
            return ExpectationLetter.OPTIONAL, may_be_empty or f"{demand.expression} is {rows}: no rows need be there"
    return None
