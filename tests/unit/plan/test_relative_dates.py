"""What relative dates mean on a day, and what is no relative date."""

from datetime import UTC, date, datetime

import pytest

from phasegate.domain.calendar.relative_dates import YESTERDAY, AskedRange, read_asked_day, read_past_days
from phasegate.domain.errors import InputError
from phasegate.domain.spec.pipeline import Pipeline
from tests.world import definition

TODAY, DAY_BEFORE = date(2024, 3, 1), date(2024, 2, 29)
PLAIN = date(2024, 1, 15)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        (AskedRange(past_days=1), DAY_BEFORE, DAY_BEFORE),
        (AskedRange(past_days=7), date(2024, 2, 23), DAY_BEFORE),
        (AskedRange(PLAIN, YESTERDAY), PLAIN, DAY_BEFORE),
        (AskedRange(YESTERDAY, YESTERDAY), DAY_BEFORE, DAY_BEFORE),
        (AskedRange(None, YESTERDAY), None, DAY_BEFORE),
        (AskedRange(PLAIN, TODAY), PLAIN, TODAY),
        (AskedRange(), None, None),
    ],
    ids=str,
)
def test_a_range_has_plain_ends_on_a_day(asked: AskedRange, first: date | None, last: date | None) -> None:
    assert asked.on(TODAY) == (first, last)
    assert (asked.on(date(2025, 1, 1)) != (first, last)) == asked.is_relative


@pytest.mark.parametrize(("text", "days"), [("1d", 1), ("7d", 7), ("2w", 14), ("9999w", 69_993)])
def test_days_and_weeks_are_read_as_days(text: str, days: int) -> None:
    assert read_past_days(text) == days


@pytest.mark.parametrize("text", ["7", "0d", "-3d", "7x", "", "d", "7 d", "7D", "07d", "1.5d", "10000d", "1d2w", "٧d"])
def test_what_is_no_number_of_days_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number of days or weeks; write 7d, or 2w"):
        read_past_days(text)


def test_an_end_is_a_plain_date_or_yesterday() -> None:
    assert (read_asked_day("2024-01-15"), read_asked_day("yesterday")) == (PLAIN, YESTERDAY)


@pytest.mark.parametrize("text", ["tomorrow", "today", "Yesterday", "7d", "20240115", "2024-02-30", ""])
def test_every_other_word_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not of the form YYYY-MM-DD, nor yesterday|day "):
        read_asked_day(text)


@pytest.mark.parametrize(
    "asked", [AskedRange(PLAIN, None, 7), AskedRange(None, PLAIN, 7), AskedRange(YESTERDAY, YESTERDAY, 7)], ids=str
)
def test_a_range_that_is_named_in_two_ways_is_refused(asked: AskedRange) -> None:
    with pytest.raises(InputError, match=r"--last names the whole range.*leave out --from and --to, or --last"):
        asked.on(TODAY)


@pytest.mark.parametrize(
    ("zone", "day"),
    [("UTC", date(2024, 3, 1)), ("America/New_York", date(2024, 2, 29)), ("Asia/Tokyo", date(2024, 3, 1))],
)
def test_today_is_that_of_the_pipelines_time_zone(zone: str, day: date) -> None:
    pipeline = Pipeline.model_validate({**definition(), "timezone": zone})
    assert pipeline.date_at(datetime(2024, 3, 1, 4, 30, tzinfo=UTC)) == day
