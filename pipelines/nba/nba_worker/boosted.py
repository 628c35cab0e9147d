"""xgboost_v1 is the learned system: boosted trees, fitted anew every few days on the season's earlier games.

The fit date of a date is the last refit date at or before it, counted from the season's start. A model has seen rows of
dates before its fit date and none else; it is kept as an object beside what it was made from, and whoever asks for the
same fit date over the same rows takes it as it is.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from nba_worker.boosted_model import FEATURES, SCHEMA_VERSION, STORED, SYSTEM, Examples, Settings, fit, library, predict
from nba_worker.schedule import Schedule
from nba_worker.scrapers import nothing_to_do
from phasegate.domain.errors import HaltError, PhasegateError
from phasegate.ports import ObjectStore, Partitions, Row, Warehouse
from phasegate.worker import BatchRequest, ErrorClass, ProcessorResult, ResultStatus

TABLE = f"nba_predictions.predictions_{SYSTEM}"
"""Where the predictions go."""

MADE_WITH = f"{SYSTEM}/1"
"""What the rows are made with, settings and library apart; raised where the same games would be predicted otherwise."""

INSTALL = "xgboost is not installed: pip install 'xgboost-cpu>=3,<4' where the worker runs, then retry"

_COPIED = ("game_id", "season", "player_id", "player_lookup", "team", "opponent", "points_line")

_SO_FAR = """
WITH so_far AS (
  SELECT
    features.game_date,
    features.player_id,
    COUNT(*) AS season_games,
    SUM(summary.points) AS season_points,
    SUM(summary.minutes) AS season_minutes
  FROM `nba_predictions.ml_feature_store_v2` AS features
  JOIN `nba_analytics.player_game_summary` AS summary
    ON summary.player_id = features.player_id AND summary.game_date < features.game_date
  WHERE features.game_date BETWEEN @first AND @last
    AND summary.game_date >= @season_start AND summary.game_date < @last
  GROUP BY features.game_date, features.player_id
)
"""

_FROM = f"""
  features.game_date,
  features.player_id,
  so_far.season_games,
  so_far.season_points,
  so_far.season_minutes,
  {", ".join(f"features.{name}" for name in STORED)}
FROM `nba_predictions.ml_feature_store_v2` AS features
LEFT JOIN so_far ON so_far.game_date = features.game_date AND so_far.player_id = features.player_id
"""

_TRAINING = f"""{_SO_FAR}
SELECT
  summary.points,
{_FROM}
JOIN `nba_analytics.player_game_summary` AS summary
  ON summary.game_date = features.game_date AND summary.game_id = features.game_id
  AND summary.player_id = features.player_id
