"""One game is missing while the season runs, and is put back: a repair makes again what it reaches, and no more."""

import shutil
from pathlib import Path
from typing import Any

import duckdb

from tests.conftest import FULL, NBA_PIPELINE, as_json, run_command

SPOILED = "2023-10-25"
IN_ITS_WINDOWS = [
    *(f"2023-10-{day}" for day in range(26, 32)),
    *(f"2023-11-{day:02d}" for day in (1, 2, 3, 4, 5, 6, 8, 9, 10)),
]
"""The fifteen game dates after it."""
AFTER_BOOTSTRAP = "2023-10-31"
"""From here on phase 4 has rows."""
LAST = "2023-11-11" if FULL else "2023-10-28"
"""With everything one date more than the windows reach: what counts over the season is off by one there as well."""
SELECTED = ("--from", "2023-10-24", "--to", LAST, "--phases", "1..4" if FULL else "1..3")
FILES = ("schedule", "team_boxscores", "player_boxscores")
REACHED = [SPOILED, *(day for day in IN_ITS_WINDOWS if day <= LAST)]
OF_ITS_SEASON = [*REACHED, *([LAST] if REACHED[-1] < LAST else [])]
SUMMARIES = ("player_game_summary", "team_offense_game_summary", "team_defense_game_summary")
UPCOMING = ("upcoming_player_game_context", "upcoming_team_game_context")
"""These read the schedule of the season so far."""
BEHIND_THEM = ("player_composite_factors", "player_daily_cache", "ml_feature_store_v2")
"""What phase 4 makes from a team's game number, or beside what does; the other two come out the same."""
PRECOMPUTE = (
    "team_defense_zone_analysis",
    "player_shot_zone_analysis",
    "player_composite_factors",
    "player_daily_cache",
    "ml_feature_store_v2",
)


def without_a_game(source: Path, target: Path) -> None:
    """A source folder that has never heard of one game of the date."""
    target.mkdir()
    first = f"SELECT MIN(game_id) FROM '{source}/schedule.parquet' WHERE game_date = DATE '{SPOILED}'"
    for name in FILES:
        less = f"SELECT * FROM '{source}/{name}.parquet' WHERE game_id <> ({first})"
        duckdb.execute(f"COPY ({less}) TO '{target}/{name}.parquet' (FORMAT parquet)")


def run_again(home: Path) -> dict[str, list[str]]:
    """What the second run made, by processor: its dates."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as warehouse:
        rows = warehouse.execute(
            "SELECT processor_name, phase, CAST(data_date AS VARCHAR) FROM nba_reference.processor_run_history "
            "WHERE run_id <> 'r' ORDER BY 3"
        ).fetchall()
    found: dict[str, list[str]] = {}
    for processor, phase, day in rows:
        found.setdefault(phase if phase.endswith(("scrapers", "raw")) else processor, []).append(day)
    return {name: list(dict.fromkeys(days)) for name, days in found.items()}


def differences(home: Path, clean: Path) -> dict[str, int]:
    """By table: rows that only one of two homes has."""
    found: dict[str, int] = {}
    with duckdb.connect() as both:
        for name, folder in (("mended", home), ("clean", clean)):
            both.execute(f"ATTACH '{folder / 'warehouse.duckdb'}' AS {name} (READ_ONLY)")
        columns: dict[str, list[str]] = {}
        for dataset, table, column in both.execute(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE table_catalog = 'clean'"
        ).fetchall():
            columns.setdefault(f"{dataset}.{table}", []).append(column)
        for table, names in columns.items():
            dated = [name for name in names if name in ("game_date", "analysis_date", "cache_date")]
            if "_fence" not in names or not dated:
                continue
            kept = ", ".join(f'"{name}"' for name in names if name != "_fence")
            sides: Any = [f"SELECT {kept} FROM {side}.{table}" for side in ("mended", "clean")]
            asked = " UNION ALL ".join(f"({one} EXCEPT ALL {other})" for one, other in (sides, sides[::-1]))
            found[table] = len(both.execute(asked).fetchall())
    assert len(found) > 25
    return {table: rows for table, rows in found.items() if rows}


def test_a_game_that_is_put_back_is_repaired_as_far_as_windows_contents_and_the_season_reach(
    source_folder: Path, tmp_path: Path
) -> None:
    source, home, clean = tmp_path / "source", tmp_path / "home", tmp_path / "clean"
    without_a_game(source_folder, source)
    words = ("--pipeline", NBA_PIPELINE, "--source", source, *SELECTED)
    assert run_command("run", *words, "--run-id", "r", home=home).returncode == 0
    for name in FILES:
        shutil.copy(source_folder / f"{name}.parquet", source / f"{name}.parquet")

    shown = as_json(run_command("repair", *words, "--json", home=home))
    assert shown["dates"] == OF_ITS_SEASON
    stale = {ref.partition("/")[2]: of_ref for ref, of_ref in shown["stale"].items()}
    assert {name: list(of_ref) for name, of_ref in stale.items()} == dict.fromkeys(UPCOMING, OF_ITS_SEASON), (
        "its raw tables do not pass, and the calendar is another one; nothing else is wrong yet"
    )
    why = f"made from another calendar: its season up to {LAST} had other numbers or keys then"
    assert {of_ref[LAST] for of_ref in stale.values()} == {why}
    assert run_command("repair", *words, "--yes", home=home).returncode == 0
    expected = {name: [SPOILED] for name in ("phase_1_scrapers", "phase_2_raw", *SUMMARIES)}
    expected |= dict.fromkeys(UPCOMING, OF_ITS_SEASON)
    if FULL:
        late = [day for day in REACHED if day >= AFTER_BOOTSTRAP]
        expected |= {name: [*late, LAST] if name in BEHIND_THEM else late for name in PRECOMPUTE}
    assert run_again(home) == expected
    assert run_command("run", *words, "--run-id", "r", home=clean).returncode == 0
    assert differences(home, clean) == {}
    assert "nothing to repair" in run_command("repair", *words, home=home).stdout
