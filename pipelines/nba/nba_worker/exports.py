"""Exports are JSON files of a game date, made from the tables for whoever shows results, players and systems.

The same tables give the same bytes: rows and keys are sorted, and no clock is read. docs/processors.md has each field.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from nba_worker.export_index import SCHEMA_VERSION, ExportIndex, as_json, export_name, permission_explained
from nba_worker.schedule import Schedule
from nba_worker.scrapers import nothing_to_do
from phasegate.domain.errors import InputError, PhasegateError, TransientError
from phasegate.ports import ObjectStore, Parameter, Row, Warehouse
from phasegate.worker import ErrorClass, ProcessorResult, ResultStatus, WorkerRequest

LAST_GAMES = 5
"""Games of a player before the date that his entry tells."""

ENSEMBLE = "ensemble_v1"
"""The prediction system whose word a player's entry gives."""

_GAME = "game_id season_type home_team away_team home_score away_score"
_BOX_LINE = (
    "game_id team player_id player_name player_lookup minutes points fgm fga fg3m fg3a ftm fta reb ast stl blk tov "
    "plus_minus"
)
_PREDICTION = "predicted_points confidence_score points_line recommendation"
_PREDICTED = f"player_id player_lookup game_id team opponent system_id {_PREDICTION}"
_GRADE = "player_id system_id actual_points season_average signed_error line_result is_correct"
_AVERAGES = (
    "points_avg_l5 points_avg_l10 points_avg_l15 minutes_avg_l5 minutes_avg_l10 minutes_avg_l15 reb_avg_l10 ast_avg_l10"
)
_PLAYER = (
    "player_id player_name player_lookup game_id team opponent is_home rest_days games_in_window points_line "
    f"{_AVERAGES}"
)
_LAST_GAME = "player_id opponent minutes points"
_OF_A_DAY = (
    "predictions graded mean_absolute_error mean_error within_3 within_5 season_average_mae recommendations correct"
)
_OF_A_SEASON = (
    "dates graded mean_absolute_error root_mean_squared_error mean_error season_average_mae "
    "mean_absolute_error_compared compared recommendations correct correct_share"
)

_EARLIER_GAMES = f"""
    SELECT game_date, played_on, {", ".join(_LAST_GAME.split())}, nth
    FROM (
      SELECT asked.d AS game_date, earlier.game_date AS played_on,
        {", ".join(f"earlier.{column}" for column in _LAST_GAME.split())},
        ROW_NUMBER() OVER (
          PARTITION BY asked.d, earlier.player_id ORDER BY earlier.game_date DESC, earlier.game_id DESC
        ) AS nth
      FROM UNNEST(@dates) AS asked
      JOIN nba_analytics.player_game_summary AS earlier
        ON earlier.game_date >= asked.window_start AND earlier.game_date < asked.d
      WHERE earlier.game_date BETWEEN @window_start AND @last
    )
    WHERE nth <= {LAST_GAMES}"""

Tables = Mapping[str, Sequence[Row]]
"""The rows of one date, by table."""


def _rows_of(table: str, columns: str) -> str:
    """The SELECT of some columns of a table, on all dates of a call."""
    return f"SELECT game_date, {', '.join(columns.split())} FROM {table} WHERE game_date IN UNNEST(@days)"


@dataclass(frozen=True, slots=True)
class Export:
    """An export is one kind of file."""

    selects: Mapping[str, str]
    """What is read for it, by table: a SELECT for all dates of a call, whose rows have ``game_date``."""

    content: Callable[[Tables], Mapping[str, Any]]
    """Makes what is its own in the file of a date of that date's rows."""

    never_empty: tuple[str, ...] = ()
    """Tables that have rows of every game date."""


def _results(tables: Tables) -> dict[str, Any]:
    grades = {(row["player_id"], row["system_id"]): row for row in tables["prediction_accuracy"]}
    predictions: dict[int, dict[str, Any]] = {}
    for row in _in_order(tables["player_prop_predictions"], "player_id system_id"):
        grade = grades.get((row["player_id"], row["system_id"]), {})
        player = predictions.setdefault(
            row["player_id"],
            {
                **_only(row, "player_id player_lookup game_id team opponent"),
                **_only(grade, "actual_points season_average"),
                "systems": [],
            },
        )
        player["systems"].append(
            {**_only(row, f"system_id {_PREDICTION}"), **_only(grade, "signed_error line_result is_correct")}
        )
    return {
        "games": [_only(row, _GAME) for row in _in_order(tables["nbac_game_summary"], "game_id")],
        "players": [
            _only(row, _BOX_LINE) for row in _in_order(tables["player_game_summary"], "game_id team player_id")
        ],
        "predictions": list(predictions.values()),
    }


def _players(tables: Tables) -> dict[str, Any]:
    predictions = {row["player_id"]: row for row in tables["player_prop_predictions"]}
    earlier: dict[int, list[dict[str, Any]]] = {}
    for row in _in_order(tables["player_game_summary"], "nth"):
        game = {"game_date": _plain(row["played_on"]), **_only(row, "opponent minutes points")}
        earlier.setdefault(row["player_id"], []).append(game)
    return {
        "players": [
            {
                **_only(row, _PLAYER),
                "last_games": earlier.get(row["player_id"], []),
                "prediction": _only(made, "predicted_points confidence_score recommendation")
                if (made := predictions.get(row["player_id"]))
                else None,
            }
            for row in _in_order(tables["upcoming_player_game_context"], "player_id")
        ]
    }