WHERE features.game_date BETWEEN @first AND @last AND summary.game_date BETWEEN @first AND @last
ORDER BY features.game_date, features.player_id
"""

_ASKED = f"""{_SO_FAR}
SELECT
  {", ".join(f"features.{name}" for name in _COPIED if name != "player_id")},
  features.quality_score,
{_FROM}
WHERE features.game_date BETWEEN @first AND @last
ORDER BY features.game_date, features.player_id
"""

_log = logging.getLogger(__name__)


class BoostedPredictions:
    """These predict the points of each of a date's players by the model of the date's fit date.

    A model that is not there, or not of these rows, settings and library, is fitted, once for all dates of a request.
    """

    def __init__(self, schedule: Schedule, warehouse: Warehouse, objects: ObjectStore) -> None:
        self._schedule = schedule
        self._warehouse = warehouse
        self._objects = objects

    def run_batch(self, request: BatchRequest) -> dict[date, ProcessorResult | PhasegateError]:
        """Replace the predictions of the dates of a request; a result for each, or the error that met it alone.

        A fit that fails, or a model that cannot be read or kept, fails the dates that it is for, and no other. Raises
        InputError for settings that are none, HaltError on a full disk.
        """
        settings = Settings.read(request.settings)
        try:
            library()
        except ImportError:
            return {one.date: _failed(INSTALL) for one in request.dates}
        except Exception as error:  # What the library raises when a file of its own is not there.
            _log.exception("xgboost cannot be loaded")
            return {one.date: _failed(f"xgboost cannot be loaded: {_first_line(error)}") for one in request.dates}
        by_season: dict[date, list[date]] = {}
        for one in request.dates:
            by_season.setdefault(self._schedule.window(one.date).season_start, []).append(one.date)
        lines: dict[date, bytes] = {}
        results: dict[date, ProcessorResult] = {}
        for season_start, days in by_season.items():
            of_season = _Season(self._warehouse, self._objects, season_start, self._schedule.season(days[0]), settings)
            of_season.predict(days, lines, results)
        return {**results, **self._written(request, lines, results)}

    def _written(
        self, request: BatchRequest, lines: Mapping[date, bytes], results: Mapping[date, ProcessorResult]
    ) -> dict[date, ProcessorResult | PhasegateError]:
        """What became of the dates that have something to be written, if only nothing."""
        fences = {one.date: one.fence for one in request.dates if one.date in lines}
        if not fences:
            return {}
        written = self._warehouse.load_partitions(Partitions(TABLE, "game_date", fences), lines)
        return {
            day: rows
            if isinstance(rows, PhasegateError)
            else results.get(day) or ProcessorResult(status=ResultStatus.SUCCESS, rows=rows)
            for day, rows in written.items()
        }


class _Season:
    """The dates of one request that are of one season."""

    def __init__(
        self, warehouse: Warehouse, objects: ObjectStore, start: date, dates: Sequence[date], settings: Settings
    ) -> None:
        """start: the first of the season's dates. dates: all of them, in order."""
        self._warehouse = warehouse
        self._objects = objects
        self._start = start
        self._dates = dates
        self._settings = settings

    def predict(self, days: Sequence[date], lines: dict[date, bytes], results: dict[date, ProcessorResult]) -> None:
        """Add the rows of each date, as JSON lines, or in their place what became of it."""
        fits: dict[date, list[date]] = {}
        for day in days:
            fits.setdefault(fit_date_of(day, self._start, self._settings), []).append(day)
        windows = {fit_date: self._window(fit_date) for fit_date in fits}
        training = self._training([window for window in windows.values() if window])
        asked = self._rows(_ASKED, days[0], days[-1])
        for fit_date, of_fit in fits.items():
            window = windows[fit_date]
            examples = training.between(window[0], fit_date) if training and window else None
            if examples is None or len(examples) < self._settings.fewest_rows:
                rows = f"{len(examples or ())} rows of the season before {fit_date}"
                why = f"too few games to fit a model on: {rows}, and it takes {self._settings.fewest_rows}"
                lines |= dict.fromkeys(of_fit, b"")
                results |= dict.fromkeys(of_fit, nothing_to_do(why))
                continue
            of_dates = {day: [row for row in asked if row["game_date"] == day] for day in of_fit}
            try:
                trees = self._trees(fit_date, window, examples)
                lines |= {day: _lines(rows, predict(trees, Examples(rows))) for day, rows in of_dates.items() if rows}
            except HaltError:
                raise
            except (PhasegateError, OSError) as error:
                _log.exception("%s cannot be read or kept", model_name(fit_date))
                why = f"the model of {fit_date} cannot be read or kept: {_first_line(error)}"
                results |= dict.fromkeys(of_fit, _failed(why, ErrorClass.TRANSIENT))
            except Exception as error:
                _log.exception("%s cannot be had", model_name(fit_date))
                why = f"the model of {fit_date} could not be fitted: {_first_line(error)}"
                results |= dict.fromkeys(of_fit, _failed(why))
            else:
                none = _failed("the date has no features: run ml_feature_store_v2 first", ErrorClass.NOT_YET)
                results |= {day: none for day, rows in of_dates.items() if not rows}

    def _window(self, fit_date: date) -> Sequence[date]:
        """The dates whose rows the model of a fit date is fitted on."""
        return [day for day in self._dates if day < fit_date][-self._settings.window_dates :]

    def _training(self, windows: Sequence[Sequence[date]]) -> Examples | None:
        """The examples of all windows; None: there are none."""
        rows = self._rows(_TRAINING, windows[0][0], windows[-1][-1]) if windows else []
        return Examples(rows) if rows else None

    def _rows(self, sql: str, first: date, last: date) -> list[Row]:
        return self._warehouse.query(sql, {"first": first, "last": last, "season_start": self._start})

    def _trees(self, fit_date: date, window: Sequence[date], examples: Examples) -> Mapping[str, Any]:
        """The trees of a fit date: those that are kept, or where these are others new ones, which are kept then."""
        name, inputs = model_name(fit_date), examples.fingerprint(self._settings)
        kept = self._kept(name)
        if (why := _why_not(kept, inputs)) is None:
            found: Mapping[str, Any] = kept["booster"]
            return found
        _log.info("%s: %s; fitted on %d rows", name, why, len(examples))
        trees = fit(examples, self._settings)
        document = {
            "schema_version": SCHEMA_VERSION,
            "system": SYSTEM,
            "fit_date": fit_date.isoformat(),
            "training": {
                "first": window[0].isoformat(),
                "last": window[-1].isoformat(),
                "dates": len(window),
                "rows": len(examples),
            },
            "features": FEATURES,
            "settings": self._settings.model_dump(),
            "library": library(),
            "inputs": inputs,
            "booster": trees,
            "booster_sha256": _hash_of(trees),
        }
        self._objects.write(name, json.dumps(document).encode())
        return trees

    def _kept(self, name: str) -> dict[str, Any]:
        """The object of a model; empty where it is not there or cannot be read."""
        try:
            found = json.loads(self._objects.read(name))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def model_name(fit_date: date) -> str:
    """Return the object in which the model of a fit date is kept."""
    return f"models/{SYSTEM}/{fit_date}.json"


