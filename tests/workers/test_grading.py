"""Grading and feedback are computed twice: by the pipeline's SQL, and in plain Python from box scores and predictions.

The worlds are drawn from a seed, and have in them what is seldom: players who do not play, or play unforeseen, or twice
on a date; dates without predictions, or with nothing but a postponed game; systems that are missing; lines that are met
exactly.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.json_lines import json_lines
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.checks import registry
from phasegate.domain.checks.subject import CheckSubject
from phasegate.domain.spec.checks import Check, name_of
from phasegate.domain.state.facts import BLOCK, PASS, Verdict
from phasegate.ports import Partition
from phasegate.services.starting.own_tables import make_own_tables
from tests.nba_sql import NBA, PREDICTIONS, calendar_of, run_sql_batch
from tests.workers.conftest import SEASON, Played
from tests.workers.grading import Grading, Row
from tests.workers.reference import Reference

GRADED = {
    "prediction_accuracy": ("accuracy", ("player_id", "system_id")),
    "system_daily_performance": ("daily", ("system_id",)),
    "prediction_performance_summary": ("summary", ("system_id",)),
    "scoring_tier_adjustments": ("tiers", ("system_id", "scoring_tier")),
}
"""Each processor after those that it reads: its second computation, and what tells its rows apart."""

OF_AVERAGES = ("season_average", "season_average_error", "season_average_mae")
"""Made from a player's average, which is kept in whole hundredths."""

PLAYED, PREDICTED = "nba_analytics.player_game_summary", "nba_predictions.player_prop_predictions"
FIRST = date(2022, 10, 18)


@dataclass(frozen=True)
class World:
    """Some seasons in a warehouse: what was predicted, what was played, and nothing graded yet."""

    warehouse: DuckDbWarehouse
    """Where all of it lies."""
    calendar: Calendar
    """Its game dates."""
    grading: Grading
    """The second computation over the same rows."""

    @property
    def days(self) -> list[date]:
        """All game dates, ascending."""
        return [each.day for each in self.calendar.dates]

    def grade(self, days: Sequence[date], fence: int = 1) -> dict[tuple[str, date], dict[str, Any]]:
        """Grade dates together; the results by processor and date."""
        found: dict[tuple[str, date], dict[str, Any]] = {}
        for name in GRADED:
            answers = run_sql_batch(self.warehouse, self.calendar, name, dict.fromkeys(days, fence))
            for day, (status, body) in answers.items():
                assert status == 200, (name, day, body)
                found[name, day] = body["results"][name]
        return found

    def rows(self, name: str, day: date) -> dict[Any, Row]:
        """The rows of a date, by what tells them apart."""
        _, keys = GRADED[name]
        rows = self.warehouse.query(
            f"SELECT * EXCEPT (_fence) FROM {PREDICTIONS[name].table} WHERE game_date = @d", {"d": day}
        )
        found = {tuple(row[key] for key in keys) if len(keys) > 1 else row[keys[0]]: row for row in rows}
        assert len(found) == len(rows)
        return found

    def rewrite(self, name: str, day: date, select: str) -> None:
        """Put other rows in the place of a date's: what a SELECT over ``rows`` makes of those that are there."""
        table = PREDICTIONS[name].table
        there = f"(SELECT * EXCEPT (_fence) FROM {table} WHERE game_date = @d)"
        others = self.warehouse.query(select.replace("rows", there), {"d": day})
        self.warehouse.load_partition(Partition(table, "game_date", day), json_lines(others), fence=9)

    def verdicts(self, check: Check, name: str, days: Sequence[date]) -> dict[date, Verdict]:
        """What a check of a processor says of some dates."""
        phase, spec, output = PREDICTIONS[name].phase, PREDICTIONS[name].spec, PREDICTIONS[name].output
        subject = CheckSubject(NBA, self.calendar, phase, spec, output, days)
        question = registry.ask(check, subject)
        assert question is not None
        return registry.judge(check, subject, self.warehouse.query(question.sql, question.parameters))


def checks_of(name: str) -> dict[str, Check]:
    """The checks of a processor, and those of its phase, by name."""
    phase = NBA.phase(PREDICTIONS[name].phase)
    return {name_of(check): check for check in phase.checks_of(PREDICTIONS[name].spec)}


