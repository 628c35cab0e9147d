"""A schedule that is mended after a run was planned of it: what is said of that, and what takes it over."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endtoend.test_command_line import Answer, Site
from tests.world import SCHEDULE, scratch

CHANGED, LOST, GAINED = "2024-01-02", "2024-01-03", "2024-01-05"


def reschedule(site: Site, select: str) -> None:
    """Write the schedule anew from its own rows (``t``)."""
    file = site.world.source / SCHEDULE
    connection = scratch().cursor()
    connection.execute(f"CREATE OR REPLACE TEMP TABLE t AS FROM '{file}'")
    connection.execute(f"COPY ({select}) TO '{file}' (FORMAT parquet)")


def change_all(site: Site) -> None:
    """One date has one game less, another is gone, and one is there that was not."""
    reschedule(
        site,
        f"FROM t WHERE game_date <> '{LOST}' AND NOT (game_date = '{CHANGED}' AND home_team = 'T2') UNION ALL "
        f"SELECT * REPLACE (DATE '{GAINED}' AS game_date) FROM t WHERE game_date = '2024-01-04'",
    )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose season is done, but for a date that the schedule did not have."""
    made = Site(tmp_path)
    reschedule(made, f"FROM t WHERE game_date <> '{GAINED}'")
    assert made.run().code == 0
    yield made
    made.close()


def test_status_and_explain_say_nothing_of_a_schedule_that_is_the_same(site: Site) -> None:
    assert "schedule" not in site("status", "r").out
    assert "schedule" not in site("explain", "r").out
    nothing = {"changed": [], "lost": [], "gained": [], "looked_back_on": [], "not_read": None, "commands": []}
    assert site.status()["schedule"] == nothing
    assert site("explain", "r", "--json").document["schedule"] == nothing


def test_status_explain_and_preflight_name_the_dates_on_which_the_schedule_has_changed(site: Site) -> None:
    change_all(site)
    found = site.status()["schedule"]
    assert found["changed"] == [{"date": CHANGED, "detail": "games 2, now 1; teams: T2, T3 gone"}]
    assert (found["lost"], found["gained"], found["not_read"]) == ([LOST], [GAINED], None)
    for said in (site("status", "r").out, site("explain", "r").out, site("explain", "r", LOST).out):
        assert "the schedule has changed since the run was planned" in said
        assert f"{CHANGED}: games 2, now 1; teams: T2, T3 gone" in said
        assert f"the schedule does not have any more: {LOST}" in said
        assert f"new in its selection, and not in the run: {GAINED}" in said
    assert "schedule" not in site("explain", "r", "2024-01-01").out, "nothing changed on that date"
    warned = site.call(*site.selecting("preflight")).out
    assert f"WARN schedule run r: the schedule has changed since it was planned ({CHANGED}, {LOST}, {GAINED})" in warned
    assert "run r" not in site.call(*site.selecting("preflight", "--dates", "2024-01-01")).out


def test_the_printed_run_of_a_date_that_the_schedule_gained_takes_it(site: Site) -> None:
    reschedule(
        site,
        f"FROM t UNION ALL SELECT * REPLACE (DATE '{GAINED}' AS game_date) FROM t WHERE game_date = '2024-01-04'",
    )
    line = next(line for line in site("status", "r").out.splitlines() if "to take them: " in line)
    taken = typed(site, line.partition("to take them: ")[2])
    assert taken.code == 0, taken.err
    assert [command for command in site.status()["schedule"]["commands"] if GAINED in command]
    assert any(day == GAINED for day, _, _ in site.world.tables()["final.total"])


def test_a_schedule_that_cannot_be_read_fails_no_status(site: Site) -> None:
    (site.world.source / SCHEDULE).write_bytes(b"no parquet")
    answer = site("status", "r")
    assert (answer.code, answer.err) == (0, "")
    (line,) = [line for line in answer.out.splitlines() if "schedule" in line]
    assert line.startswith("the schedule could not be compared with the plan's: ") and SCHEDULE in line
    assert SCHEDULE in site.status()["schedule"]["not_read"]
    assert site("explain", "r").code == 0
    (site.world.source / SCHEDULE).unlink()
    assert "the source folder has no schedule" in site.status()["schedule"]["not_read"]


def typed(site: Site, printed: str) -> Answer:
    """Type a command as it was printed."""
    return site.call(*shlex.split(printed)[1:])
