"""A finished run of any pipeline whose calendar is compared: what is said when its schedule was wrong."""

from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.schedule_file import ScheduleFile
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.plan import ScheduleChanges
from phasegate.report.verify.document.report import Report
from phasegate.services.reading.schedule_changes import schedule_news
from tests.report.verifying import Finished, kinds
from tests.world import SCHEDULE, scratch

FIRST_TEAMS = "MOD(CAST(SUBSTR(k, 2) AS INT64), 2) = 0"
"""Teams T0, T2 and so on: the world's schedule has them as home teams."""


def compared(document: dict[str, Any]) -> None:
    """A cross-check for the world: a game is its date and home team."""
    table = {"table": "raw.a", "date_column": "d", "key": ["d", "k"], "condition": FIRST_TEAMS, "rows": "home rows"}
    document["calendar"]["cross_check"] = {
        "units": "games",
        "key": ["game_date", "home_team"],
        "postponed": "game_status = 4",
        "tables": [table],
    }


class Compared(Finished):
    """A finished run whose schedule is written anew."""

    def reschedule(self, select: str) -> None:
        """Write the schedule anew from its own rows (``t``)."""
        file = self.world.source / SCHEDULE
        connection = scratch().cursor()
        connection.execute(f"CREATE OR REPLACE TEMP TABLE t AS FROM '{file}'")
        connection.execute(f"COPY ({select}) TO '{file}' (FORMAT parquet)")


@pytest.fixture
def finished(tmp_path: Path) -> Compared:
    """A finished run."""
    made = Compared(tmp_path, change=compared)
    made.run()
    return made


def test_a_calendar_that_agrees_is_no_finding_and_its_queries_are_told(finished: Compared) -> None:
    report = finished.verify().report
    assert report.agrees, report.verdict
    names = [query.name for query in report.queries if query.name.startswith("calendar.")]
    assert names == ["calendar.raw.schedule", "calendar.raw.a"]


def test_a_unit_that_only_the_table_has_is_found_beside_the_checks(finished: Compared) -> None:
    day = finished.days[3]
    finished.write("INSERT INTO raw.a SELECT ?, 'T8', 1, 1", day)
    report = finished.verify().report
    assert ("units_off_the_calendar", str(day), "calendar/raw.a") in kinds(report)
    (line,) = [line for line in report.findings if line.phase == "calendar"]
    assert line.detail == "1 game and 1 home row of 1 date that the schedule does not have"
    assert (line.table, line.expected, line.found, line.query) == ("raw.a", 0, 1, "calendar.raw.a")


def test_games_that_were_never_decided_keep_a_sound_run_from_being_complete(finished: Compared) -> None:
    day = finished.days[2]
    finished.reschedule(
        f"FROM t UNION ALL SELECT '2023-24', DATE '{day}', 'T6', 'T7', 2 UNION ALL "
        f"SELECT '2023-24', DATE '{finished.free_day}', 'T6', 'T7', NULL"
    )
    made = finished.verify().report
    assert not made.agrees
    assert made.verdict.startswith("Not complete")
    assert kinds(made) == {
        ("undecided_in_the_schedule", str(day), "calendar/raw.schedule"),
        ("undecided_in_the_schedule", str(finished.free_day), "calendar/raw.schedule"),
    }


def test_a_game_that_the_schedule_gained_is_found_where_the_table_lacks_it(finished: Compared) -> None:
    day = finished.days[4]
    finished.reschedule(f"FROM t UNION ALL SELECT '2023-24', DATE '{day}', 'T6', 'T7', 3")
    assert kinds(finished.verify().report) == {
        ("units_only_in_the_calendar", str(day), "calendar/raw.a"),
        ("changed_in_the_schedule", str(day), "calendar/raw.schedule"),
    }


def test_a_schedule_that_cannot_be_read_is_never_taken_for_agreement(finished: Compared) -> None:
    (finished.world.source / SCHEDULE).unlink()
    report = finished.verify().report
    (line,) = report.findings
    assert (line.kind, line.processor, line.date) == ("could_not_be_asked", "raw.schedule", None)
    assert "the source folder has no schedule" in line.detail
    assert not report.agrees


# What the schedule says now, and did not when the run was planned


@pytest.fixture
def uncompared(tmp_path: Path) -> Compared:
    """A finished run of a pipeline that says nothing of how its calendar is to be compared."""
    made = Compared(tmp_path, change=lambda _: None)
    made.run()
    return made