def _systems(tables: Tables) -> dict[str, Any]:
    of_day = {row["system_id"]: row for row in tables["system_daily_performance"]}
    of_season = {row["system_id"]: row for row in tables["prediction_performance_summary"]}
    return {
        "systems": [
            {
                "system_id": system,
                "date": _only(of_day[system], _OF_A_DAY) if system in of_day else None,
                "season_so_far": _only(of_season[system], _OF_A_SEASON) if system in of_season else None,
            }
            for system in sorted(of_day.keys() | of_season.keys())
        ]
    }


EXPORTS = {
    "results": Export(
        {
            "nbac_game_summary": _rows_of("nba_raw.nbac_game_summary", _GAME),
            "player_game_summary": _rows_of("nba_analytics.player_game_summary", _BOX_LINE),
            "player_prop_predictions": _rows_of("nba_predictions.player_prop_predictions", _PREDICTED),
            "prediction_accuracy": _rows_of("nba_predictions.prediction_accuracy", _GRADE),
        },
        _results,
        never_empty=("nbac_game_summary", "player_game_summary"),
    ),
    "players": Export(
        {
            "upcoming_player_game_context": _rows_of("nba_analytics.upcoming_player_game_context", _PLAYER),
            "player_game_summary": _EARLIER_GAMES,
            "player_prop_predictions": f"{_rows_of('nba_predictions.player_prop_predictions', _PREDICTED)} "
            f"AND system_id = '{ENSEMBLE}'",
        },
        _players,
    ),
    "systems": Export(
        {
            "system_daily_performance": _rows_of("nba_predictions.system_daily_performance", f"system_id {_OF_A_DAY}"),
            "prediction_performance_summary": _rows_of(
                "nba_predictions.prediction_performance_summary", f"system_id {_OF_A_SEASON}"
            ),
        },
        _systems,
    ),
}


class Exports:
    """Exports read the tables of all dates of a request together, leave a file for each date, and then list them."""

    def __init__(self, schedule: Schedule, warehouse: Warehouse, objects: ObjectStore) -> None:
        self._schedule, self._warehouse, self._objects = schedule, warehouse, objects
        self._index = ExportIndex(objects, EXPORTS.keys(), schedule.dates)

    def run_batch(self, requests: Sequence[WorkerRequest]) -> dict[date, ProcessorResult | PhasegateError]:
        """Write one kind of export for many dates, and bring the index up to date; a file and a result each.

        requests: of one processor. Returns a result for each date, or the error that met this date alone; one that met
        the index is that of every date whose file was written. Raises KeyError for a name that is no export.
        """
        kind, days = requests[0].processor, [request.date for request in requests]
        tables = self._read(EXPORTS[kind], days)
        results = {
            day: self._write(kind, day, {name: rows.get(day, []) for name, rows in tables.items()}) for day in days
        }
        written = [day for day in days if _has_file(results[day])]
        if written:
            try:
                self._index.bring_up_to_date(kind, written)
            except (InputError, TransientError) as error:
                results |= dict.fromkeys(written, error)
        return results

    def _read(self, export: Export, days: Sequence[date]) -> dict[str, dict[date, list[Row]]]:
        """The rows of all dates, by table and date."""
        windows = {day: self._schedule.window(day).window_start for day in days}
        parameters: dict[str, Parameter] = {
            "days": days,
            "dates": [{"d": day, "window_start": start} for day, start in windows.items()],
            "window_start": min(windows.values()),
            "last": max(days),
        }
        answers = self._warehouse.ask([(select, parameters) for select in export.selects.values()])
        tables: dict[str, dict[date, list[Row]]] = {}
        for table, rows in zip(export.selects, answers, strict=True):
            if isinstance(rows, PhasegateError):
                raise rows
            tables[table] = {}
            for row in rows:
                tables[table].setdefault(row["game_date"], []).append(row)
        return tables

    def _write(self, kind: str, day: date, tables: Tables) -> ProcessorResult | PhasegateError:
        """Write the file of a date. Raises HaltError on a full disk."""
        name, is_played = export_name(kind, day), self._schedule.is_game_date(day)
        if is_played and (missing := [table for table in EXPORTS[kind].never_empty if not tables[table]]):
            message = f"{' and '.join(missing)} has no rows of {day}: run the processor of that name first"
            return ProcessorResult(status=ResultStatus.FAILED, message=message, error_class=ErrorClass.NOT_YET)
        try:
            content = as_json(
                {
                    "schema_version": SCHEMA_VERSION,
                    "export": kind,
                    "game_date": day.isoformat(),
                    "season": self._schedule.season_of(day),
                    **EXPORTS[kind].content(tables),
                }
            )
            with permission_explained(name):
                self._objects.write(name, content)
        except (InputError, TransientError) as error:
            return error
        except ValueError as error:
            return InputError(f"{name}: the tables hold a number of {day} that JSON cannot say: {error}")
        if not is_played:
            return nothing_to_do(f"no game of {day} was played to its end: the lists of {name} are empty")
        return ProcessorResult(status=ResultStatus.SUCCESS, message=f"{len(content):,} bytes in {name}")


def _has_file(result: ProcessorResult | PhasegateError) -> bool:
    return isinstance(result, ProcessorResult) and result.status is not ResultStatus.FAILED


def _in_order(rows: Sequence[Row], keys: str) -> list[Row]:
    names = keys.split()
    return sorted(rows, key=lambda row: [row[name] for name in names])


def _only(row: Row, columns: str) -> dict[str, Any]:
    """Some columns of a row, as JSON has them; None where the row has none of that name."""
    return {name: _plain(row.get(name)) for name in columns.split()}


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return value + 0.0 if isinstance(value, float) else value  # of 0.0 and -0.0 one is written
