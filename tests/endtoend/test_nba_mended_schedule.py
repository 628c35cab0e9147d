"""The league's schedule is wrong when a run is planned, and mended afterwards: a refresh, and what it prints, brings
every run to a complete end."""

import shlex
import shutil
from pathlib import Path

import pytest

from tests.conftest import FULL, NBA_PIPELINE, as_json, run_command
from tests.endtoend.test_calendar_with_holes import copied

FIRST, HOLE, LAST = "2023-10-24", "2023-10-26", "2023-10-27"
"""Of four game dates in a row at the beginning of a season, of the real league and of the made-up one."""

THREE = f"game_id IN (SELECT game_id FROM t WHERE game_date = '{HOLE}' ORDER BY game_id LIMIT 3)"
ONE = f"game_id = (SELECT MIN(game_id) FROM t WHERE game_date = '{HOLE}')"
WRONG = {
    "a date is missing": f"FROM t WHERE game_date <> '{HOLE}'",
    "games that were played are not final": (
        f"SELECT * REPLACE (CASE WHEN {THREE} THEN 2 ELSE game_status END AS game_status) FROM t"
    ),
    "a phantom game": f"FROM t UNION ALL SELECT * REPLACE ('0022399999' AS game_id) FROM t WHERE {ONE}",
    "a row stands there twice": f"FROM t UNION ALL FROM t WHERE {ONE}",
}


CASES = list(WRONG) if FULL else ["a date is missing"]
"""All four; else the one that a refresh alone does not mend."""


@pytest.mark.parametrize("wrong", [WRONG[name] for name in CASES], ids=CASES)
def test_no_run_is_complete_before_a_refresh_and_each_is_after_it(
    source_folder: Path, tmp_path: Path, wrong: str
) -> None:
    source, home = copied(source_folder, tmp_path / "source", schedule=wrong), tmp_path / "home"
    chosen = ("--pipeline", NBA_PIPELINE, "--source", source, "--from", FIRST, "--to", LAST, "--phases", "1..3")
    done = run_command("run", *chosen, "--run-id", "r", "--json", home=home)
    assert done.returncode == 1, done.stderr
    assert as_json(done)["report"]["verdict"].startswith("Not complete")

    shutil.copy(source_folder / "schedule.parquet", source / "schedule.parquet")
    news = as_json(run_command("status", "r", "--json", home=home))["schedule"]
    assert HOLE in [*news["gained"], *(each["date"] for each in news["changed"])]
    last = run_command("refresh", "r", "--yes", home=home)
    for printed in news["commands"][1:]:
        assert HOLE in printed
        taken = run_command(*shlex.split(printed)[3:], "--json", home=home)
        assert taken.returncode == 0, taken.stderr
        assert as_json(taken)["report"]["verdict"].startswith("Complete")
        last = run_command("retry", "r", home=home)
    assert last.returncode == 0, last.stdout
    report = as_json(run_command("verify", "r", "--json", home=home))
    assert report["agrees"] and report["verdict"].startswith("Complete"), report["verdict"]
    assert as_json(run_command("status", "r", "--json", home=home))["schedule"]["commands"] == []