def said_of_the_schedule(report: Report) -> dict[str, str]:
    """What is found of the schedule alone, by date."""
    assert {line.kind for line in report.findings} == {"changed_in_the_schedule"}, report.findings
    assert not report.agrees and report.verdict.startswith("Not complete")
    names = {query.name: query for query in report.queries}
    assert all(names[line.query].sql for line in report.findings)
    return {str(line.date): line.detail for line in report.findings}


def told_by_status(finished: Compared) -> ScheduleChanges:
    """What ``status`` says."""
    state = finished.ground().state
    assert state is not None
    spec = finished.world.pipeline.calendar
    news = schedule_news(
        state, "r", lambda *_: ScheduleFile(finished.world.source, spec).query, finished.world.clock.now()
    )
    return news.changes


def test_a_date_that_the_schedule_gained_keeps_the_run_from_being_complete_as_status_says(uncompared: Compared) -> None:
    day = uncompared.free_day
    assert uncompared.verify().report.agrees
    uncompared.reschedule(f"FROM t UNION ALL SELECT '2023-24', DATE '{day}', 'T0', 'T1', 3")
    found = said_of_the_schedule(uncompared.verify().report)
    assert found == {str(day): "the schedule has gained it, and it is none of the run's dates"}
    assert told_by_status(uncompared).gained == (day,)


def test_a_date_that_is_lost_and_one_with_other_numbers_are_found_too(uncompared: Compared) -> None:
    lost, changed = uncompared.days[3], uncompared.days[4]
    uncompared.reschedule(f"FROM t WHERE game_date <> '{lost}' AND NOT (game_date = '{changed}' AND home_team = 'T2')")
    assert said_of_the_schedule(uncompared.verify().report) == {
        str(lost): "the schedule does not have it any more",
        str(changed): "since the run was planned: games 2, now 1; teams: T2, T3 gone",
    }


def test_a_date_beyond_what_the_run_was_asked_for_is_no_finding(tmp_path: Path) -> None:
    finished = Compared(tmp_path, change=lambda _: None)
    finished.run(selection=Selection(dates=tuple(finished.days[:4])))
    finished.reschedule(f"FROM t UNION ALL SELECT '2023-24', DATE '{finished.free_day}', 'T0', 'T1', 3")
    assert finished.verify().report.agrees


def test_dates_outside_the_run_that_its_windows_lose_and_gain_are_found(uncompared: Compared) -> None:
    first, *_, outside, last = uncompared.days[-5:]
    uncompared.run("late", selection=Selection(dates=(last,)), reprocess="all")
    uncompared.reschedule(f"FROM t WHERE game_date <> '{outside}'")
    found = said_of_the_schedule(uncompared.verify("late").report)
    said = "it is outside the run, whose windows, or the seasons that it reads, differ on it since"
    assert found == {str(first): said, str(outside): said}


TWICE = "FROM t UNION ALL SELECT * REPLACE ('2022-23' AS season) FROM t WHERE game_date = DATE '{day}'"
"""The schedule, in which a date belongs to two seasons."""


@pytest.mark.parametrize("of", ["finished", "uncompared"])
def test_a_schedule_that_contradicts_itself_is_one_finding_whether_it_is_compared_or_not(
    of: str, request: pytest.FixtureRequest
) -> None:
    site: Compared = request.getfixturevalue(of)
    site.reschedule(TWICE.format(day=site.days[2]))
    report = site.verify().report
    assert not report.agrees and report.verdict.startswith("Not complete")
    (line,) = [line for line in report.findings if line.kind == "could_not_be_asked"]
    assert (line.date, line.processor) == (None, "raw.schedule")
    assert f"{site.days[2]} belongs to two seasons" in line.detail
    (query,) = [query for query in report.queries if query.name == line.query]
    assert query.sql and query.error


def test_a_schedule_that_is_no_table_any_more_is_one_finding(finished: Compared, uncompared: Compared) -> None:
    for site in (finished, uncompared):
        (site.world.source / SCHEDULE).write_bytes(b"no parquet")
        report = site.verify().report
        (line,) = report.findings
        assert (line.kind, line.processor) == ("could_not_be_asked", "raw.schedule")
        assert SCHEDULE in line.detail and not report.agrees


def test_a_schedule_that_nothing_is_compared_with_may_be_gone(uncompared: Compared) -> None:
    (uncompared.world.source / SCHEDULE).unlink()
    report = uncompared.verify().report
    assert report.agrees and "could not be asked" not in report.verdict
