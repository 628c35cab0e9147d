"""The calendar of expected work says for every (processor, date) whether its output should hold something, and how
much."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from math import ceil

from phasegate.domain.calendar.dates import Calendar, LeftOutDate
from phasegate.domain.calendar.expectation import ExpectationLetter, expectation
from phasegate.domain.spec.arithmetic import evaluate
from phasegate.domain.spec.checks import Check, EntitiesCheck, RowsCheck
from phasegate.domain.spec.pipeline import ObjectOutput, Pipeline, Processor


class WorkKind(StrEnum):
    """The kind of work says what is expected of a processor on a date."""

    EXPECTED = "expected"
    EMPTY_OK = "empty_ok"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount says how much an output should hold for a date."""

    what: str
    """What is counted: ``rows``, ``objects``, or distinct values of the key column of this name."""

    count: int
    """How many of them there should be."""

    is_exact: bool
    """Whether neither more nor fewer are right; False: at least so many are."""

    def __str__(self) -> str:
        unit = self.what if self.what in ("rows", "objects") else f"values of {self.what}"
        return (
            f"{'' if self.is_exact else 'at least '}{self.count} {unit.removesuffix('s') if self.count == 1 else unit}"
        )


@dataclass(frozen=True, slots=True)
class Expectation:
    """An expectation says what one processor should leave behind on one date."""

    day: date
    """The date that is worked on."""

    phase: str
    """The name of the processor's phase."""

    processor: str
    """The canonical name of the processor."""

    kind: WorkKind
    """Whether there is work, and whether its output may be empty."""

    amounts: tuple[Amount, ...] = ()
    """How much an EXPECTED output should hold, as far as the calendar knows; empty for the other kinds."""

    reason: str = ""
    """Why emptiness is right, or why there is no work; empty when EXPECTED."""

    may_hold_rows: bool = True
    """Whether the output may hold anything; False: rows would be wrong."""


def expected_work(
    pipeline: Pipeline,
    calendar: Calendar,
    phases: Sequence[str],
    days: Iterable[date],
    left_out: Iterable[LeftOutDate] = (),
) -> Iterator[Expectation]:
    """Say what is expected of every processor of the phases, date by date; dates in order.

    days: dates of the calendar. left_out: dates on which the schedule has rows and none counts.
    """
    without_work = {found.day: f"{pipeline.calendar.left_out} ({_rows(found.rows)} left out)" for found in left_out}
    for day in sorted({*days, *without_work}):
        for phase in phases:
            for processor in pipeline.phase(phase).processors:
                if day in without_work:
                    reason = without_work[day]
                    yield Expectation(day, phase, processor.name, WorkKind.NOT_APPLICABLE, (), reason, False)
                else:
                    yield _expected_of(pipeline, calendar, phase, processor, day)


def _expected_of(pipeline: Pipeline, calendar: Calendar, phase: str, processor: Processor, day: date) -> Expectation:
    letter, reason = expectation(pipeline, calendar, phase, processor, day)
    if letter == ExpectationLetter.EXPECTED:
        amounts = tuple(_amounts(processor, pipeline.phase(phase).checks_of(processor), calendar, day))
        return Expectation(day, phase, processor.name, WorkKind.EXPECTED, amounts)
    return Expectation(day, phase, processor.name, WorkKind.EMPTY_OK, (), reason, letter != ExpectationLetter.EMPTY)


def _amounts(processor: Processor, checks: Iterable[Check], calendar: Calendar, day: date) -> Iterator[Amount]:
    """What the calendar alone can say: an expectation of other tables' keys has no number before they are made."""
    if isinstance(processor.output, ObjectOutput):
        yield Amount("objects", 1, True)
    known = calendar.by_day[day]
    for check in checks:
        if isinstance(check, RowsCheck):
            yield Amount("rows", evaluate(check.expression, known.numbers), check.exactly is not None)
        elif isinstance(check, EntitiesCheck) and check.calendar is not None:
            keys = len(known.entities.get(check.calendar, ()))
            yield Amount(check.key, ceil(Fraction(str(check.at_least)) * keys), False)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
