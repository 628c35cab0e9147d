"""Whole seasons through phases 1 to 4, and what the tables then hold, against the source's own files."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.conftest import FULL, NBA_PIPELINE, as_json, run_command

SEASONS = ("2022-23", "2023-24") if FULL else ("2023-24",)
FIRST_DAYS = {"2022-23": date(2022, 10, 18), "2023-24": date(2023, 10, 24)}
FIRST_WEEKS = {season: [FIRST_DAYS[season] + timedelta(days=n) for n in range(7)] for season in SEASONS}
"""The first seven calendar days of the seasons, from the league's calendar: 18 to 24 October 2022, 24 to 30 in 2023."""


class Backfilled:
    """A home after the run, and the source it ran on."""

    def __init__(self, home: Path, source: Path, summary: dict[str, Any]) -> None:
        self.home, self.source, self.summary = home, source, summary
        self._tables = duckdb.connect(str(home / "warehouse.duckdb"), read_only=True)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query; ``{schedule}``, ``{teams}``, ``{players}`` stand for the source's files."""
        seasons = ", ".join(f"'{s}'" for s in SEASONS)
        files = {
            name: f"(SELECT * FROM '{self.source}/{file}.parquet' WHERE season IN ({seasons}))"
            for name, file in (("schedule", "schedule"), ("teams", "team_boxscores"), ("players", "player_boxscores"))
        }
        return self._tables.execute(sql.format(**files)).fetchall()

    def close(self) -> None:
        """Let go of the warehouse."""
        self._tables.close()


@pytest.fixture(scope="module")
def backfilled(source_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfilled]:
    home = tmp_path_factory.mktemp("season") / "home"
    seasons = [word for season in SEASONS for word in ("--season", season)]
    chosen = ("--pipeline", NBA_PIPELINE, "--source", source_folder, "--profile", "historical", *seasons)
    done = run_command("run", *chosen, "--run-id", "whole", "--json", home=home)
    assert done.returncode == 0, done.stderr + done.stdout
    found = Backfilled(home, source_folder, as_json(done))
    yield found
    found.close()


def test_every_phase_passes_on_every_date_and_only_the_bootstrap_is_skipped(backfilled: Backfilled) -> None:
    dates = backfilled.ask("SELECT COUNT(DISTINCT game_date) FROM {schedule}")[0][0]
    assert backfilled.summary["status"] == "completed"
    for phase, counts in backfilled.summary["phases"].items():
        skipped = sum(map(len, FIRST_WEEKS.values())) if phase == "phase_4_precompute" else 0
        expected = {"dates": dates, "passed": dates - skipped, "skipped": skipped}
        assert counts == {**dict.fromkeys(counts, 0), **expected}, phase
    assert backfilled.summary["missing"] == []


@pytest.mark.parametrize(
    ("table", "demanded"),
    [
        ("nba_raw.bdl_games", "SELECT game_date, COUNT(*) FROM {schedule} GROUP BY 1"),
        ("nba_raw.nbac_team_boxscore", "SELECT game_date, COUNT(*) FROM {teams} GROUP BY 1"),
        ("nba_raw.nbac_player_boxscore", "SELECT game_date, COUNT(*) FROM {players} GROUP BY 1"),
        ("nba_analytics.team_offense_game_summary", "SELECT game_date, 2 * COUNT(*) FROM {schedule} GROUP BY 1"),
        ("nba_analytics.team_defense_game_summary", "SELECT game_date, 2 * COUNT(*) FROM {schedule} GROUP BY 1"),
        ("nba_analytics.player_game_summary", "SELECT game_date, COUNT(*) FROM {players} GROUP BY 1"),
        ("nba_analytics.upcoming_team_game_context", "SELECT game_date, 2 * COUNT(*) FROM {schedule} GROUP BY 1"),
    ],
)
def test_a_table_holds_on_every_date_the_rows_that_the_source_demands(
    backfilled: Backfilled, table: str, demanded: str
) -> None:
    there = backfilled.ask(f"SELECT game_date, COUNT(*) FROM {table} GROUP BY 1")
    assert sorted(there) == sorted(backfilled.ask(demanded))


