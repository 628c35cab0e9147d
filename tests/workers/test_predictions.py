"""Predictions know nothing of their date or later, and come from the numbers that the page on processors names."""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from nba_worker.boosted_model import SYSTEM
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.ports import Partition
from tests.nba_sql import NBA, PIPELINE, PREDICTIONS, calendar_of, run_sql
from tests.workers.conftest import PREDICTIONS_ORDER, SETTINGS, Played, play, request_body

SYSTEMS = ("moving_average_baseline", "zone_matchup_v1", "similarity_balanced_v1", SYSTEM, "ensemble_v1")
WITH_ALL = 27
"""A date of the league on which each system that can have a row has one."""
WITHOUT_MODEL = 8
"""One before there is a model."""
DATES = 17
"""Dates of which the last two see the third last differ; enough for a model of their own."""


def predictions(played: Played, day: date) -> list[dict[str, Any]]:
    return played.rows("nba_predictions.player_prop_predictions", "game_date", day)


def by_player(played: Played, system: str, day: date) -> dict[int, dict[str, Any]]:
    return {row["player_id"]: row for row in played.rows(f"nba_predictions.predictions_{system}", "game_date", day)}


@pytest.fixture(scope="module")
def others_future(
    source_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Played, date, dict[date, list[dict[str, Any]]]]]:
    """A league, a date of it, and the predictions of that date and later as they were before every raw row of that date
    and later was changed, and all that is made of them made again."""
    played = play(source_folder, tmp_path_factory.mktemp("future"), DATES)
    changed = played.days[-3:]
    for day in changed:
        predict(played, day, fence=2)
    before = {day: predictions(played, day) for day in changed}
    for processor in NBA.phase("phase_2_raw").processors:
        for day in changed:
            change(played.warehouse, f"nba_raw.{processor.name}", day)
    scores = played.warehouse.query("SELECT * FROM nba_raw.nbac_schedule")
    for game in scores:
        if game["game_date"] >= changed[0]:
            game["home_score"], game["away_score"] = 201, 199
    lines = "".join(json.dumps(row, default=str) + "\n" for row in scores)
    played.warehouse.replace_table("nba_raw.nbac_schedule", lines.encode())
    for day in changed:
        for phase in ("phase_3_analytics", "phase_4_precompute"):
            for processor in NBA.phase(phase).processors:  # in the order of what they need
                assert played.ask(phase, processor.name, day, fence=3)[0] == 200
        predict(played, day, fence=3)
    yield played, changed[0], before
    played.warehouse.close()


def predict(played: Played, day: date, fence: int) -> None:
    """Predict a date with a model that has seen all games before it, and few are enough for it."""
    settings = {SYSTEM: {**SETTINGS[SYSTEM], "refit_days": 1, "fewest_rows": 100}}
    body = request_body("/predict", SYSTEM, day, fence, settings=settings)
    assert played.worker.handle("/predict", body)[1]["results"][SYSTEM]["status"] == "success"
    for name in PREDICTIONS_ORDER:
        assert played.ask("phase_5_predictions", name, day, fence)[0] == 200


def change(warehouse: DuckDbWarehouse, table: str, day: date) -> None:
    """Make every count of every row of a date another one."""
    rows = warehouse.query(f"SELECT * EXCEPT (_fence) FROM {table} WHERE game_date = @d", {"d": day})
    for row in rows:
        for name, value in row.items():
            if isinstance(value, int) and not isinstance(value, bool) and name not in ("player_id", "game_status"):
                row[name] = value + 3
    lines = "".join(json.dumps(row, default=str) + "\n" for row in rows)
    if rows:
        warehouse.load_partition(Partition(table, "game_date", day), lines.encode(), 3)


def test_nothing_of_a_date_or_later_touches_its_predictions(
    others_future: tuple[Played, date, dict[date, list[dict[str, Any]]]],
) -> None:
    played, day, before = others_future
    assert {row["system_id"] for row in before[day]} >= {SYSTEM, "ensemble_v1", "similarity_balanced_v1"}
    assert predictions(played, day) == before[day]


