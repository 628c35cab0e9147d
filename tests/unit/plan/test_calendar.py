"""Game dates, seasons and windows."""

from datetime import date

import pytest

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.errors import InputError
from tests.unit.builders import calendar, game_date

FIRST = [date(2024, 1, d) for d in (1, 2, 4, 8)]
SECOND = [date(2024, 10, d) for d in (20, 21, 25)]


def test_dates_are_in_order_whatever_order_they_came_in() -> None:
    found = Calendar.of(game_date(day) for day in reversed(FIRST))
    assert [d.day for d in found.dates] == FIRST


def test_seasons_hold_their_own_days_in_order() -> None:
    assert calendar(FIRST, SECOND).seasons == {"S1": tuple(FIRST), "S2": tuple(SECOND)}


def test_an_unknown_season_is_an_error_that_names_a_near_one() -> None:
    with pytest.raises(InputError, match="unknown season '2023-25'; did you mean '2023-24'"):
        Calendar.of([game_date(FIRST[0])]).season("2023-25")


def test_a_window_of_dates_counts_game_dates_and_not_calendar_days() -> None:
    assert calendar(FIRST).window(FIRST[3], dates=2) == (FIRST[1], FIRST[2])


def test_a_window_of_days_counts_calendar_days() -> None:
    assert calendar(FIRST).window(FIRST[3], days=4) == (FIRST[2],)


def test_a_window_of_days_includes_the_day_that_lies_exactly_so_far_back() -> None:
    assert calendar(FIRST).window(FIRST[3], days=6) == (FIRST[1], FIRST[2])


def test_a_window_never_holds_its_own_date() -> None:
    assert FIRST[2] not in calendar(FIRST).window(FIRST[2], dates=10)


def test_a_window_is_shorter_at_the_start_of_a_season() -> None:
    assert calendar(FIRST).window(FIRST[1], dates=15) == (FIRST[0],)


def test_the_first_date_of_a_season_has_an_empty_window() -> None:
    assert calendar(FIRST).window(FIRST[0], dates=15) == ()


@pytest.mark.parametrize("size", [{"dates": 15}, {"days": 400}], ids=["dates", "days"])
def test_a_window_does_not_cross_into_the_season_before(size: dict[str, int]) -> None:
    assert calendar(FIRST, SECOND).window(SECOND[1], **size) == (SECOND[0],)


def test_days_since_the_start_are_calendar_days_of_the_dates_own_season() -> None:
    both = calendar(FIRST, SECOND)
    assert [both.days_since_start(day) for day in (*FIRST, *SECOND)] == [0, 1, 3, 7, 0, 1, 5]
