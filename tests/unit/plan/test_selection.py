"""Which dates a person asked for, and what is refused."""

from datetime import date
from typing import Any

import pytest

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from tests.unit.builders import calendar

FIRST = [date(2024, 1, d) for d in (1, 2, 4, 8)]
SECOND = [date(2024, 10, d) for d in (20, 21)]
BOTH = calendar(FIRST, SECOND)
OFF_DAY = date(2024, 1, 3)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"seasons": ("S1",)}, FIRST),
        ({"seasons": ("S2", "S1")}, FIRST + SECOND),
        ({"first": FIRST[1], "last": FIRST[3]}, FIRST[1:]),
        ({"first": OFF_DAY, "last": date(2024, 1, 5)}, [FIRST[2]]),
        ({"dates": (FIRST[3], FIRST[0])}, [FIRST[0], FIRST[3]]),
        ({"dates": (FIRST[0], FIRST[0])}, [FIRST[0]]),
        ({"seasons": ("S1",), "exclude": (FIRST[0], FIRST[2])}, [FIRST[1], FIRST[3]]),
    ],
    ids=["a season", "two seasons", "a range", "a range with off days", "dates", "a date twice", "less the excluded"],
)
def test_the_selected_game_dates_come_in_order(asked: dict[str, Any], expected: list[date]) -> None:
    assert Selection(**asked).resolve(BOTH) == tuple(expected)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "say which dates: --season S"),
        ({"exclude": (FIRST[0],)}, "say which dates"),
        ({"seasons": ("S1",), "dates": (FIRST[0],)}, "exactly one of these"),
        ({"seasons": ("S1",), "first": FIRST[0], "last": FIRST[1]}, "exactly one of these"),
        ({"dates": (FIRST[0],), "last": FIRST[1]}, "exactly one of these"),
        ({"seasons": ("S3",)}, "unknown season 'S3'"),
        ({"first": FIRST[0]}, "--from and --to belong together; give both"),
        ({"last": FIRST[0]}, "--from and --to belong together; give both"),
        ({"first": FIRST[1], "last": FIRST[0]}, "--from 2024-01-02 is after --to 2024-01-01"),
        ({"dates": (OFF_DAY,)}, "--dates: 2024-01-03 is not a date of the schedule; the nearest is"),
        ({"seasons": ("S1",), "exclude": (OFF_DAY,)}, "--exclude: 2024-01-03 is not a date of the schedule"),
        ({"first": OFF_DAY, "last": OFF_DAY}, "no dates selected (2024-01-03 to 2024-01-03); the schedule runs"),
        ({"first": OFF_DAY, "last": OFF_DAY}, "; name a range that reaches 2024-01-02 or 2024-01-04"),
        ({"first": date(2023, 1, 1), "last": date(2023, 1, 9)}, "; name a range that reaches 2024-01-01"),
        ({"dates": (FIRST[0],), "exclude": (FIRST[0],)}, "no dates selected"),
    ],
    ids=[
        "nothing",
        "only exclusions",
        "a season and dates",
        "a season and a range",
        "dates and half a range",
        "an unknown season",
        "a range without its end",
        "a range without its start",
        "a range that ends before it begins",
        "a date without a game",
        "an excluded date without a game",
        "a range of off days",
        "a range between two dates",
        "a range before all dates",
        "everything excluded",
    ],
)
def test_a_bad_selection_is_refused_with_its_reason(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        Selection(**asked).resolve(BOTH)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "asked", [{"dates": (OFF_DAY,)}, {"first": OFF_DAY, "last": OFF_DAY}, {"seasons": ("S1",)}], ids=str
)
def test_an_empty_schedule_selects_nothing_and_says_so(asked: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Selection(**asked).resolve(Calendar(()))
