"""A plan's calendar is compared with the one that the schedule gives now."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.plan import Plan, compare
from tests.unit.builders import calendar, days, game_date, plan

WEEK = days(7)
BEFORE = calendar(WEEK)


def planned(**more: object) -> Plan:
    """The world over its third to sixth date; ``ahead`` looks back on three dates, ``total`` on two."""
    return plan(selected=WEEK[2:6], among=BEFORE, **more)


def without(number: int) -> Calendar:
    """The same calendar less one date."""
    return Calendar.of(each for each in BEFORE.dates if each.day != WEEK[number])


def test_a_schedule_that_is_the_same_has_not_changed() -> None:
    assert not compare(planned(), BEFORE)
    assert not compare(planned(), without(6)), "a later date is none of the run's"


def test_numbers_keys_sources_and_seasons_that_differ_are_told_by_date() -> None:
    other = {
        WEEK[2]: game_date(WEEK[2], "S1", games=3),
        WEEK[3]: replace(BEFORE.by_day[WEEK[3]], not_held_by=("odds",)),
        WEEK[4]: replace(BEFORE.by_day[WEEK[4]], season="S2"),
        WEEK[6]: game_date(WEEK[6], "S1", games=5),
    }
    found = compare(planned(), Calendar.of(other.get(each.day, each) for each in BEFORE.dates))
    assert found.changed == {
        WEEK[2]: "games 2, now 3; teams: T4, T5 new",
        WEEK[3]: "odds holds nothing of it any more",
        WEEK[4]: "season S1, now S2",
    }
    assert (found.lost, found.gained) == ((), ())


def test_a_date_that_the_schedule_lost_is_told_and_so_is_one_of_a_window() -> None:
    assert compare(planned(), without(3)).lost == (WEEK[3],)
    found = compare(planned(), without(1))
    assert (found.lost, found.looked_back_on) == ((), (WEEK[1],))


def test_what_reads_the_calendar_looks_back_on_its_whole_season() -> None:
    def counting(document: dict[str, Any]) -> None:
        document["phases"][2]["processors"][0]["reads_calendar"] = "season_to_date"

    late = {"selected": WEEK[5:6], "among": BEFORE}
    for now in (without(0), Calendar.of(game_date(d, "S1", 3 if d == WEEK[0] else 2) for d in WEEK)):
        assert compare(plan(counting, **late), now).looked_back_on == (WEEK[0],), "beyond any window"
        assert not compare(plan(**late), now)
    assert not compare(plan(counting, **late), without(6)), "a later date is none that it reads"
    unheld = Calendar.of(replace(each, not_held_by=("odds",)) for each in BEFORE.dates if each.day != WEEK[5])
    assert not compare(plan(counting, **late), Calendar.of((*unheld.dates, BEFORE.by_day[WEEK[5]])))


def test_a_date_counts_as_gained_where_the_run_was_asked_to_look() -> None:
    new, later = WEEK[5] + timedelta(days=30), WEEK[5] + timedelta(days=31)
    now = Calendar.of((*BEFORE.dates, game_date(new, "S1"), game_date(later, "S1")))
    assert compare(planned(selection=Selection(seasons=("S1",))), now).gained == (new, later)
    assert compare(planned(selection=Selection(seasons=("S1",), exclude=(later,))), now).gained == (new,)
    assert compare(planned(selection=Selection(dates=tuple(WEEK[2:6]))), now).gained == ()
    assert compare(planned(selection=Selection(seasons=("S1",))), now, live_from=later).gained == (new,)
    assert compare(planned(), now).gained == (), "a plan that does not say is about its dates"


def test_a_plan_of_an_earlier_version_gains_what_lies_between_its_dates() -> None:
    thinned = plan(selected=[WEEK[2], WEEK[5]], among=Calendar.of(d for d in BEFORE.dates if d.day != WEEK[3]))
    assert compare(thinned, BEFORE).gained == (WEEK[3],)


def test_a_selection_comes_back_from_the_stored_plan() -> None:
    kept = planned(selection=Selection(seasons=("S1",), exclude=(WEEK[0],)))
    assert Plan.model_validate_json(kept.model_dump_json(by_alias=True)) == kept
    assert "selection" not in planned().model_dump(mode="json")