def fit_date_of(day: date, season_start: date, settings: Settings) -> date:
    """Return the last refit date at or before a date."""
    return day - timedelta(days=(day - season_start).days % settings.refit_days)


def _why_not(kept: Mapping[str, Any], inputs: str) -> str | None:
    """Why a kept model is not the one that is asked for; None: it is."""
    if not kept:
        return "no model is kept"
    if kept.get("schema_version") != SCHEMA_VERSION:
        return f"the model that is kept has layout {kept.get('schema_version')}"
    if kept.get("library") != library():
        return f"the model that is kept was fitted with {kept.get('library')}"
    if kept.get("inputs") != inputs:
        return "the model that is kept was fitted on other rows or with other settings"
    if kept.get("booster_sha256") != _hash_of(kept.get("booster")):
        return "the model that is kept is damaged"
    return None


def _hash_of(booster: Any) -> str:
    return hashlib.sha256(json.dumps(booster, sort_keys=True).encode()).hexdigest()


def _lines(rows: Sequence[Row], points: Iterable[float]) -> bytes:
    """The predictions of a date as JSON lines."""
    return "".join(
        json.dumps(
            {
                "game_date": row["game_date"].isoformat(),
                **{name: row[name] for name in _COPIED},
                "predicted_points": predicted,
                "confidence_score": _confidence(row),
            }
        )
        + "\n"
        for row, predicted in zip(rows, points, strict=True)
    ).encode()


def _confidence(row: Row) -> float:
    """As of the baseline: how much is known of the player, and less of it the more his points vary."""
    spread = row["points_std_l10"]
    return round(float(row["quality_score"]) * 12 / (12 + (6 if spread is None else spread)), 2)


def _first_line(error: Exception) -> str:
    """What an error says, without the library's own stack trace behind it."""
    return str(error).partition("\n")[0]


def _failed(message: str, error_class: ErrorClass = ErrorClass.BUG) -> ProcessorResult:
    return ProcessorResult(status=ResultStatus.FAILED, rows=0, message=message, error_class=error_class)