def schedule_row(day: date, season: str) -> Row:
    """A final game of a date."""
    return {"game_date": day, "season": season, "season_type": "Regular Season", "game_id": f"{day:%y%m%d}1",
            "home_team": "BOS", "away_team": "NYK", "home_score": 100, "away_score": 90, "game_status": 3}  # fmt: skip


def appearance(day: date, season: str, player: int, points: int, game: int = 1) -> Row:
    """A player's row of a box score, with the columns that grading reads."""
    return {"game_date": day, "game_id": f"{day:%y%m%d}{game}", "season": season, "player_id": player,
            "team": ("BOS", "NYK")[player % 2], "points": points, "minutes": 12 + points}  # fmt: skip


def prediction(day: date, season: str, player: int, system: str, points: float, **more: Any) -> Row:
    """A prediction; more: its ``points_line`` and ``recommendation``, where it has them."""
    return {"game_date": day, "game_id": f"{day:%y%m%d}1", "season": season, "player_id": player,
            "player_lookup": f"player{player}", "team": ("BOS", "NYK")[player % 2],
            "opponent": ("NYK", "BOS")[player % 2], "system_id": system, "predicted_points": points,
            "confidence_score": 75.5, "points_line": None, "recommendation": None} | more  # fmt: skip


def by_date(rows: Sequence[Row]) -> dict[date, list[Row]]:
    """The rows of each date."""
    found: dict[date, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["game_date"]].append(row)
    return found


MakeWorld = Callable[[Sequence[Row], Sequence[Row], Sequence[Row]], World]
"""From rows of the schedule, of box scores, and of predictions."""


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    made: list[DuckDbWarehouse] = []

    def make(schedule: Sequence[Row], appearances: Sequence[Row], predictions: Sequence[Row]) -> World:
        warehouse = DuckDbWarehouse(tmp_path / f"{len(made)}.duckdb")
        made.append(warehouse)
        make_own_tables(NBA, NBA.phase_names, warehouse)
        for script in NBA.schema_texts.values():
            warehouse.apply_schema(script)
        warehouse.replace_table(NBA.calendar.table, json_lines(schedule))
        for table, rows in ((PLAYED, appearances), (PREDICTED, predictions)):
            for day, of_date in by_date(rows).items():
                warehouse.load_partition(Partition(table, "game_date", day), json_lines(of_date), 1)
        seasons: dict[str, set[date]] = defaultdict(set)
        for row in schedule:
            if row["game_status"] == 3:
                seasons[row["season"]].add(row["game_date"])
        in_order = {season: sorted(days) for season, days in seasons.items()}
        return World(warehouse, calendar_of(warehouse), Grading(in_order, predictions, appearances))

    yield make
    for warehouse in made:
        warehouse.close()


def drawn(seed: int) -> tuple[list[Row], list[Row], list[Row]]:
    """Two seasons of a small league: rows of the schedule, of box scores, and of predictions."""
    random = Random(seed)
    schedule, appearances, predictions = [], [], []
    day = FIRST
    for season, dates in (("2022-23", 44), ("2023-24", 12)):
        for number in range(dates):
            schedule.append(schedule_row(day, season))
            is_quiet = random.random() < 0.08
            systems = [system for system in ("ensemble_v1", "average", "boosted") if random.random() < 0.85]
            for player in range(1, 15):
                form = 2 * player * random.choice((0.5, 1, 1, 1.2))
                if random.random() < 0.6 and not (player == 14 and number < 20):
                    game = 2 if random.random() < 0.1 else 1
                    appearances.append(appearance(day, season, player, round(form), game))
                    if random.random() < 0.05:
                        appearances.append(appearance(day, season, player, round(form) + 3, game=game + 1))
                line = random.choice((None, round(form), round(form), 2 * player + 0.5))
                for system in () if is_quiet or number < 7 or random.random() < 0.2 else systems:
                    points = random.choice((8.0, 15.0, 22.0, round(form * random.uniform(0.6, 1.5), 2)))
                    told = None if line is None else random.choice(("OVER", "UNDER", "PASS"))
                    predictions.append(
                        prediction(day, season, player, system, points, points_line=line, recommendation=told)
                    )
            days = random.choice((1, 1, 1, 2, 5))
            if days > 1:
                schedule.append(schedule_row(day + timedelta(days=1), season) | {"game_status": 4})
            day += timedelta(days=days)
        day += timedelta(days=20)
    return schedule, appearances, predictions