def test_what_was_changed_touches_the_predictions_of_the_dates_behind_it(
    others_future: tuple[Played, date, dict[date, list[dict[str, Any]]]],
) -> None:
    played, day, before = others_future
    for later in (each for each in before if each > day):
        for system in ("moving_average_baseline", "similarity_balanced_v1", SYSTEM, "ensemble_v1"):
            now, then = (
                [row for row in rows if row["system_id"] == system]
                for rows in (predictions(played, later), before[later])
            )
            assert now != then, system


def test_every_player_with_features_has_a_prediction_of_every_system_that_applies(league: Played) -> None:
    day = league.days[WITH_ALL]
    players = {row["player_id"] for row in league.rows("nba_predictions.ml_feature_store_v2", "game_date", day)}
    made = defaultdict(set)
    for row in predictions(league, day):
        made[row["system_id"]].add(row["player_id"])
        assert 0 <= row["predicted_points"] <= 100
        assert 0 <= row["confidence_score"] <= 100
    applying = {system for system in SYSTEMS if league.rows(f"nba_predictions.predictions_{system}", "game_date", day)}
    assert applying >= {"moving_average_baseline", "similarity_balanced_v1", SYSTEM, "ensemble_v1"}
    assert made == dict.fromkeys(applying, players)


@pytest.mark.parametrize("position", [WITH_ALL, WITHOUT_MODEL])
def test_the_ensemble_is_the_weighted_mean_of_the_systems_that_have_a_row(league: Played, position: int) -> None:
    day = league.days[position]
    rows = {system: by_player(league, system, day) for system in SYSTEMS}
    assert bool(rows[SYSTEM]) == (position == WITH_ALL)
    for player, row in rows["ensemble_v1"].items():
        taken = [
            (8 if s == SYSTEM else 1, rows[s][player]["predicted_points"]) for s in SYSTEMS[:4] if player in rows[s]
        ]
        mean = sum(weight * points for weight, points in taken) / sum(weight for weight, _ in taken)
        assert row["predicted_points"] == pytest.approx(mean, abs=0.00501)


def test_the_similarity_is_computed_a_second_time(league: Played) -> None:
    day = league.days[WITH_ALL]
    features = {
        each: {row["player_id"]: row for row in league.rows("nba_predictions.ml_feature_store_v2", "game_date", each)}
        for each in league.days
        if each <= day
    }
    points = {
        (each, row["game_id"], row["player_id"]): row["points"]
        for each in features
        for row in league.rows("nba_analytics.player_game_summary", "game_date", each)
    }
    found = by_player(league, "similarity_balanced_v1", day)
    assert found
    for player, row in features[day].items():
        total = weighted = 0
        for each in (d for d in features if d < day and player in features[d]):
            earlier = features[each][player]
            scored = points.get((each, earlier["game_id"], player))
            if scored is None:
                continue
            apart = abs(earlier["opponent_defense_score"] - row["opponent_defense_score"])
            weight = (
                (3 if earlier["is_home"] == row["is_home"] else 2)
                * (4 - min(3, abs(earlier["rest_days"] - row["rest_days"])))
                * (8 - min(7, int(apart + 0.5)))
            )
            total, weighted = total + weight, weighted + weight * scored
        means = 0.3 * row["points_avg_l5"] + 0.3 * row["points_avg_l10"] + 0.4 * row["points_avg_l15"]
        expected = (weighted + (400 + total) * means) / (400 + 2 * total)
        assert found[player]["predicted_points"] == pytest.approx(expected, abs=0.00501)


