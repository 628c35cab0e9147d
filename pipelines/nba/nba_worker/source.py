"""The source folder holds parquet files with real or made-up games, checked when opened and read date by date."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb

from nba_worker.schedule import FINAL, Schedule
from phasegate.domain.errors import InputError

Row = dict[str, Any]

_TEXT, _WHOLE, _YES_NO, _DAY, _DECIMAL = "VARCHAR", "INTEGER", "BOOLEAN", "DATE", "DOUBLE"
_GAME = {"game_date": _DAY, "game_id": _TEXT}
_SIDE = {**_GAME, "season": _TEXT, "team": _TEXT, "opponent": _TEXT, "is_home": _YES_NO}
_SHOOTING = dict.fromkeys(["points", "fgm", "fga", "fg3m", "fg3a", "ftm", "fta"], _WHOLE)
_PLAY = dict.fromkeys(["oreb", "dreb", "reb", "ast", "stl", "blk", "pf", "plus_minus"], _WHOLE)

REQUIRED = {
    "schedule": {
        **_GAME,
        **dict.fromkeys(["season", "season_type", "home_team", "away_team"], _TEXT),
        **dict.fromkeys(["home_score", "away_score", "game_status"], _WHOLE),
    },
    "team_boxscores": {**_SIDE, **_SHOOTING, **_PLAY, "tov_players": _WHOLE},
    "player_boxscores": {
        **_SIDE,
        **_SHOOTING,
        **_PLAY,
        **dict.fromkeys(["wl", "player_name"], _TEXT),
        **dict.fromkeys(["player_id", "minutes", "tov"], _WHOLE),
    },
}
"""Columns that each file must have, with the type that their values must convert to."""

OPTIONAL = {
    "shots": {**_GAME, "team": _TEXT, "player_id": _WHOLE, "zone": _TEXT, "made": _YES_NO},
    "play_by_play": {
        **_GAME,
        **dict.fromkeys(["event_number", "period", "player_id"], _WHOLE),
        **dict.fromkeys(["clock", "team", "event_type", "description"], _TEXT),
    },
    "props": {
        "game_date": _DAY,
        "player_id": _WHOLE,
        "points_line": _DECIMAL,
        "over_odds": _WHOLE,
        "under_odds": _WHOLE,
    },
}
"""The same for files that may be absent: then what they would feed is rightly empty."""

_KEYS = {
    "schedule": ("game_id",),
    "team_boxscores": ("game_id", "team"),
    "player_boxscores": ("game_id", "player_id"),
    "play_by_play": ("game_id", "event_number"),
    "props": ("game_date", "player_id"),
}
_IS_FINAL = f"game_id IN (SELECT game_id FROM schedule WHERE game_date = $day AND game_status = {FINAL})"
_SLICES = {
    "games": f"""
        SELECT *, CASE WHEN home_score > away_score THEN home_team ELSE away_team END AS winner,
            ABS(home_score - away_score) AS margin, home_score + away_score AS total_points
        FROM schedule WHERE game_date = $day AND game_status = {FINAL} ORDER BY game_id""",
    "teams": f"""
        SELECT * RENAME (tov_players AS tov)
        FROM team_boxscores WHERE game_date = $day AND {_IS_FINAL} ORDER BY game_id, team""",
    "players": f"""
        SELECT * FROM player_boxscores WHERE game_date = $day AND {_IS_FINAL} ORDER BY game_id, team, player_id""",
    "player_shots": f"""
        SELECT game_date, game_id, team, player_id, zone, COUNT(*) AS attempts, COUNT(*) FILTER (made) AS made
        FROM shots WHERE game_date = $day AND {_IS_FINAL} GROUP BY ALL ORDER BY ALL""",
    "team_shots": f"""
        SELECT game_date, game_id, team, zone, COUNT(*) AS attempts, COUNT(*) FILTER (made) AS made
        FROM shots WHERE game_date = $day AND {_IS_FINAL} GROUP BY ALL ORDER BY ALL""",
    "plays": f"""
        SELECT * FROM play_by_play WHERE game_date = $day AND {_IS_FINAL} ORDER BY game_id, event_number""",
}
_OPTIONAL_FILE_OF = {"player_shots": "shots", "team_shots": "shots", "plays": "play_by_play"}


@dataclass(frozen=True, slots=True)
class DaySlice:
    """A slice is what the source holds of one date: rows of final games."""

    rows: tuple[Row, ...]
    """The rows, in a fixed order."""
    reason: str
    """Why there are none; empty where there are some."""


class SourceFolder:
    """A source folder keeps its games in memory. Thread-safe.

    Raises InputError, naming file and column, for a folder or file that is not there or cannot be read, for a
    column that is missing or holds values of another type, and for a key that stands there twice.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(f"source folder {folder} is not there: give --source a folder with {_file_list()}")
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        self._held = {name for name in OPTIONAL if (folder / f"{name}.parquet").exists()}
        for name, columns in REQUIRED.items():
            self._load(folder / f"{name}.parquet", name, columns)
        for name in self._held:
            self._load(folder / f"{name}.parquet", name, OPTIONAL[name])
        games = self._connection.execute(
            f"SELECT season, game_date FROM schedule WHERE game_status = {FINAL}"
        ).fetchall()
        if not games:
            raise InputError(
                f"{folder / 'schedule.parquet'}: no game has game_status {FINAL} (final): nothing to process"
            )
        self.schedule = Schedule(games)
        self._slice = lru_cache(maxsize=64)(self._read_slice)

    def day(self, day: date, subject: str) -> DaySlice:
        """Return the rows of one date. subject: games, teams, players, player_shots, team_shots or plays."""
        return self._slice(day, subject)

    def schedule_rows(self) -> list[Row]:
        """Return every game of the schedule, final or not, in order of date and id."""
        return self._rows("SELECT * FROM schedule ORDER BY game_date, game_id", {})

    def prop_rows(self) -> list[Row]:
        """Return the betting lines, in order of date and player; none when the source has no ``props.parquet``."""
        return self._rows("SELECT * FROM props ORDER BY game_date, player_id", {}) if "props" in self._held else []

    def _read_slice(self, day: date, subject: str) -> DaySlice:
        file = _OPTIONAL_FILE_OF.get(subject)
        if file and file not in self._held:
            return DaySlice((), f"the source has no {file}.parquet")
        rows = tuple(self._rows(_SLICES[subject], {"day": day}))
        if subject == "players":
            for row in rows:
                row["player_lookup"] = player_lookup(row["player_name"])
        if rows:
            return DaySlice(rows, "")
        if not self.schedule.is_game_date(day):
            return DaySlice((), f"no game of {day} was played to its end")
        return DaySlice((), f"the source holds nothing of {day} in {file or subject}")

    def _rows(self, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            names = [column[0] for column in cursor.description or ()]
            return [
                {
                    name: value.isoformat() if isinstance(value, date) else value
                    for name, value in zip(names, row, strict=True)
                }
                for row in cursor.fetchall()
            ]

    def _load(self, file: Path, name: str, columns: Mapping[str, str]) -> None:
        if not file.exists():
            raise InputError(f"{file} is not there: a source folder holds {_file_list()}")
        reading = f"read_parquet('{str(file).replace(chr(39), chr(39) * 2)}')"
        try:
            found = {row[0] for row in self._connection.execute(f"DESCRIBE SELECT * FROM {reading}").fetchall()}
        except duckdb.Error as error:
            raise InputError(
                f"{file} cannot be read as parquet: write it anew. {str(error).splitlines()[0]}"
            ) from error
        missing = sorted(columns.keys() - found)
        if missing:
            raise InputError(
                f"{file} has no column {', '.join(missing)}: add it, with the meaning given in docs/processors.md"
            )
        casts = ", ".join(f'CAST("{column}" AS {kind}) AS "{column}"' for column, kind in columns.items())
        try:
            self._connection.execute(f"CREATE TABLE {name} AS SELECT {casts} FROM {reading} ORDER BY game_date")
        except duckdb.Error as error:
            raise InputError(f"{file}: a value is not of its column's type: {str(error).splitlines()[0]}") from error
        self._check_keys(file, name)

    def _check_keys(self, file: Path, name: str) -> None:
        keys = ("game_date", *_KEYS.get(name, ()))
        empty = " OR ".join(f"{key} IS NULL" for key in keys)
        if self._connection.execute(f"SELECT 1 FROM {name} WHERE {empty} LIMIT 1").fetchone():
            raise InputError(f"{file}: a row has no value in one of {', '.join(keys)}: every row needs them")
        if name not in _KEYS:
            return
        key = ", ".join(_KEYS[name])
        twice = self._connection.execute(
            f"SELECT {key} FROM {name} GROUP BY {key} HAVING COUNT(*) > 1 ORDER BY ALL LIMIT 1"
        ).fetchone()
        if twice:
            raise InputError(f"{file}: the key ({key}) = {tuple(map(str, twice))} stands there twice: keep one row")


@lru_cache(maxsize=8192)
def player_lookup(name: str) -> str:
    """Return the letters a to z and digits of a name, without accents: ``Luka Dončić`` is ``lukadoncic``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalnum())


def _file_list() -> str:
    required = ", ".join(f"{name}.parquet" for name in REQUIRED)
    return f"{required} (and may hold {', '.join(f'{name}.parquet' for name in OPTIONAL)})"