def assert_same(world: World, name: str, day: date) -> None:
    """The rows of a date are those of the second computation, each figure to half a unit of its last place."""
    expected = getattr(world.grading, GRADED[name][0])(day)
    found = world.rows(name, day)
    assert found.keys() == expected.keys(), (name, day)
    for key, values in expected.items():
        for column, value in values.items():
            places = 2 if name == "prediction_accuracy" or column in OF_AVERAGES else 4
            slack = 0.5 * 10**-places + (0.5e-2 if column == "season_average_error" else 0) + 1e-9
            wanted = pytest.approx(value, abs=slack, rel=0) if isinstance(value, float) else value
            assert found[key][column] == wanted, (name, day, key, column)


@pytest.mark.parametrize("seed", range(4))
def test_a_second_computation_grades_drawn_worlds_alike(make_world: MakeWorld, seed: int) -> None:
    world = make_world(*drawn(seed))
    results = world.grade(world.days)
    rows = dict.fromkeys(GRADED, 0)
    for name in GRADED:
        for day in world.days:
            if results[name, day]["message"].startswith("bootstrap: "):
                assert world.rows(name, day) == {}
            else:
                assert_same(world, name, day)
            rows[name] += results[name, day]["rows"]
    assert all(rows.values())
    for name in GRADED:
        days = [day for day in world.days if results[name, day]["rows"]]
        for check in checks_of(name).values():
            assert {verdict.outcome for verdict in world.verdicts(check, name, days).values()} == {PASS}, (name, check)


def test_dates_that_are_graded_together_have_the_rows_and_answers_of_dates_that_are_graded_alone(
    make_world: MakeWorld,
) -> None:
    world = make_world(*drawn(seed=7))

    def graded(size: int, fence: int) -> tuple[Any, Any]:
        results: dict[tuple[str, date], dict[str, Any]] = {}
        for first in range(0, len(world.days), size):
            results |= world.grade(world.days[first : first + size], fence)
        rows = {
            name: sorted(map(repr, world.warehouse.query(f"SELECT * EXCEPT (_fence) FROM {PREDICTIONS[name].table}")))
            for name in GRADED
        }
        return results, rows

    alone = graded(1, fence=2)
    assert all(alone[1].values())
    for fence, size in enumerate((7, 20), start=3):
        for name in GRADED:
            world.warehouse.delete_dates(PREDICTIONS[name].table, "game_date", world.days)
        assert graded(size, fence) == alone


@pytest.fixture
def real(league: Played, reference: Reference, make_world: MakeWorld) -> World:
    """The league's dates, whose players are predicted from their averages with an error that is drawn from a seed."""
    random, predictions = Random(5), []
    for row in league.warehouse.query(
        "SELECT game_date, season, player_id, points_avg_l10 FROM nba_predictions.ml_feature_store_v2 "
        "ORDER BY game_date, player_id"
    ):
        average = row["points_avg_l10"]
        line = random.choice((None, round(average), round(average) + 0.5))
        for system, spread in (("near", 1.0), ("far", 6.0)):
            points = round(max(0.0, average + random.uniform(-spread, spread)), 2)
            told = (
                None if line is None else "OVER" if points > line + 0.5 else "UNDER" if points < line - 0.5 else "PASS"
            )
            more = {"points_line": line, "recommendation": told}
            predictions.append(prediction(row["game_date"], SEASON, row["player_id"], system, points, **more))
    schedule = league.warehouse.query(f"SELECT * FROM {NBA.calendar.table} WHERE season = @s", {"s": SEASON})
    final = [row for row in schedule if row["game_status"] == 3 and row["game_date"] in league.days]
    columns = ("game_date", "game_id", "season", "player_id", "team", "points", "minutes")
    played = [{c: row[c] for c in columns} for row in reference.appearances if row["game_date"] in league.days]
    return make_world(final, played, predictions)


def test_a_second_computation_grades_sampled_dates_of_the_league_alike(league: Played, real: World) -> None:
    real.grade(league.days)
    for name in GRADED:
        for position in (8, 15, 29):
            assert_same(real, name, league.days[position])
            assert real.rows(name, league.days[position])


