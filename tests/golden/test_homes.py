"""Homes that commit 8e42da0 left behind: one of a finished run, one of a killed run, one of a drained run."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from tests.golden.laid import Site, golden, nba_site

DONE = {"phase_1_scrapers": "passed", "phase_2_raw": "passed", "phase_3_analytics": "passed"} | {
    "phase_4_precompute": "skipped"
}
TASKS = {"expected": 156, "succeeded": 121, "empty_ok": 35}

Lay = Callable[[str], Site]


@pytest.fixture(scope="module")
def lay(tmp_path_factory: pytest.TempPathFactory) -> Lay:
    """Lays out a home in a folder of its own."""
    return lambda home: nba_site(tmp_path_factory.mktemp(home), home)


@pytest.fixture(scope="module")
def finished(lay: Lay) -> Site:
    """The home of the finished run, which no test changes but by a report."""
    return lay("finished")


def words_of(run_id: str) -> list[str]:
    """The command that began a run, without a name for it."""
    words: list[str] = golden("requests.json")[run_id]["words"]
    return words


def assert_complete(site: Site, run_id: str) -> None:
    """Status, and every row of every table, are those of the run that nobody disturbed."""
    status = site.asked("status", run_id)
    assert status["status"] == "completed"
    assert {phase: counts[DONE[phase]] for phase, counts in status["phases"].items()} == dict.fromkeys(DONE, 3)
    assert {name: count for name, count in status["tasks"].items() if count} == TASKS


def rows_that_differ(one: Path, other: Path) -> dict[str, int]:
    """By table, in how many rows the outputs in two homes differ, beside fences."""
    with duckdb.connect() as connection:
        for name, home in (("one", one), ("other", other)):
            connection.execute(f"ATTACH '{home / 'warehouse.duckdb'}' AS {name} (READ_ONLY)")
        tables = connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_columns()"
            " WHERE database_name IN ('one', 'other') AND column_name = '_fence' GROUP BY 1 HAVING COUNT(*) = 2"
        ).fetchall()
        assert len(tables) == 31
        differing = {}
        for (table,) in tables:
            first, second = (f"SELECT * EXCLUDE (_fence) FROM {name}.{table}" for name in ("one", "other"))
            found = f"(({first}) EXCEPT ALL ({second})) UNION ALL (({second}) EXCEPT ALL ({first}))"
            if rows := connection.execute(found).fetchall():
                differing[table] = len(rows)
        return differing


def test_the_finished_run_is_listed_and_stands_where_it_stood(finished: Site) -> None:
    (run,) = finished.asked("runs")
    assert (run["run_id"], run["status"], run["dates"], run["why"]) == ("finished", "completed", 3, "golden data")
    assert_complete(finished, "finished")


def test_explain_finds_nothing_to_explain_in_the_finished_run(finished: Site) -> None:
    explained = finished("explain", "finished")
    assert (explained.returncode, explained.stdout.splitlines()[0]) == (0, "run finished: completed")


def test_verify_finds_the_tables_as_the_state_says_and_as_the_stored_report_said(finished: Site) -> None:
    verified = finished("verify", "finished", "--json")
    assert (verified.returncode, '"agrees": true' in verified.stdout) == (0, True), verified.stderr
    with closing(sqlite3.connect(finished.home / "state.sqlite")) as connection:
        notes = [json.loads(doc) for (doc,) in connection.execute("SELECT doc FROM reports ORDER BY at")]
    assert [(note["agrees"], note["findings"], note["kinds"]) for note in notes] == [(True, 0, {})] * 2


def test_a_new_run_of_the_same_dates_adopts_what_the_finished_one_made(finished: Site) -> None:
    planned = finished.asked("plan", *words_of("finished")[1:])
    assert planned["tasks"] == {"expected": 156, "run": 0, "adopted": 78, "not_needed": 63, "nothing_due": 15}
    assert planned["phases"]["phase_1_scrapers"]["tasks_not_needed"] == 63


@pytest.mark.parametrize("home", ["interrupted", "drained"])
def test_the_same_request_finds_the_stopped_run_again_and_brings_it_to_its_end(
    lay: Lay, finished: Site, home: str
) -> None:
    site = lay(home)
    done = site(*words_of(home))
    assert (done.returncode, site.runs()) == (0, [home]), done.stderr
    assert_complete(site, home)
    assert rows_that_differ(finished.home, site.home) == {}


def test_the_pipeline_file_makes_the_same_rows_in_a_new_home(lay: Lay, finished: Site) -> None:
    site = lay("finished")
    shutil.rmtree(site.home)
    done = site(*words_of("finished"))
    assert done.returncode == 0, done.stderr
    assert_complete(site, *site.runs())
    assert rows_that_differ(finished.home, site.home) == {}


def test_resume_brings_the_killed_run_to_its_end(lay: Lay, finished: Site) -> None:
    site = lay("interrupted")
    done = site("resume", "interrupted")
    assert done.returncode == 0, done.stderr
    assert_complete(site, "interrupted")
    assert rows_that_differ(finished.home, site.home) == {}


def test_the_finished_run_takes_a_schedule_over_that_lost_a_date_and_found_it_again(lay: Lay, finished: Site) -> None:
    site = lay("finished")
    schedule = site.folder / "source" / "schedule.parquet"
    whole = schedule.read_bytes()
    unchanged = site("refresh", "finished", "--yes")
    assert (unchanged.returncode, unchanged.stdout) == (2, "")
    duckdb.sql(f"COPY (FROM '{schedule}' WHERE game_date <> '2023-10-26') TO '{schedule}.less' (FORMAT parquet)")
    schedule.write_bytes((schedule.parent / "schedule.parquet.less").read_bytes())
    assert site.asked("status", "finished")["schedule"]["lost"] == ["2023-10-26"]
    assert site("refresh", "finished", "--yes").returncode == 1, "rows stand on a date that is gone"
    schedule.write_bytes(whole)
    mended = site("refresh", "finished", "--yes")
    assert mended.returncode == 0, mended.stderr
    assert_complete(site, "finished")
    assert rows_that_differ(site.home, finished.home) == {}
