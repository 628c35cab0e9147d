"""A betting line that may not be used blocks its date with the sentence of the reader, and no other one."""

from pathlib import Path

import duckdb

from tests.conftest import NBA_PIPELINE, as_json, run_command

SPOILED, OTHER = "2023-10-26", "2023-10-27"


def test_a_bad_betting_line_blocks_its_date_with_the_sentence(source_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("schedule", "team_boxscores", "player_boxscores"):
        rows = f"SELECT * FROM '{source_folder}/{name}.parquet' WHERE season = '2023-24' AND game_date < '2023-11-03'"
        duckdb.sql(f"COPY ({rows}) TO '{folder}/{name}.parquet'")
    lines = (
        "SELECT DISTINCT game_date, player_id, 20.5 AS points_line, -110 AS over_odds, -110 AS under_odds "
        f"FROM '{folder}/player_boxscores.parquet'"
    )
    twice = f"SELECT * FROM ({lines}) UNION ALL (SELECT * FROM ({lines}) WHERE game_date = '{SPOILED}' LIMIT 1)"
    duckdb.sql(f"COPY ({twice}) TO '{folder}/props.parquet'")
    home = tmp_path / "home"
    selected = ("--pipeline", NBA_PIPELINE, "--source", folder, "--from", "2023-10-24", "--to", OTHER)
    run = as_json(run_command("run", *selected, "--run-id", "r", "--json", home=home))
    assert run["status"] != "completed"
    said = " ".join(run_command("explain", "r", SPOILED, home=home).stdout.split())
    assert "betting_lines" in said
    assert f"props.parquet: the key (game_date, player_id) = ({SPOILED}, " in said
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        dates = "SELECT DISTINCT CAST(game_date AS VARCHAR) FROM nba_analytics.upcoming_player_game_context ORDER BY 1"
        assert (OTHER,) in connection.execute(dates).fetchall()
    passed = run_command("explain", "r", OTHER, home=home).stdout
    assert "check betting_lines PASS" in passed
