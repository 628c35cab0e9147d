"""What a table was made from of the calendar stands in its record, and is compared with the calendar of now."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.season_to_date import seasons_to_date
from phasegate.domain.checks.fingerprint import NOTHING, Content
from phasegate.domain.checks.proof import Found
from phasegate.domain.decisions.stale import (
    CALENDAR,
    MadeFrom,
    MadeRecord,
    calendar_read,
    look,
    made_from,
    made_from_the_same,
)
from phasegate.domain.plan import PlanIndex, compile_plan
from tests.unit.builders import calendar, days, game_date, plan

DAYS = days(6)
DAY = DAYS[3]
MADE = 10


def reading(document: dict[str, Any]) -> None:
    """``shape/left`` reads the calendar of its season too; it is rightly empty on the bootstrap days."""
    document["phases"][2]["processors"][0] |= {"reads_calendar": "season_to_date", "bootstrap": True}


def index_of(among: Calendar, **more: Any) -> PlanIndex:
    return compile_plan(plan(reading, among=among, **more))


WHOLE = calendar(DAYS)
INDEX = index_of(WHOLE)
LEFT = INDEX.by_ref["shape/left"]


def with_games(day: date, games: int) -> Calendar:
    """The season with another number of games on one date."""
    return Calendar.of(game_date(each, "S1", games if each == day else 2) for each in DAYS)


def record(day: date = DAY, content: str = "L") -> MadeRecord:
    """``shape/left`` of a date was made from this calendar, and from ``raw/a``."""
    read = calendar_read(INDEX, LEFT, day)
    assert read is not None
    return MadeRecord(MADE, content, {"raw.a": made_from([day], {day: "A"}), CALENDAR: read})


def stale(index: PlanIndex, made: MadeRecord, rows: int = 1, day: date = DAY) -> dict[str, str]:
    """What is stale on a date, by ref, and why; no input was written after the table."""
    held = {"raw/a": {day: Found(1, MADE - 1, MADE - 1)}, "shape/left": {day: Found(rows, MADE, MADE)} if rows else {}}
    found = look(index, held, {"shape/left": {day: made}})
    assert found.candidates == []
    return {ref: str(of_ref[day]) for ref, of_ref in found.stale.items()}


def test_a_season_is_told_apart_by_dates_numbers_and_keys_up_to_each_date_and_not_by_what_comes_after() -> None:
    told = seasons_to_date(WHOLE)
    assert [told[day].dates for day in DAYS] == [1, 2, 3, 4, 5, 6]
    assert len({each.fingerprint for each in told.values()}) == 6
    assert seasons_to_date(calendar(DAYS[:4])) == {day: told[day] for day in DAYS[:4]}
    keys = Calendar.of(replace(e, entities={"teams": ("X",)}) if e.day == DAYS[1] else e for e in WHOLE.dates)
    for other in (with_games(DAYS[1], 3), keys):
        assert [day for day in DAYS if seasons_to_date(other)[day] != told[day]] == DAYS[1:]
    renamed = seasons_to_date(Calendar.of(replace(each, season="S9") for each in WHOLE.dates))
    assert [day for day in DAYS if renamed[day] != told[day]] == DAYS


def test_a_second_season_begins_anew_and_a_date_that_is_lost_is_none_of_its_season() -> None:
    told = seasons_to_date(calendar(DAYS[:3], DAYS[3:]))
    assert [told[day].dates for day in DAYS] == [1, 2, 3, 1, 2, 3]
    lost = replace(WHOLE, lost=frozenset({DAYS[2]}))
    without = seasons_to_date(calendar([day for day in DAYS if day != DAYS[2]]))
    assert seasons_to_date(lost) == without


def test_what_sources_hold_of_a_date_is_nothing_that_the_schedule_says() -> None:
    held = Calendar.of(replace(each, not_held_by=("odds",)) for each in WHOLE.dates)
    assert seasons_to_date(held) == seasons_to_date(WHOLE)


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (WHOLE, None),
        (with_games(DAYS[5], 3), None),
        (with_games(DAYS[0], 3), "had other numbers or keys then"),
        (with_games(DAY, 3), "had other numbers or keys then"),
        (calendar([d for d in DAYS if d != DAYS[1]]), "had 4 dates then, and has 3 now"),
    ],
    ids=["the same", "another date after it", "another number before it", "its own number", "a date less"],
)
def test_another_calendar_makes_stale_without_any_fence(now: Calendar, why: str | None) -> None:
    said = f"made from another calendar: its season up to {DAY} {why}"
    assert stale(index_of(now), record()) == ({} if why is None else {"shape/left": said})


def test_a_record_without_it_a_processor_that_does_not_read_it_and_rows_of_another_fence_say_nothing() -> None:
    other = with_games(DAYS[0], 3)
    silent = replace(record(), inputs={"raw.a": made_from([DAY], {DAY: "A"})})
    assert stale(index_of(other), silent) == {}
    assert stale(compile_plan(plan(among=other)), record()) == {}
    assert stale(index_of(other), replace(record(), fence=MADE - 5)) == {}


def test_what_was_made_empty_is_stale_unless_nothing_is_due() -> None:
    other = index_of(with_games(DAYS[0], 3))
    assert stale(other, record(content=NOTHING), rows=0).keys() == {"shape/left"}
    assert stale(other, record(DAYS[0], NOTHING), rows=0, day=DAYS[0]) == {}, "a bootstrap day"
    assert stale(other, record(), rows=0) == {}, "rows that are gone are missing"


def test_a_date_that_the_schedule_lost_is_not_compared() -> None:
    assert stale(index_of(WHOLE, lost=(DAY,)), record()) == {}


def same(index: PlanIndex, made: MadeRecord) -> Iterable[date]:
    """The dates on which ``shape/left`` would be made from the same; its inputs are as they were."""
    contents = {"shape/left": {DAY: Content("L", MADE, MADE)}, "raw/a": {DAY: Content("A", MADE + 1, MADE + 1)}}
    return made_from_the_same(index, {"shape/left": {DAY}}, {"shape/left": {DAY: made}}, contents)["shape/left"]


def test_left_alone_is_only_what_would_be_made_from_the_same_calendar_too() -> None:
    other = index_of(with_games(DAYS[0], 3))
    assert same(INDEX, record()) == {DAY}
    assert same(other, record()) == frozenset()
    silent = replace(record(), inputs={"raw.a": made_from([DAY], {DAY: "A"})})
    assert same(other, silent) == {DAY}, "of the calendar nothing is known, as before"


def test_the_entry_is_one_that_an_earlier_version_reads_over() -> None:
    """It takes each entry for that of a table: a hash and a number."""
    assert isinstance(record().inputs[CALENDAR], MadeFrom)
    assert [type(part) for part in record().inputs[CALENDAR]] == [str, int]
