"""A model of xgboost_v1 is boosted trees over a player's features and his season so far.

The library, and numpy with it, is loaded where a model is made or asked: who runs no predictions needs neither.
"""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from phasegate.domain.errors import InputError
from phasegate.ports import Row

SYSTEM = "xgboost_v1"
"""The processor, and the system of its predictions."""

SCHEMA_VERSION = 1
"""Layout of a model object; one of another layout is not read, and fitted again."""

STORED = (
    "points_avg_l5",
    "points_avg_l10",
    "points_avg_l15",
    "points_std_l10",
    "points_last_game",
    "minutes_avg_l5",
    "minutes_avg_l10",
    "minutes_last_game",
    "reb_avg_l10",
    "ast_avg_l10",
    "usage_avg_l5",
    "usage_avg_l15",
    "points_share",
    "is_home",
    "rest_days",
    "back_to_back",
    "games_last_7_days",
    "fatigue_score",
    "opponent_defense_score",
    "shot_matchup_score",
    "pace_score",
    "usage_trend",
    "composite_score",
    "two_rate",
    "three_rate",
    "ft_points_share",
    "team_offensive_rating",
    "team_pace",
    "opponent_defensive_rating",
    "opponent_pace",
    "opponent_fg3_pct_allowed",
    "opponent_rest_days",
)
"""The columns of ``ml_feature_store_v2`` that a model looks at: all features but the betting line, which many seasons
lack."""

SO_FAR = ("season_games", "season_points", "season_minutes")
"""What the player did on earlier dates of the season, summed up in whole numbers."""

FEATURES = (*STORED, "season_games", "season_points_avg", "season_minutes_avg")
"""What a model looks at, in its order."""

SEASON_SHARE = 0.7
"""The trees correct a start value: so much of the mean of the season so far, and the rest of the mean of 15 games
(found on 2021-22 and 2022-23)."""


class Settings(BaseModel):
    """These settings say when a model is fitted, on what and how; the pipeline file gives them
    (``workers.nba.request.settings.xgboost_v1``)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    refit_days: int = Field(
        ge=1, description="calendar days from fit date to fit date, counted from the season's first"
    )
    window_dates: int = Field(
        ge=1, description="game dates before the fit date whose rows a model is fitted on, at most"
    )
    fewest_rows: int = Field(ge=1, description="rows that it takes to fit a model; with fewer there is none")
    trees: int = Field(ge=1, description="trees of a model")
    depth: int = Field(ge=1, description="levels of a tree below its root, at most")
    learning_rate: float = Field(gt=0, le=1, description="share of what a tree would correct that it does correct")
    leaf_rows: int = Field(ge=1, description="rows that a leaf holds at least")
    column_share: float = Field(gt=0, le=1, description="share of the features that a tree may look at")
    row_share: float = Field(gt=0, le=1, description="share of the rows that a tree is made from")

    @classmethod
    def read(cls, given: Mapping[str, JsonValue]) -> Self:
        """Read the settings of a request. Raises InputError that names what is absent, unknown or out of range."""
        place = f"workers.nba.request.settings.{SYSTEM}"
        try:
            return cls.model_validate(given.get(SYSTEM))
        except ValidationError as error:
            wrong = (".".join((place, *map(str, each["loc"]))) + f": {each['msg']}" for each in error.errors())
            raise InputError("; ".join(wrong)) from error


class Examples:
    """Examples are rows that a model is fitted on or asked about, in order of date and player."""

    def __init__(self, rows: Sequence[Row]) -> None:
        """rows: with ``game_date``, ``player_id``, ``STORED`` and ``SO_FAR``; where they are to be fitted on, with
        ``points``. Needs numpy."""
        import numpy

        self._dates = [row["game_date"] for row in rows]
        names = numpy.array([(row["game_date"].toordinal(), row["player_id"]) for row in rows], dtype="<i8")
        stored = numpy.array([[row[name] for name in STORED] for row in rows], dtype="<f4")
        so_far = numpy.array([[row[name] for name in SO_FAR] for row in rows], dtype="<f4")
        games, sums = so_far[:, :1], so_far[:, 1:]
        self._names = names
        self._values = numpy.hstack([stored, games, sums / games])
        window, season = stored[:, STORED.index("points_avg_l15")], sums[:, 0] / games[:, 0]
        season = numpy.where(numpy.isnan(season), window, season)
        self._start = numpy.nan_to_num(SEASON_SHARE * season + (1 - SEASON_SHARE) * window)
        self._points = numpy.array([row.get("points", 0) for row in rows], dtype="<f4")

    def __len__(self) -> int:
        return len(self._dates)

    def between(self, first: date, end: date) -> "Examples":
        """Return those of the dates from ``first`` to before ``end``."""
        there = slice(bisect_left(self._dates, first), bisect_left(self._dates, end))
        part = object.__new__(Examples)
        part._dates = self._dates[there]
        part._names, part._values = self._names[there], self._values[there]
        part._start, part._points = self._start[there], self._points[there]
        return part

    def fingerprint(self, settings: Settings) -> str:
        """Return the hash of all that a model is made from, but for the library."""
        hashed = hashlib.sha256(json.dumps([settings.model_dump(), FEATURES, SEASON_SHARE]).encode())
        for values in (self._names, self._values, self._start, self._points):
            hashed.update(values.tobytes())
        return hashed.hexdigest()

    def matrix(self) -> Any:
        """Return them as the library takes them."""
        import xgboost

        return xgboost.DMatrix(
            self._values, label=self._points, base_margin=self._start, feature_names=list(FEATURES), nthread=1
        )


def library() -> dict[str, str]:
    """Return name and version of the library. Raises ImportError where it is not installed."""
    import xgboost

    return {"name": "xgboost", "version": xgboost.__version__}


def fit(examples: Examples, settings: Settings) -> dict[str, Any]:
    """Fit trees; the same examples, settings and library give the same trees.

    What is minimised is the mean absolute error of the points. Returns the library's own JSON form.
    """
    import xgboost

    parameters = {
        "objective": "reg:absoluteerror",
        "tree_method": "hist",
        "max_depth": settings.depth,
        "learning_rate": settings.learning_rate,
        "min_child_weight": settings.leaf_rows,
        "colsample_bytree": settings.column_share,
        "subsample": settings.row_share,
        "seed": 1,
        "nthread": 1,
    }
    booster = xgboost.train(parameters, examples.matrix(), num_boost_round=settings.trees)
    trees: dict[str, Any] = json.loads(booster.save_raw("json"))
    return trees


def predict(trees: Mapping[str, Any], examples: Examples) -> list[float]:
    """Return the points of each example, from 0 to 100, to the hundredth. trees: as ``fit`` returned them."""
    import xgboost

    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(json.dumps(trees).encode()))
    return [round(min(100.0, max(0.0, float(points))), 2) for points in booster.predict(examples.matrix())]
