"""A schedule that is mended after a run was planned of it: what is said of that, and what takes it over."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endtoend.test_bad_input import assert_refused, contents
from tests.endtoend.test_command_line import PATIENCE_SECONDS, Answer, Site
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
    assert "refresh" not in site("status", "r").out
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


def test_a_retry_by_an_older_schedule_says_what_takes_the_new_one_over(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.spoil()
    assert site.run().code == 1
    assert "schedule" not in site("retry", "r").err
    change_all(site)
    retried = site("retry", "r")
    assert f"the schedule does not have any more: {LOST}" in retried.err
    assert "what would be taken over: phasegate --home home refresh r" in retried.err
    first = "-> the schedule says something else of that now; to go by it: phasegate --home home refresh r --yes; else "
    assert f"{first}mend the source, then: phasegate --home home retry r --date {CHANGED} --phase raw" in retried.out
    assert first in site("explain", "r").out


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


def test_a_refresh_is_shown_first_and_yes_does_what_was_shown(site: Site) -> None:
    change_all(site)
    before = contents(site.home)
    shown = site("refresh", "r")
    assert shown.code == 0, shown.err
    assert f"{CHANGED}: games 2, now 1; teams: T2, T3 gone" in shown.out
    assert "14 tasks on 4 dates are made by it, with all that was built on them; nothing was changed yet" in shown.out
    document = site("refresh", "r", "--json").document
    assert (document["is_done"], document["tasks"]) == (False, 14)
    assert document["command"] == "phasegate --home home refresh r --yes"
    assert document["dates"] == [CHANGED, LOST, "2024-01-04", "2024-01-06"]
    assert contents(site.home) == before, "shown, and nothing done"
    printed = next(line for line in shown.out.splitlines() if "to take it over: " in line)
    games_of_the_source(site, **{CHANGED: 1})
    done = typed(site, printed.partition("to take it over: ")[2])
    assert done.code == 1, "rows on a date that is gone, and a window that waits for one that is new"
    assert f"to take them: phasegate --home home run --pipeline {site.folder}/pipeline.yaml" in done.err
    assert "schedule" not in site("status", "r").out, "it goes by what the schedule says now"


def test_after_a_refresh_the_printed_commands_lead_to_a_complete_run(site: Site) -> None:
    change_all(site)
    games_of_the_source(site, **{CHANGED: 1})
    assert site("refresh", "r", "--yes").code == 1
    roots = site("explain", "r", "--json").document["roots"]
    (rows,) = {root["remedy"] for root in roots if root["date"] == LOST}
    (window,) = {root["remedy"] for root in roots if root["date"] == GAINED}
    for command in (*commands_in(rows), *commands_in(window)):
        last = typed(site, command)
        assert last.code in (0, 1), (command, last.err)
    assert last.code == 0, site("explain", "r").out
    report = site("verify", "r", "--json").document
    assert report["agrees"] and report["verdict"].startswith("Complete"), report["verdict"]


def test_a_refresh_that_may_not_be_or_has_nothing_to_do_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    site = Site(tmp_path, lambda document: document["phases"][3]["gates"].append({"check": "approval"}))
    try:
        assert site.run().code == 3, "it waits for a person"
        before = contents(site.home)
        for yes in ((), ("--yes",)):
            refused = site("refresh", "r", *yes)
            assert_refused(refused, "run 'r': the schedule has not changed for it; there is nothing to refresh")
            assert_refused(site("refresh", "q", *yes), "unknown run 'q'; known: r")
        assert contents(site.home) == before
        assert site("cancel", "r").code == 0
        change_all(site)
        before = contents(site.home)
        assert_refused(site("refresh", "r", "--yes"), "cannot refresh run 'r': it was cancelled")
        assert site.status()["schedule"]["lost"] == [], "a cancelled run goes by no schedule any more"
        (site.world.source / SCHEDULE).unlink()
        assert contents(site.home) == before
    finally:
        site.close()


def test_objects_on_a_date_that_the_schedule_lost_are_no_finding(tmp_path: Path) -> None:
    site = Site(tmp_path)
    try:
        site.world.misbehave(raw__a__2=["fail:bug"], raw__b__2=["fail:bug"])
        assert site.run().code == 1
        assert list((site.home / "objects").rglob(f"{LOST}.jsonl"))
        reschedule(site, f"FROM t WHERE game_date <> '{LOST}'")
        done = site("refresh", "r", "--yes")
        assert done.code == 0, done.out
        assert "verified: Complete" in done.out
    finally:
        site.close()


def test_a_run_that_another_process_drives_takes_the_schedule_over_while_it_goes_on(tmp_path: Path) -> None:
    site = Site(tmp_path)
    try:
        process = site.run_held()
        reschedule(site, f"FROM t WHERE NOT (game_date = '{CHANGED}' AND home_team = 'T2')")
        games_of_the_source(site, **{CHANGED: 1})
        taken = site("refresh", "r", "--yes")
        assert taken.code == 0, taken.err
        assert "goes on with it; follow it with: phasegate --home home watch r" in taken.err
        site.release()
        process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0
        assert sum(day == CHANGED for day, _, _ in site.world.tables()["raw.a"]) == 2
    finally:
        site.close()


def test_a_refresh_whose_schedule_cannot_be_read_is_refused(site: Site) -> None:
    (site.world.source / SCHEDULE).unlink()
    assert_refused(site("refresh", "r", "--yes"), "the source folder has no schedule")


def test_a_paused_run_takes_the_schedule_over_and_stays_paused(tmp_path: Path) -> None:
    site = Site(tmp_path, lambda document: document["phases"][3]["gates"].append({"check": "approval"}))
    try:
        assert site.run().code == 3
        assert site("pause", "r").code == 0
        reschedule(site, f"FROM t WHERE NOT (game_date = '{CHANGED}' AND home_team = 'T2')")
        games_of_the_source(site, **{CHANGED: 1})
        held = site("refresh", "r", "--yes", "--json")
        assert (held.code, held.document) == (0, {"run_id": "r", "wanted": "paused"})
        assert site("resume", "r").code == 3
        assert site("approve", "r", "final").code == 0
    finally:
        site.close()


def commands_in(remedy: str) -> list[str]:
    """The commands of a remedy, in the order in which they are to be typed."""
    return [
        re.split(" deletes what|, then: ", each)[0] for each in re.findall(r"phasegate .*?(?=phasegate |$)", remedy)
    ]


def games_of_the_source(site: Site, **games: int) -> None:
    """What the worker finds: so many games a date."""
    data = site.world.data()
    for day, count in games.items():
        for name in "ab":
            data[name][day] = data[name][day][: 2 * count]
    site.world.rewrite(data)


def typed(site: Site, printed: str) -> Answer:
    """Type a command as it was printed."""
    return site.call(*shlex.split(printed)[1:])