@pytest.fixture
def graded(make_world: MakeWorld) -> tuple[World, date]:
    """A world of one graded date, and the date: a case that is seldom with each player."""
    before, day, season = FIRST, FIRST + timedelta(days=10), "2022-23"
    appearances = [appearance(before, season, player, 10) for player in (1, 2, 3, 4, 5)]
    appearances += [appearance(day, season, player, 20) for player in (1, 2, 4, 6)]
    predictions = [
        prediction(day, season, 1, "s", 25.0, points_line=20.0, recommendation="OVER"),
        prediction(day, season, 2, "s", 14.5),
        prediction(day, season, 3, "s", 9.0, points_line=9.5, recommendation="UNDER"),
        prediction(day, season, 6, "s", 7.75, points_line=12.5, recommendation="UNDER"),
    ]
    world = make_world([schedule_row(each, season) for each in (before, day)], appearances, predictions)
    world.grade([before, day])
    return world, day


def test_a_push_is_neither_right_nor_wrong(graded: tuple[World, date]) -> None:
    world, day = graded
    row = world.rows("prediction_accuracy", day)[1, "s"]
    assert (row["line_result"], row["recommendation"], row["is_correct"]) == ("PUSH", "OVER", None)
    assert (row["signed_error"], row["season_average"], row["season_average_error"]) == (5.0, 10.0, 10.0)


def test_without_a_line_nothing_is_over_or_under(graded: tuple[World, date]) -> None:
    world, day = graded
    row = world.rows("prediction_accuracy", day)[2, "s"]
    assert (row["points_line"], row["line_result"], row["is_correct"]) == (None, None, None)
    assert (row["signed_error"], row["absolute_error"]) == (-5.5, 5.5)


def test_who_did_not_play_and_who_was_not_predicted_have_no_grade(graded: tuple[World, date]) -> None:
    world, day = graded
    assert world.rows("prediction_accuracy", day).keys() == {(1, "s"), (2, "s"), (6, "s")}
    row = world.rows("system_daily_performance", day)["s"]
    assert (row["predictions"], row["graded"], row["recommendations"], row["correct"]) == (4, 3, 1, 0)


def test_a_system_of_which_nobody_played_has_its_rows_without_figures(make_world: MakeWorld) -> None:
    season, day = "2022-23", FIRST + timedelta(days=10)
    predictions = [prediction(day, season, player, f"s{player}", 9.0) for player in (1, 2)]
    world = make_world(
        [schedule_row(each, season) for each in (FIRST, day)], [appearance(day, season, 1, 9)], predictions
    )
    world.grade([day])
    row = world.rows("system_daily_performance", day)["s2"]
    assert (row["predictions"], row["graded"], row["mean_absolute_error"], row["within_3"]) == (1, 0, None, None)
    row = world.rows("prediction_performance_summary", day)["s2"]
    assert (row["dates"], row["graded"], row["mean_absolute_error"], row["correct_share"]) == (0, 0, None, None)
    row = world.rows("scoring_tier_adjustments", day)["s2", "ROTATION"]
    assert (row["graded"], row["mean_error"], row["adjustment"]) == (0, None, 0.0)
    for name in GRADED:
        for check in checks_of(name).values():
            assert world.verdicts(check, name, [day])[day].outcome == PASS


def test_a_first_game_of_the_season_is_graded_and_compared_with_nothing(graded: tuple[World, date]) -> None:
    world, day = graded
    row = world.rows("prediction_accuracy", day)[6, "s"]
    assert (row["season_average"], row["season_average_error"], row["absolute_error"]) == (None, None, 12.25)
    assert (row["line_result"], row["is_correct"]) == ("OVER", False)
    season = world.rows("prediction_performance_summary", day)["s"]
    assert (season["dates"], season["graded"], season["compared"]) == (1, 3, 2)
    assert (season["mean_absolute_error"], season["mean_absolute_error_compared"]) == (7.5833, 5.25)
    assert (season["season_average_mae"], season["correct_share"]) == (10.0, 0.0)


def test_a_tier_of_fewer_than_twenty_rows_adjusts_nothing(make_world: MakeWorld) -> None:
    season, day = "2022-23", FIRST + timedelta(days=10)
    counts = {"BENCH": (7.99, 19), "ROTATION": (8.0, 20), "STARTER": (15.0, 21)}
    predictions = []
    for points, count in counts.values():
        for _ in range(count):
            predictions.append(prediction(day, season, len(predictions) + 1, "s", points))
    appearances = [appearance(day, season, made["player_id"], 10) for made in predictions]
    world = make_world([schedule_row(each, season) for each in (FIRST, day)], appearances, predictions)
    world.grade([day])
    found = {tier: row for (_, tier), row in world.rows("scoring_tier_adjustments", day).items()}
    assert {tier: (row["graded"], row["mean_error"], row["adjustment"]) for tier, row in found.items()} == {
        "BENCH": (19, -2.01, 0.0),
        "ROTATION": (20, -2.0, 2.0),
        "STARTER": (21, 5.0, -5.0),
        "STAR": (0, None, 0.0),
    }


