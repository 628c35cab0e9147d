"""What runs only when it is named: dates of the live window, and destructive processors."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.operations.overrides import Overrides, check_overrides, without_live
from phasegate.domain.operations.preflight import Level, PreflightLine
from phasegate.domain.spec.pipeline import Pipeline
from tests.unit.builders import calendar, days, pipeline

NOW = datetime(2024, 1, 5, 12, tzinfo=UTC)
OLD, YESTERDAY, TODAY = date(2024, 1, 3), date(2024, 1, 4), date(2024, 1, 5)


def with_(processor: dict[str, Any] | None = None, **keys: Any) -> Pipeline:
    """The world with other keys, and others on ``final/total``."""

    def change(document: dict[str, Any]) -> None:
        document.update(keys)
        document["phases"][3]["processors"][0].update(processor or {})

    return pipeline(change)


def live(*selected: date, named: tuple[date, ...] = (), now: datetime = NOW, **keys: Any) -> PreflightLine:
    """The line of the live window."""
    world = with_(**keys)
    return check_overrides(world, world.phase_names, selected, Overrides(named), now)[0]


def test_dates_before_yesterday_need_no_name() -> None:
    assert live(OLD).level is Level.PASS


@pytest.mark.parametrize("day", [YESTERDAY, TODAY, date(2024, 1, 6)])
def test_yesterday_today_and_what_is_to_come_are_refused_with_the_flag_that_lets_them_in(day: date) -> None:
    line = live(OLD, day)
    assert line.level is Level.FAIL
    assert f"--include-live {day}" in line.remedy and "--exclude-live" in line.remedy
    assert str(OLD) not in line.detail


def test_each_date_must_be_named() -> None:
    assert live(YESTERDAY, TODAY, named=(TODAY,)).detail.startswith(f"{YESTERDAY}:")
    assert live(YESTERDAY, TODAY, named=(TODAY, YESTERDAY)).level is Level.PASS


def test_the_day_is_that_of_the_pipelines_time_zone() -> None:
    late = datetime(2024, 1, 5, 3, tzinfo=UTC)
    assert live(OLD, now=late).level is Level.PASS
    assert live(OLD, now=late, timezone="America/New_York").level is Level.FAIL, "there it is still the 4th"


def test_the_window_is_as_long_as_the_pipeline_file_says() -> None:
    assert live(OLD, live_window=2).level is Level.FAIL
    assert live(YESTERDAY, live_window=0).level is Level.PASS
    assert live(TODAY, live_window=None).level is Level.PASS


def test_many_dates_are_counted_and_not_all_listed() -> None:
    assert " and 8 more" in live(*days(20, TODAY)).detail


def test_a_named_date_must_be_selected() -> None:
    with pytest.raises(InputError, match="--include-live: 2024-01-04 is not a date of the selection"):
        live(OLD, named=(YESTERDAY,))


def rest(*override_options: date, **keys: Any) -> tuple[date, ...]:
    """What ``--exclude-live`` leaves of a season that goes on until tomorrow."""
    known = calendar(days(6))
    selection = Selection(seasons=("S1",), exclude=(OLD,), exclude_live=True)
    left = without_live(selection, with_(**keys), known.by_day, Overrides(override_options), NOW)
    assert not left.exclude_live, "nothing that depends on the day is left in it"
    return left.resolve(known)


def test_the_live_window_can_be_left_out_as_a_whole() -> None:
    assert rest() == tuple(days(2))


def test_what_is_named_stays_when_the_rest_of_the_live_window_is_left_out() -> None:
    assert rest(TODAY) == (*days(2), TODAY)


def test_without_a_live_window_there_is_nothing_to_leave_out() -> None:
    assert len(rest(live_window=None)) == 5


def destructive(*named: str, phases: tuple[str, ...] = ("fetch", "raw", "shape", "final")) -> list[PreflightLine]:
    """The lines of destructive processors; ``final/total`` is one."""
    return check_overrides(with_({"destructive": True}), phases, [OLD], Overrides((), named), NOW)[1:]


def test_a_destructive_processor_is_refused_unless_it_is_named() -> None:
    (line,) = destructive()
    assert (line.level, line.subject) == (Level.FAIL, "final/total")
    assert "--allow-destructive final/total" in line.remedy


@pytest.mark.parametrize("name", ["total", "final/total"])
def test_a_destructive_processor_may_run_when_it_is_named(name: str) -> None:
    assert [line.level for line in destructive(name)] == [Level.PASS]


def test_a_destructive_processor_of_a_phase_that_is_left_out_is_nothing_to_refuse() -> None:
    assert destructive(phases=("fetch", "raw")) == []


@pytest.mark.parametrize(
    ("name", "problem"), [("totl", "unknown processor 'totl'; did you mean 'total'"), ("note", "is not destructive")]
)
def test_a_name_that_overrides_nothing_is_an_error(name: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        destructive(name)
