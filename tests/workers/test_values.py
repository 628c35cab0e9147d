"""Every figure checked here is computed twice: by the pipeline's SQL, and in plain Python from the parquet files."""

from datetime import date
from typing import Any

import pytest

from phasegate.ports import Partition
from tests.workers.conftest import Played
from tests.workers.reference import Reference

TABLES = {
    "nba_raw.nbac_player_boxscore": ("raw_players", "game_date", ("game_id", "player_id")),
    "nba_raw.nbac_team_boxscore": ("raw_teams", "game_date", ("game_id", "team")),
    "nba_analytics.team_offense_game_summary": ("team_offense", "game_date", ("game_id", "team")),
    "nba_analytics.team_defense_game_summary": ("team_defense", "game_date", ("game_id", "team")),
    "nba_analytics.player_game_summary": ("player_summary", "game_date", ("game_id", "player_id")),
    "nba_analytics.upcoming_team_game_context": ("upcoming_team", "game_date", ("game_id", "team")),
    "nba_analytics.upcoming_player_game_context": ("upcoming_player", "game_date", ("player_id",)),
    "nba_precompute.team_defense_zone_analysis": ("team_defense_zones", "analysis_date", ("team",)),
    "nba_precompute.player_shot_zone_analysis": ("player_shot_zones", "analysis_date", ("player_id",)),
    "nba_precompute.player_composite_factors": ("composite_factors", "game_date", ("player_id",)),
    "nba_precompute.player_daily_cache": ("daily_cache", "cache_date", ("player_id",)),
    "nba_predictions.ml_feature_store_v2": ("features", "game_date", ("player_id",)),
}
BEFORE_WINDOW_IS_FULL, AFTER = 9, 27
FIRST_DATES = (0, 1, 4)
TOLERANCE = {
    "usage_avg_l5": 0.011,
    "fatigue_score": 0.015,
    "usage_trend": 0.03,
    "shot_matchup_score": 0.05,
    "pace_score": 0.02,
    "opponent_defense_score": 0.02,
}
"""Where a figure is made from rounded ones; elsewhere half a unit of the last place."""


def half_a_unit(column: str) -> float:
    is_share = column.endswith(("_pct", "_rate", "_share")) and column not in ("completeness_pct", "usage_rate")
    return 0.5e-4 if is_share else 0.5e-2


def assert_same(league: Played, reference: Reference, table: str, day: date) -> None:
    method, date_column, keys = TABLES[table]
    expected = getattr(reference, method)(day)
    found: dict[Any, dict[str, Any]] = {}
    for row in league.rows(table, date_column, day):
        key = tuple(row[column] for column in keys)
        found[key if len(keys) > 1 else key[0]] = row
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        for column, value in values.items():
            tolerance = TOLERANCE.get(column, half_a_unit(column)) + 1e-9
            wanted = pytest.approx(value, abs=tolerance, rel=0) if isinstance(value, float) else value
            assert found[key][column] == wanted, (table, day, key, column)


@pytest.mark.parametrize("position", [BEFORE_WINDOW_IS_FULL, AFTER])
@pytest.mark.parametrize("table", TABLES)
def test_a_second_computation_gives_the_same_figures(
    league: Played, reference: Reference, table: str, position: int
) -> None:
    assert_same(league, reference, table, league.days[position])


@pytest.mark.parametrize("position", FIRST_DATES)
@pytest.mark.parametrize("table", [table for table in TABLES if table.startswith("nba_analytics")])
def test_the_first_dates_of_a_season_look_back_on_what_little_there_is(
    league: Played, reference: Reference, table: str, position: int
) -> None:
    assert_same(league, reference, table, league.days[position])


def test_players_points_add_up_to_their_teams_points(league: Played) -> None:
    wrong = league.warehouse.query(
        "SELECT t.game_id, t.team FROM nba_analytics.team_offense_game_summary AS t "
        "JOIN nba_analytics.player_game_summary AS p ON p.game_id = t.game_id AND p.team = t.team "
        "GROUP BY t.game_id, t.team, t.points HAVING SUM(p.points) != t.points"
    )
    assert wrong == []


def test_usage_rates_lie_between_nothing_and_everything(league: Played) -> None:
    (row,) = league.warehouse.query(
        "SELECT MIN(usage_rate) AS low, MAX(usage_rate) AS high, COUNTIF(usage_rate IS NULL AND minutes >= 3) AS gaps "
        "FROM nba_analytics.player_game_summary"
    )
    assert row["low"] >= 0
    assert row["high"] <= 100
    assert row["gaps"] == 0


def test_nothing_of_the_date_itself_flows_into_what_is_known_before_it(league: Played) -> None:
    day = league.days[AFTER]
    tables = [table for table in TABLES if "upcoming" in table or "precompute" in table or "predictions" in table]
    before = [league.rows(table, TABLES[table][1], day) for table in tables]
    for name in ("player_game_summary", "team_offense_game_summary", "team_defense_game_summary"):
        league.warehouse.empty_partition(Partition(f"nba_analytics.{name}", "game_date", day), fence=1)
    for path, table in (("phase_3_analytics", t) if "analytics" in t else ("phase_4_precompute", t) for t in tables):
        assert league.ask(path, table.partition(".")[2], day)[0] == 200
    assert [league.rows(table, TABLES[table][1], day) for table in tables] == before
    league.process(day)
