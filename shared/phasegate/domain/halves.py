"""What is done for many dates at once, and fails by a value of one of them, is done by halves."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TypeVar

from phasegate.domain.errors import EvaluationError

Outcome = TypeVar("Outcome")


def by_halves(
    days: Sequence[date], write: Callable[[Sequence[date]], Mapping[date, Outcome]]
) -> dict[date, Outcome | EvaluationError]:
    """Return what ``write`` says of each date; a date that it fails for alone has the error.

    write: does something for some of the dates together, all or nothing. Where it raises EvaluationError it is called
    again for each half of these dates: at most twice for each halving and failing date.
    """
    try:
        return dict(write(days))
    except EvaluationError as error:
        if len(days) == 1:
            return {days[0]: error}
        half = len(days) // 2
        return by_halves(days[:half], write) | by_halves(days[half:], write)
