"""What fails by a value of one date is done again by halves, and the other dates are none the wiser."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import pytest

from phasegate.domain.errors import EvaluationError, TransientError
from phasegate.domain.halves import by_halves

DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(20)]


class Writer:
    """Writes dates together, unless one of them is bad."""

    def __init__(self, *bad: date) -> None:
        self.bad, self.asked = set(bad), list[Sequence[date]]()

    def __call__(self, days: Sequence[date]) -> Mapping[date, str]:
        self.asked.append(days)
        if found := sorted(self.bad.intersection(days)):
            raise EvaluationError(f"bad value on {found[0]}")
        return {day: f"written {day}" for day in days}


def test_what_does_not_fail_is_done_once() -> None:
    write = Writer()
    assert by_halves(DAYS, write) == {day: f"written {day}" for day in DAYS}
    assert write.asked == [DAYS]


@pytest.mark.parametrize("bad", [[DAYS[0]], [DAYS[13]], [DAYS[19]], [DAYS[3], DAYS[4], DAYS[17]], DAYS])
def test_a_date_that_fails_alone_has_its_error_and_costs_two_for_each_halving(bad: list[date]) -> None:
    write = Writer(*bad)
    found = by_halves(DAYS, write)
    assert list(found) == DAYS
    assert {day: str(outcome) for day, outcome in found.items()} == {
        day: f"bad value on {day}" if day in bad else f"written {day}" for day in DAYS
    }
    assert len(write.asked) <= min(1 + 2 * 5 * len(bad), 2 * len(DAYS) - 1)


def test_an_error_of_another_kind_is_nobodys_date() -> None:
    def write(days: Sequence[date]) -> Mapping[date, str]:
        raise TransientError("the warehouse is busy")

    with pytest.raises(TransientError, match="busy"):
        by_halves(DAYS, write)
