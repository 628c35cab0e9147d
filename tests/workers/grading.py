"""Grading and feedback a second time, in plain Python over box scores and predictions: shares no code with the product.

Figures are not rounded.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from math import sqrt
from typing import Any

Row = dict[str, Any]
Values = dict[Any, Row]

SYSTEM_WINDOW_DATES = 30
"""Game dates that an adjustment is made from, the date itself among them."""

LEAST_ROWS = 20
"""Graded rows below which nothing is adjusted."""


def mean(values: Iterable[float]) -> float | None:
    """The mean of some values; None where there are none."""
    values = list(values)
    return sum(values) / len(values) if values else None


def known(rows: Sequence[Row], column: str) -> list[Any]:
    """The values of a column that are there."""
    return [row[column] for row in rows if row[column] is not None]


def share(rows: Sequence[Row], is_meant: Callable[[Row], bool]) -> float | None:
    """The share of the rows that is meant."""
    return mean(1.0 if is_meant(row) else 0.0 for row in rows)


def tier_of(points: float) -> str:
    """The scoring tier of so many predicted points."""
    return next(
        name for name, most in (("BENCH", 8), ("ROTATION", 15), ("STARTER", 22), ("STAR", 1e9)) if points < most
    )


class Grading:
    """What was predicted of some seasons, beside what was played in them."""

    def __init__(
        self, seasons: Mapping[str, Sequence[date]], predictions: Iterable[Row], appearances: Iterable[Row]
    ) -> None:
        """seasons: the game dates of each, ascending. predictions: rows of the table that holds them. appearances: rows
        of the players' box scores."""
        self.season_of = {day: list(days) for days in seasons.values() for day in days}
        self.predictions: dict[date, list[Row]] = defaultdict(list)
        for made in predictions:
            self.predictions[made["game_date"]].append(made)
        self.games: dict[int, list[Row]] = defaultdict(list)
        for row in sorted(appearances, key=lambda row: (row["game_date"], row["game_id"])):
            self.games[row["player_id"]].append(row)
        self.accuracy = cache(self._accuracy)

    def so_far(self, day: date) -> list[date]:
        """The game dates of the date's season, up to it and with it."""
        return [other for other in self.season_of[day] if other <= day]

    def season_average(self, player: int, day: date) -> float | None:
        """A player's points in a game of the season before a date."""
        earlier = set(self.so_far(day)) - {day}
        return mean(row["points"] for row in self.games[player] if row["game_date"] in earlier)

    def _accuracy(self, day: date) -> Values:
        """The grades of a date, by player and system."""
        found: Values = {}
        for made in self.predictions[day]:
            played = [row for row in self.games[made["player_id"]] if row["game_date"] == day]
            if not played:
                continue
            points, line = played[0]["points"], made["points_line"]
            average = self.season_average(made["player_id"], day)
            result = None if line is None else "PUSH" if points == line else "OVER" if points > line else "UNDER"
            told = made["recommendation"] in ("OVER", "UNDER") and result not in (None, "PUSH")
            found[made["player_id"], made["system_id"]] = {
                **{name: made[name] for name in ("predicted_points", "confidence_score", "recommendation")},
                **{name: played[0][name] for name in ("game_id", "season", "team", "minutes")},
                "points_line": line,
                "actual_points": points,
                "season_average": average,
                "signed_error": made["predicted_points"] - points,
                "absolute_error": abs(made["predicted_points"] - points),
                "season_average_error": None if average is None else abs(average - points),
                "line_result": result,
                "is_correct": made["recommendation"] == result if told else None,
            }
        return found

    def _of(self, system: str, days: Iterable[date]) -> list[Row]:
        return [row for day in days for (_, name), row in self.accuracy(day).items() if name == system]

    def _systems(self, day: date) -> set[str]:
        return {made["system_id"] for made in self.predictions[day]}

    def daily(self, day: date) -> Values:
        """How each system did on a date, by system."""
        found: Values = {}
        for system in self._systems(day):
            rows = self._of(system, [day])
            found[system] = {
                "predictions": sum(1 for made in self.predictions[day] if made["system_id"] == system),
                "graded": len(rows),
                "mean_absolute_error": mean(known(rows, "absolute_error")),
                "mean_error": mean(known(rows, "signed_error")),
                "within_3": share(rows, lambda row: row["absolute_error"] <= 3),
                "within_5": share(rows, lambda row: row["absolute_error"] <= 5),
                "season_average_mae": mean(known(rows, "season_average_error")),
                "recommendations": len(known(rows, "is_correct")),
                "correct": sum(known(rows, "is_correct")),
            }
        return found

    def summary(self, day: date) -> Values:
        """How each system of a date has done in its season so far, by system."""
        found: Values = {}
        for system in self._systems(day):
            rows = self._of(system, self.so_far(day))
            compared = [row for row in rows if row["season_average_error"] is not None]
            squares = mean(row["signed_error"] ** 2 for row in rows)
            told = known(rows, "is_correct")
            found[system] = {
                "dates": sum(1 for other in self.so_far(day) if self._of(system, [other])),
                "graded": len(rows),
                "mean_absolute_error": mean(known(rows, "absolute_error")),
                "root_mean_squared_error": None if squares is None else sqrt(squares),
                "mean_error": mean(known(rows, "signed_error")),
                "season_average_mae": mean(known(compared, "season_average_error")),
                "mean_absolute_error_compared": mean(known(compared, "absolute_error")),
                "compared": len(compared),
                "recommendations": len(told),
                "correct": sum(told),
                "correct_share": mean(map(float, told)),
            }
        return found

    def tiers(self, day: date) -> Values:
        """By how much each system of a date has missed lately, by system and scoring tier."""
        found: Values = {}
        for system in self._systems(day):
            rows = self._of(system, self.so_far(day)[-SYSTEM_WINDOW_DATES:])
            for tier in ("BENCH", "ROTATION", "STARTER", "STAR"):
                missed = [row["signed_error"] for row in rows if tier_of(row["predicted_points"]) == tier]
                error = mean(missed)
                found[system, tier] = {
                    "graded": len(missed),
                    "mean_error": error,
                    "adjustment": 0.0 if error is None or len(missed) < LEAST_ROWS else -error,
                }
        return found
