"""Which dates go first, with what, and what the others wait for."""

from datetime import date
from typing import Any

from phasegate.domain.calendar.canary import choose
from phasegate.domain.calendar.dates import Calendar, CalendarDate
from phasegate.domain.decisions.edges import obstacles
from phasegate.domain.spec.pipeline import CalendarSpec
from phasegate.domain.state.board import BoardLetter
from phasegate.domain.state.run import RunStatus
from tests.unit.builders import Conduct, days

DAYS = days(20)


def spec(**keys: Any) -> CalendarSpec:
    """A calendar's description."""
    numbers = {"games": "COUNT(*)", "late": "COUNTIF(late)"}
    return CalendarSpec(table="s.t", date_column="d", season_column="s", numbers=numbers, **keys)


def calendar(*late: date) -> Calendar:
    """Twenty dates of a season; some are late ones."""
    return Calendar.of(CalendarDate(day, "S1", {"games": 2, "late": int(day in late)}, {}) for day in DAYS)


def unlimited(document: dict[str, Any]) -> None:
    document["phases"][0]["limits"] = {}


def walled(document: dict[str, Any]) -> None:
    unlimited(document)
    document["phases"][3]["gates"] = [{"check": "barrier", "phase": "shape"}]


def test_first_middle_last_bootstrap_and_special_dates_are_chosen() -> None:
    found = choose(spec(bootstrap_days=7, canary_number="late"), calendar(DAYS[15], DAYS[16]), DAYS[2:])
    assert found.reasons == {DAYS[2]: "first, bootstrap", DAYS[11]: "middle", DAYS[15]: "late", DAYS[19]: "last"}
    assert found.lacking == ()


def test_kinds_of_dates_that_are_not_selected_are_named() -> None:
    found = choose(spec(bootstrap_days=7, canary_number="late"), calendar(DAYS[1]), DAYS[8:])
    assert found.lacking == ("no bootstrap date is selected", "no date with late above 0 is selected")


def test_a_calendar_without_such_kinds_says_so() -> None:
    lacking = ("the calendar has no bootstrap days", "the calendar has no `canary_number`, which marks special dates")
    assert choose(spec(), calendar(), DAYS).lacking == lacking


def test_one_date_is_all_three() -> None:
    assert choose(spec(), calendar(), DAYS[:1]).reasons == {DAYS[0]: "first, middle, last"}


def test_canary_dates_start_with_those_of_their_windows_and_no_others() -> None:
    conduct = Conduct(unlimited, dates=12, canary=(DAYS[8],))
    conduct.advance()
    assert conduct.strips()["raw"] == ".....rrrr..."
    for group in ("fetch", "raw"):
        conduct.advance(*conduct.ends(group, 5, 6, 7, 8))
    assert (conduct.strips()["shape.1"], conduct.strips()["shape.2"]) == (".....rrrr...", "............")


def test_the_rest_follows_when_they_have_passed() -> None:
    conduct = Conduct(unlimited, dates=12, canary=(DAYS[0],))
    conduct.advance()
    for group in ("fetch", "raw", "shape.1", "shape.2"):
        conduct.advance(*conduct.ends(group, 0))
        assert conduct.strips()["raw"].count(".") == 11
    conduct.advance(*conduct.ends("final", 0))
    assert conduct.strips()["raw"] == "p" + 11 * "r"


def test_a_canary_that_ended_badly_holds_back_everything_and_is_the_root() -> None:
    conduct = Conduct(unlimited, dates=12, canary=(DAYS[0],))
    conduct.advance()
    conduct.advance(*conduct.ends("fetch", 0))
    conduct.advance(*conduct.ends("raw", 0, letter=BoardLetter.FAILED, a="why"))
    assert conduct.strips()["raw"] == "f" + 11 * "."
    assert conduct.board.status is RunStatus.COMPLETED_WITH_FAILURES
    raw = next(group for group in conduct.index.groups if group.name == "raw")
    root = next(o for o in obstacles(conduct.index, conduct.board, raw, 7) if o.check == "canary")
    assert (root.day, root.ref, root.letter, root.is_bad) == (DAYS[0], "raw/a", BoardLetter.FAILED, True)


def test_a_blocked_window_date_of_a_canary_holds_back_the_rest_too() -> None:
    conduct = Conduct(unlimited, dates=12, canary=(DAYS[8],))
    conduct.advance()
    conduct.advance(*conduct.ends("fetch", 5))
    conduct.advance(*conduct.ends("raw", 5, letter=BoardLetter.BLOCKED, a="3 of 4 rows"))
    assert conduct.strips()["raw"][:5] + conduct.strips()["raw"][9:] == 8 * "."


def test_what_stands_behind_a_barrier_is_no_part_of_it() -> None:
    conduct = Conduct(walled, dates=4, canary=(DAYS[0],))
    conduct.advance()
    for group in ("fetch", "raw", "shape.1", "shape.2"):
        conduct.advance(*conduct.ends(group, 0))
    assert conduct.strips()["raw"] == "prrr"


def test_what_looks_back_on_something_behind_a_barrier_is_no_part_of_it_either() -> None:
    def change(document: dict[str, Any]) -> None:
        unlimited(document)
        document["phases"][2]["gates"][0] = {"check": "barrier", "phase": "raw"}
        document["phases"][3]["gates"] = [
            {"check": "all_succeeded", "phase": "raw"},
            {"check": "lookback", "processors": ["left"], "dates": 2},
        ]

    conduct = Conduct(change, dates=6, canary=(DAYS[0], DAYS[5]))
    conduct.pass_all()
    assert conduct.board.status is RunStatus.COMPLETED, conduct.strips()
