"""The next generation of a plan: the same dates and tasks, of which something else is expected."""

from collections.abc import Callable
from typing import Any

import pytest

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.plan import FIRST, Plan, WorkLetter, compile_plan, generation_name, regenerate
from phasegate.domain.plan.mended import mended
from tests.unit.builders import calendar, days, game_date, pipeline, plan

WEEK = days(5)
BEFORE = calendar(WEEK)


def rescheduled(of: Plan, *games: int) -> Plan:
    """The generation by which the dates have so many games; without any a date is gone."""
    now = Calendar.of(game_date(day, "S1", n) for day, n in zip(WEEK, games, strict=True) if n)
    return regenerate(of, of.pipeline, now)


def test_dates_tasks_and_release_groups_stay_and_numbers_and_windows_change() -> None:
    before = plan(among=BEFORE)
    later = rescheduled(before, 2, 0, 3, 2, 2)
    one, two = compile_plan(before), compile_plan(later)
    assert (later.days, later.phases, later.lost) == (before.days, before.phases, (WEEK[1],))
    assert [task.ref for task in one.tasks] == [task.ref for task in two.tasks]
    assert [group.name for group in one.groups] == [group.name for group in two.groups]
    assert two.calendar.by_day[WEEK[2]].numbers == {"games": 3}
    assert two.calendar.window(WEEK[3], dates=2) == (WEEK[0], WEEK[2])
    assert {letters[1] for letters in later.letters.values()} == {WorkLetter.NOTHING_DUE}
    assert Plan.model_validate_json(later.model_dump_json(by_alias=True)) == later


def test_a_plan_of_an_earlier_version_keeps_its_letters_but_on_a_date_that_is_lost() -> None:
    before = plan(among=BEFORE, by_numbers=False)
    later = rescheduled(before, 2, 2, 2, 2, 0)
    assert {letters[:4] for letters in later.letters.values()} == {"rrrr"}, "bootstrap tasks are called as before"
    assert {letters[4] for letters in later.letters.values()} == {"z"}
    assert rescheduled(later, 2, 2, 2, 2, 2).letters == before.letters, "a date that comes back is run"


def test_what_was_adopted_stays_so() -> None:
    adopted = plan(among=BEFORE, work={**plan(among=BEFORE).work, "raw/a": "araaa"})
    assert rescheduled(adopted, 2, 2, 2, 2, 3).letters["raw/a"] == "araaa"


def test_the_name_of_a_later_generation_is_higher_and_says_its_content() -> None:
    before = plan(among=BEFORE)
    one, two = rescheduled(before, 2, 2, 2, 2, 3), rescheduled(before, 2, 2, 2, 2, 4)
    assert FIRST < generation_name(FIRST, one) != generation_name(FIRST, two)
    assert generation_name(generation_name(FIRST, one), two) > max(
        generation_name(FIRST, one), generation_name(FIRST, two)
    )
    assert generation_name("0009-ff", one) < generation_name("0010-00", two)


def first(document: dict[str, Any], phase: int) -> dict[str, Any]:
    """The first processor of a phase."""
    found: dict[str, Any] = document["phases"][phase]["processors"][0]
    return found


CHECKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "phases.raw.processors.a.checks": lambda d: first(d, 1)["checks"].pop(),
    "phases.raw.checks": lambda d: d["phases"][1].update(checks=[{"check": "duplicates"}]),
    "phases.shape.processors.left.may_be_empty": lambda d: first(d, 2).update(may_be_empty="so"),
    "calendar.bootstrap_days": lambda d: d["calendar"].update(bootstrap_days=3),
    "known": lambda d: d.update(known=[{"dates": ["2024-01-01"], "processor": "raw/a", "check": "rows", "why": "so"}]),
}
OTHERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "calendar.numbers.games": lambda d: d["calendar"]["numbers"].update(games="COUNT(*) + 1"),
    "phases.fetch.limits.active_dates": lambda d: d["phases"][0]["limits"].update(active_dates=9),
    "phases.shape.processors.left.reads": lambda d: first(d, 2).update(reads=[]),
    "phases.final.gates": lambda d: d["phases"][3]["gates"].pop(),
    "phases": lambda d: d["phases"].pop(),
    "queues.work.max_concurrent": lambda d: d["queues"]["work"].update(max_concurrent=7),
}


@pytest.mark.parametrize("place", CHECKS)
def test_checks_and_expectations_of_a_file_are_told_apart(place: str) -> None:
    assert mended(pipeline(), pipeline(CHECKS[place])) == ([place], [])


@pytest.mark.parametrize("place", OTHERS)
def test_from_all_else(place: str) -> None:
    assert mended(pipeline(), pipeline(OTHERS[place])) == ([], [place])


def test_what_decides_about_no_run_is_no_difference() -> None:
    assert mended(
        pipeline(), pipeline(lambda d: d.update(description="small", profiles={"p": {"phases": "1..2"}}))
    ) == (
        [],
        [],
    )