@pytest.mark.parametrize(
    ("table", "column"),
    [("team_offense_game_summary", "points"), ("player_game_summary", "points")],
)
def test_points_by_team_and_date_equal_the_source(backfilled: Backfilled, table: str, column: str) -> None:
    there = backfilled.ask(f"SELECT game_date, team, SUM({column}) FROM nba_analytics.{table} GROUP BY 1, 2")
    assert sorted(there) == sorted(backfilled.ask("SELECT game_date, team, SUM(points) FROM {teams} GROUP BY 1, 2"))


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("nba_precompute.team_defense_zone_analysis", "analysis_date"),
        ("nba_precompute.player_shot_zone_analysis", "analysis_date"),
        ("nba_precompute.player_composite_factors", "game_date"),
        ("nba_precompute.player_daily_cache", "cache_date"),
        ("nba_predictions.ml_feature_store_v2", "game_date"),
    ],
)
def test_phase_4_is_empty_on_exactly_the_first_seven_days_of_each_season(
    backfilled: Backfilled, table: str, column: str
) -> None:
    empty = backfilled.ask(
        f"SELECT DISTINCT game_date FROM {{schedule}} WHERE game_date NOT IN (SELECT {column} FROM {table})"
    )
    first_weeks = {day for week in FIRST_WEEKS.values() for day in week}
    game_dates = {row[0] for row in backfilled.ask("SELECT DISTINCT game_date FROM {schedule}")}
    assert {row[0] for row in empty} == first_weeks & game_dates


def test_the_season_has_its_known_size(backfilled: Backfilled) -> None:
    games, team_rows = backfilled.ask(
        "SELECT COUNT(DISTINCT game_id), COUNT(*) FROM nba_analytics.team_offense_game_summary"
    )[0]
    assert (games, team_rows) == (len(SEASONS) * 1_230, len(SEASONS) * 2_460)
    if "shared" in str(backfilled.source):
        season = "SELECT COUNT(*) FROM nba_analytics.player_game_summary WHERE game_date >= '2023-10-24'"
        assert backfilled.ask(season) == [(26_401,)]


def test_the_history_has_one_row_an_attempt_all_proved(backfilled: Backfilled) -> None:
    tasks = backfilled.summary["tasks"]["expected"] - 7 * 5 * len(SEASONS)  # nothing is due in a season's first week
    keys = "run_id, data_date, phase, processor_name, attempt"
    counted = backfilled.ask(
        f"SELECT COUNT(*), COUNT(DISTINCT ({keys})), COUNT(*) FILTER (proved) FROM nba_reference.processor_run_history"
    )
    assert counted == [(tasks, tasks, tasks)]


def test_a_second_run_finds_everything_there_and_changes_nothing(backfilled: Backfilled) -> None:
    tables = (
        "nba_raw.nbac_player_boxscore",
        "nba_analytics.player_game_summary",
        "nba_predictions.ml_feature_store_v2",
    )
    content = {t: backfilled.ask(f"SELECT COUNT(*), SUM(HASH(t)) FROM {t} AS t") for t in tables}
    backfilled.close()
    chosen = ("--pipeline", NBA_PIPELINE, "--source", backfilled.source, "--profile", "historical")
    chosen += ("--season", SEASONS[-1])
    done = run_command("run", *chosen, "--json", home=backfilled.home)
    assert done.returncode == 0, done.stderr
    again = Backfilled(backfilled.home, backfilled.source, as_json(done))
    try:
        assert {t: again.ask(f"SELECT COUNT(*), SUM(HASH(t)) FROM {t} AS t") for t in tables} == content
        runs = again.ask("SELECT DISTINCT run_id FROM nba_reference.processor_run_history")
        assert runs == [("whole",)], "the second run made no attempt"
    finally:
        again.close()