DAYS = [date(2023, 11, 1), date(2023, 11, 20)]
"""The first date of a made-up season, and one after its bootstrap days."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[DuckDbWarehouse]:
    """A warehouse with a season of two dates, and the features of two players on the second."""
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    for script in sorted((PIPELINE / "schema").glob("*.sql")):
        warehouse.apply_schema(script.read_text())
    schedule = "".join(
        json.dumps({"game_date": str(day), "season": "2023-24", "game_id": str(day), "game_status": 3}) + "\n"
        for day in DAYS
    )
    warehouse.replace_table("nba_raw.nbac_schedule", schedule.encode())
    named = {"game_id": "g", "season": "2023-24", "team": "AAA", "opponent": "BBB", "quality_score": 100.0}
    means = {"points_avg_l5": 20.0, "points_avg_l10": 20.0, "points_avg_l15": 20.0, "points_std_l10": 0.0}
    put(warehouse, "nba_predictions.ml_feature_store_v2", *({**named, **means, "player_id": n} for n in (1, 2)))
    yield warehouse
    warehouse.close()


def put(warehouse: DuckDbWarehouse, table: str, *rows: dict[str, Any], column: str = "game_date") -> None:
    lines = "".join(json.dumps({column: str(DAYS[1]), **row}) + "\n" for row in rows)
    warehouse.load_partition(Partition(table, column, DAYS[1]), lines.encode(), 1)


def made(warehouse: DuckDbWarehouse, name: str, fence: int = 1) -> list[dict[str, Any]]:
    """The rows that a SELECT makes, by player."""
    status, answer = run_sql(warehouse, calendar_of(warehouse), name, DAYS[1], fence)
    assert (status, answer["results"][name]["status"]) in {(200, "success"), (200, "empty")}
    return warehouse.query(f"SELECT * FROM {PREDICTIONS[name].table} ORDER BY player_id")


def test_where_a_player_shoots_and_what_the_opponent_allows_there_moves_his_means(bench: DuckDbWarehouse) -> None:
    shots = {"games_in_window": 5, "fga": 50, "rim_rate": 0.6, "corner3_rate": 0.4}
    put(bench, "nba_precompute.player_shot_zone_analysis", {"player_id": 1, **shots}, column="analysis_date")
    allowed = {"opp_rim_rate": 0.3, "opp_rim_fg_pct": 0.7, "opp_corner3_fg_pct": 0.3}
    league = {"team": "AAA", "opp_rim_rate": 0.3, "opp_rim_fg_pct": 0.6, "opp_corner3_fg_pct": 0.5}
    zones = "nba_precompute.team_defense_zone_analysis"
    put(bench, zones, {"team": "BBB", **allowed}, league, column="analysis_date")
    one, other = made(bench, "zone_matchup_v1")
    # Ten shots a game: at the rim 0.05 above the league's 0.65, in the corners 0.1 below its 0.4.
    assert one["predicted_points"] == pytest.approx(20 + 10 * (2 * 0.6 * 0.05 - 3 * 0.4 * 0.1))
    assert (one["confidence_score"], other["confidence_score"]) == (100, 50)
    assert other["predicted_points"] == 20, "nothing is known of where he shoots"


def test_without_shots_the_zones_have_no_row(bench: DuckDbWarehouse) -> None:
    put(
        bench,
        "nba_precompute.team_defense_zone_analysis",
        {"team": "BBB", "games_in_window": 5},
        column="analysis_date",
    )
    assert made(bench, "zone_matchup_v1") == []


@pytest.mark.parametrize(
    ("line", "recommendation"),
    [(None, None), (18.0, "OVER"), (18.5, "PASS"), (21.5, "PASS"), (22.0, "UNDER")],
)
def test_a_recommendation_needs_a_line_two_points_away(
    bench: DuckDbWarehouse, line: float | None, recommendation: str | None
) -> None:
    row = {"player_id": 1, "predicted_points": 20.0, "confidence_score": 90.0, "points_line": line}
    put(bench, "nba_predictions.predictions_moving_average_baseline", row)
    (union,) = made(bench, "player_prop_predictions")
    assert (union["system_id"], union["points_line"], union["recommendation"]) == (
        "moving_average_baseline",
        line,
        recommendation,
    )
