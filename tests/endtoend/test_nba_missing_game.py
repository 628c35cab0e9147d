"""One game taken out of one date: what blocks, what waits, and how it is mended."""

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.conftest import NBA_PIPELINE, as_json, real_source, run_command

SPOILED = "2023-11-04"
"""A Saturday with eight games in the real league."""

IN_ITS_WINDOWS = [f"2023-11-{day:02d}" for day in (5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)]
"""The fifteen game dates after it, copied from the league's calendar: no games on 7 November (election day)."""


@pytest.fixture
def spoiled(source_folder: Path, tmp_path: Path) -> tuple[Path, int]:
    """A source folder in which one game of the date has no box scores, and the date's number of games."""
    folder = tmp_path / "source"
    folder.mkdir()
    date_games = f"FROM '{source_folder}/schedule.parquet' WHERE game_date = DATE '{SPOILED}'"
    connection = duckdb.connect()
    for name in ("schedule", "team_boxscores", "player_boxscores"):
        less = "" if name == "schedule" else f"WHERE game_id <> (SELECT MIN(game_id) {date_games})"
        target = f"'{folder}/{name}.parquet' (FORMAT parquet)"
        connection.execute(f"COPY (SELECT * FROM '{source_folder}/{name}.parquet' {less}) TO {target}")
    games = connection.execute(f"SELECT COUNT(*) {date_games}").fetchall()[0][0]
    connection.close()
    if real_source() is not None:
        assert games == 8
    return folder, games


def _cells(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(cell["date"], cell["phase"]) for cell in document["blocked"]}


def test_its_gate_blocks_its_windows_wait_all_else_finishes_and_a_retry_after_mending_completes(
    spoiled: tuple[Path, int], source_folder: Path, tmp_path: Path
) -> None:
    source, games = spoiled
    home = tmp_path / "home"
    select = ("--source", source, "--from", "2023-10-24", "--to", "2023-11-24", "--run-id", "r", "--json")
    done = run_command("run", "--pipeline", NBA_PIPELINE, "--profile", "historical", *select, home=home)
    assert done.returncode == 1, done.stderr
    document = as_json(done)

    expected = {(SPOILED, "phase_2_raw"), (SPOILED, "phase_3_analytics"), (SPOILED, "phase_4_precompute")}
    expected |= {(day, phase) for day in IN_ITS_WINDOWS for phase in ("phase_3_analytics", "phase_4_precompute")}
    assert _cells(document) == expected
    for phase, counts in document["phases"].items():
        blocked = sum(1 for _, name in expected if name == phase)
        assert counts["blocked"] == blocked, phase
        assert counts["passed"] + counts["skipped"] == counts["dates"] - blocked, phase

    said = run_command("explain", "r", SPOILED, "phase_3_analytics", home=home)
    short = f"{2 * games - 2} of {2 * games} rows"
    assert short in said.stdout
    assert f"phasegate --home {home} retry r --date 2023-11-04" in said.stdout
    assert short in run_command("explain", "r", home=home).stdout

    for name in ("team_boxscores", "player_boxscores"):
        shutil.copy(source_folder / f"{name}.parquet", source / f"{name}.parquet")
    mended = run_command("retry", "r", "--json", home=home)
    assert mended.returncode == 0, mended.stderr
    assert as_json(mended)["status"] == "completed"
    _assert_its_scrapers_and_raw_tables_ran_again(home)


def _assert_its_scrapers_and_raw_tables_ran_again(home: Path) -> None:
    connection = duckdb.connect(str(home / "warehouse.duckdb"), read_only=True)
    again = connection.execute(
        "SELECT phase, COUNT(*), MIN(data_date), MAX(data_date) FROM nba_reference.processor_run_history "
        "WHERE attempt = 2 GROUP BY 1 ORDER BY 1"
    ).fetchall()
    tables = connection.execute(
        f"SELECT COUNT(*) FROM nba_raw.nbac_team_boxscore WHERE game_date = DATE '{SPOILED}'"
    ).fetchall()
    connection.close()
    day = duckdb.execute(f"SELECT DATE '{SPOILED}'").fetchall()[0][0]
    assert [(phase, first, last) for phase, _, first, last in again] == [
        ("phase_1_scrapers", day, day),
        ("phase_2_raw", day, day),
    ]
    assert [count for _, count, _, _ in again] == [18 - 2, 18 - 2], "every table with a check on team rows or teams"
    assert tables[0][0] % 2 == 0