def test_dates_of_bootstrap_and_dates_without_predictions_are_rightly_empty(make_world: MakeWorld) -> None:
    season, late = "2022-23", FIRST + timedelta(days=9)
    days = [FIRST, FIRST + timedelta(days=6), late, late + timedelta(days=1)]
    appearances = [appearance(day, season, 1, 10) for day in days]
    world = make_world(
        [schedule_row(day, season) for day in days], appearances, [prediction(late, season, 1, "s", 9.0)]
    )
    results = world.grade(days)
    for name in GRADED:
        assert [results[name, day]["status"] for day in days] == ["empty", "empty", "success", "empty"]
        assert all(results[name, day]["message"].startswith("bootstrap: ") for day in days[:2])
        assert results[name, days[3]]["message"] == PREDICTIONS[name].spec.may_be_empty


@pytest.mark.parametrize(
    ("name", "check", "select", "numbers"),
    [
        ("prediction_accuracy", "each_graded_once", "SELECT * FROM rows WHERE player_id != 1", (3, 2)),
        ("prediction_accuracy", "each_graded_once", "SELECT * FROM rows UNION ALL SELECT * FROM rows", (3, 6)),
        (
            "prediction_accuracy",
            "each_graded_once",
            "SELECT * REPLACE (IF(player_id = 1, 3, player_id) AS player_id) FROM rows",
            (3, 3),
        ),
        ("prediction_accuracy", "duplicates", "SELECT * FROM rows UNION ALL SELECT * FROM rows", (0, 3)),
        (
            "prediction_accuracy",
            "nulls",
            "SELECT * REPLACE (IF(player_id = 1, NULL, absolute_error) AS absolute_error) FROM rows",
            (3, 2),
        ),
        (
            "prediction_accuracy",
            "absolute_error_range",
            "SELECT * REPLACE (IF(player_id = 1, -1.0, absolute_error) AS absolute_error) FROM rows",
            (3, 2),
        ),
        ("system_daily_performance", "all_counted", "SELECT * REPLACE (0 AS graded) FROM rows", (3, 0)),
        ("system_daily_performance", "coverage", "SELECT * REPLACE ('t' AS system_id) FROM rows", (1, 0)),
        ("system_daily_performance", "within_3_range", "SELECT * REPLACE (1.5 AS within_3) FROM rows", (1, 0)),
        ("prediction_performance_summary", "coverage", "SELECT * REPLACE ('t' AS system_id) FROM rows", (1, 0)),
        ("scoring_tier_adjustments", "coverage", "SELECT * REPLACE ('t' AS system_id) FROM rows", (1, 0)),
        ("scoring_tier_adjustments", "all_tiers", "SELECT * FROM rows WHERE scoring_tier != 'STAR'", (4, 3)),
        ("scoring_tier_adjustments", "range", "SELECT * REPLACE (-200.0 AS adjustment) FROM rows", (4, 0)),
    ],
)
def test_a_check_blocks_what_is_planted_and_says_the_numbers(
    graded: tuple[World, date], name: str, check: str, select: str, numbers: tuple[int, int]
) -> None:
    world, day = graded
    world.rewrite(name, day, select)
    verdict = world.verdicts(checks_of(name)[check], name, [day])[day]
    assert (verdict.outcome, (verdict.expected, verdict.found)) == (BLOCK, numbers), verdict.detail


def test_a_date_with_predictions_and_without_one_grade_is_found_by_the_day_of_its_systems(
    graded: tuple[World, date],
) -> None:
    world, day = graded
    world.warehouse.empty_partition(Partition(PREDICTIONS["prediction_accuracy"].table, "game_date", day), fence=9)
    name = "system_daily_performance"
    assert run_sql_batch(world.warehouse, world.calendar, name, {day: 9})[day][0] == 200
    verdict = world.verdicts(checks_of(name)["all_counted"], name, [day])[day]
    assert (verdict.outcome, verdict.detail) == (BLOCK, "0 grades for 3 predictions of players who appeared")
