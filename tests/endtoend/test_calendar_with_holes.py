"""A schedule that is itself wrong: no run over it is called complete, and preflight says so before."""

import shutil
from pathlib import Path

import duckdb
import pytest

from tests.conftest import FULL, NBA_PIPELINE, as_json, run_command

FIRST, HOLE, LAST = "2023-11-01", "2023-11-02", "2023-11-04"
"""Four game dates in a row of the real league, and of the made-up one."""

PLAYERS = "nba_raw.nbac_player_boxscore"
ONE_GAME = f"game_id = (SELECT MIN(game_id) FROM t WHERE game_date = '{HOLE}')"


def copied(source: Path, folder: Path, **selects: str) -> Path:
    """A source folder with the given files selected anew from their own rows (``t``)."""
    folder.mkdir()
    for name in ("schedule", "team_boxscores", "player_boxscores"):
        shutil.copy(source / f"{name}.parquet", folder / f"{name}.parquet")
        if name in selects:
            spoil(folder / f"{name}.parquet", source / f"{name}.parquet", selects[name])
    return folder


def spoil(target: Path, original: Path, select: str) -> None:
    """Write a file anew from the rows of the original."""
    duckdb.sql(f"COPY (WITH t AS (FROM '{original}') {select}) TO '{target}' (FORMAT parquet)")


THREE = f"game_id IN (SELECT game_id FROM t WHERE game_date = '{HOLE}' ORDER BY game_id LIMIT 3)"
PHANTOM = f"SELECT * REPLACE ('0099999999' AS game_id) FROM t WHERE {ONE_GAME}"
CASES = {
    "a date that the schedule lost": (
        {"schedule": f"FROM t WHERE game_date <> '{HOLE}'"},
        "team rows of 1 date that the schedule does not have: 2023-11-02",
        {"units_off_the_calendar"},
    ),
    "three games that never became final": (
        {"schedule": f"SELECT * REPLACE (CASE WHEN {THREE} THEN 2 ELSE game_status END AS game_status) FROM t"},
        "3 games of 1 date neither meeting calendar.condition (game_status = 3) nor plainly postponed",
        {"undecided_in_the_schedule"},
    ),
    "a game in the box scores of players that the schedule does not have": (
        {"player_boxscores": f"FROM t UNION ALL {PHANTOM}"},
        "player rows of 1 date that the schedule does not have: 2023-11-02",
        {"units_off_the_calendar", "incomplete"},
    ),
    "a row of the schedule that stands there twice": (
        {"schedule": f"FROM t UNION ALL FROM t WHERE {ONE_GAME}"},
        "1 game of 1 date counted more than once: 2023-11-02",
        {"doubled_in_the_schedule"},
    ),
}


# A date that the schedule lost is seen in ``test_nba_mended_schedule`` too.
TRIED = list(CASES) if FULL else [name for name in CASES if name != "a date that the schedule lost"]


@pytest.mark.parametrize(("selects", "said", "kinds"), [CASES[name] for name in TRIED], ids=TRIED)
def test_no_run_over_it_is_complete_and_preflight_says_why(
    source_folder: Path, tmp_path: Path, selects: dict[str, str], said: str, kinds: set[str]
) -> None:
    source, home = copied(source_folder, tmp_path / "source", **selects), tmp_path / "home"
    chosen = ("--pipeline", NBA_PIPELINE, "--source", source, "--from", FIRST, "--to", LAST, "--phases", "1..2")
    before = run_command("preflight", *chosen, home=home)
    assert before.returncode == 0, before.stderr
    assert [line for line in before.stdout.splitlines() if line.startswith("WARN calendar") and said in line]

    done = run_command("run", *chosen, "--run-id", "r", "--json", home=home)
    assert done.returncode == 1, done.stderr
    found = run_command("verify", "r", "--json", home=home)
    report = as_json(found)
    assert (found.returncode, report["agrees"]) == (1, False)
    assert report["verdict"].startswith("Not complete"), report["verdict"]
    assert kinds <= {line["kind"] for line in report["findings"]}
    assert {line["date"] for line in report["findings"] if line["phase"] == "calendar"} == {HOLE}


def test_a_mended_schedule_is_told_of_until_it_is_taken_over_and_so_is_what_is_gone_since(
    source_folder: Path, tmp_path: Path
) -> None:
    source = copied(source_folder, tmp_path / "source", schedule=f"FROM t WHERE game_date <> '{HOLE}'")
    home = tmp_path / "home"
    chosen = ("--pipeline", NBA_PIPELINE, "--source", source, "--from", FIRST, "--to", LAST, "--phases", "1..2")
    assert run_command("run", *chosen, "--run-id", "r", home=home).returncode == 1
    shutil.copy(source_folder / "schedule.parquet", source / "schedule.parquet")
    lines = as_json(run_command("verify", "r", "--json", home=home))["findings"]
    assert [(line["kind"], line["date"]) for line in lines] == [("changed_in_the_schedule", HOLE)]
    assert run_command("refresh", "r", "--yes", home=home).returncode == 0
    with duckdb.connect(str(home / "warehouse.duckdb")) as tables:
        one_game = f"(SELECT MIN(game_id) FROM {PLAYERS} WHERE game_date = '{FIRST}')"
        tables.execute(f"DELETE FROM {PLAYERS} WHERE game_id = {one_game}")
    warned = run_command("preflight", *chosen, home=home).stdout
    assert f"WARN calendar {PLAYERS}: 1 game of 1 date of which {PLAYERS} has no rows: {FIRST}" in warned
    (source / "player_boxscores.parquet").rename(source / "players.parquet")
    report = as_json(run_command("verify", "r", "--json", home=home))
    asked = [line for line in report["findings"] if line["kind"] == "could_not_be_asked"]
    assert [line["processor"] for line in asked] == ["player_boxscores.parquet"]
    assert "not there, and calendar.cross_check names it" in asked[0]["detail"]
    assert not report["agrees"]


def test_one_bad_box_score_blocks_its_date_and_a_retry_after_mending_completes(
    source_folder: Path, tmp_path: Path
) -> None:
    bad = f"SELECT * REPLACE (minutes + CASE WHEN {ONE_GAME} THEN 0.5 ELSE 0 END AS minutes) FROM t"
    source, home = copied(source_folder, tmp_path / "source", player_boxscores=bad), tmp_path / "home"
    chosen = ("--pipeline", NBA_PIPELINE, "--source", source, "--from", FIRST, "--to", LAST, "--phases", "1..2")
    assert run_command("preflight", *chosen, home=home).returncode == 0
    done = run_command("run", *chosen, "--run-id", "r", "--json", home=home)
    assert done.returncode == 1, done.stderr
    document = as_json(done)
    assert {failure["date"] for failure in document["failures"]} == {HOLE}
    assert document["phases"]["phase_2_raw"]["passed"] == 3
    said = run_command("explain", "r", HOLE, home=home).stdout
    assert "player_boxscores.parquet: minutes holds '" in said and "which is no whole number" in said

    shutil.copy(source_folder / "player_boxscores.parquet", source / "player_boxscores.parquet")
    mended = run_command("retry", "r", "--json", home=home)
    assert mended.returncode == 0, mended.stderr


@pytest.mark.parametrize("command", ["plan", "run", "preflight"])
def test_a_status_kept_as_text_is_refused_before_anything_is_planned(
    source_folder: Path, tmp_path: Path, command: str
) -> None:
    text = "SELECT * REPLACE (CAST(game_status AS VARCHAR) AS game_status) FROM t"
    source, home = copied(source_folder, tmp_path / "source", schedule=text), tmp_path / "home"
    refused = run_command(command, "--pipeline", NBA_PIPELINE, "--source", source, "--dates", FIRST, home=home)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "calendar.condition: line 1, column 1: a number does not compare with a text: game_status" in refused.stderr
    assert not (home / "state.sqlite").exists()
