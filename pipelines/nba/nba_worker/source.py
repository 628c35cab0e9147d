"""The source folder holds parquet files with real or made-up games, checked when opened and read date by date."""

import difflib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb
from cachetools import LRUCache

from nba_worker.bad_rows import DAY, DECIMAL, TEXT, WHOLE, YES_NO, is_counted, problems_by_date
from nba_worker.schedule import FINAL, Schedule
from phasegate.domain.errors import InputError
from phasegate.source_file import read_source_file

Row = dict[str, Any]

_GAME = {"game_date": DAY, "game_id": TEXT}
_SIDE = {**_GAME, "season": TEXT, "team": TEXT, "opponent": TEXT, "is_home": YES_NO}
_SHOOTING = dict.fromkeys(["points", "fgm", "fga", "fg3m", "fg3a", "ftm", "fta"], WHOLE)
_PLAY = dict.fromkeys(["oreb", "dreb", "reb", "ast", "stl", "blk", "pf", "plus_minus"], WHOLE)

REQUIRED = {
    "schedule": {
        **_GAME,
        **dict.fromkeys(["season", "season_type", "home_team", "away_team"], TEXT),
        **dict.fromkeys(["home_score", "away_score", "game_status"], WHOLE),
    },
    "team_boxscores": {**_SIDE, **_SHOOTING, **_PLAY, "tov_players": WHOLE},
    "player_boxscores": {
        **_SIDE,
        **_SHOOTING,
        **_PLAY,
        **dict.fromkeys(["wl", "player_name"], TEXT),
        **dict.fromkeys(["player_id", "minutes", "tov"], WHOLE),
    },
}
"""Columns that each file must have, with the type that their values must convert to."""

OPTIONAL = {
    "shots": {**_GAME, "team": TEXT, "player_id": WHOLE, "zone": TEXT, "made": YES_NO},
    "play_by_play": {
        **_GAME,
        **dict.fromkeys(["event_number", "period", "player_id"], WHOLE),
        **dict.fromkeys(["clock", "team", "event_type", "description"], TEXT),
    },
    "props": {
        "game_date": DAY,
        "player_id": WHOLE,
        "points_line": DECIMAL,
        "over_odds": WHOLE,
        "under_odds": WHOLE,
    },
}
"""The same for files that may be absent: then what they would feed is rightly empty."""

_ASKED = "game_date IN (SELECT unnest($days))"

_IS_THERE = f"{_ASKED} AND (game_date, game_id) NOT IN (SELECT (game_date, game_id) FROM not_played)"

_SLICES = {
    "games": f"""
        SELECT *, CASE WHEN home_score > away_score THEN home_team ELSE away_team END AS winner,
            ABS(home_score - away_score) AS margin, home_score + away_score AS total_points
        FROM schedule WHERE {_ASKED} AND game_status = {FINAL} ORDER BY game_id""",
    "teams": f"""
        SELECT * RENAME (tov_players AS tov) FROM team_boxscores WHERE {_IS_THERE} ORDER BY game_id, team""",
    "players": f"SELECT * FROM player_boxscores WHERE {_IS_THERE} ORDER BY game_id, team, player_id",
    "player_shots": f"""
        SELECT game_date, game_id, team, player_id, zone, COUNT(*) AS attempts, COUNT(*) FILTER (made) AS made
        FROM shots WHERE {_IS_THERE} GROUP BY ALL ORDER BY ALL""",
    "team_shots": f"""
        SELECT game_date, game_id, team, zone, COUNT(*) AS attempts, COUNT(*) FILTER (made) AS made
        FROM shots WHERE {_IS_THERE} GROUP BY ALL ORDER BY ALL""",
    "plays": f"SELECT * FROM play_by_play WHERE {_IS_THERE} ORDER BY game_id, event_number",
    "props": f"SELECT * FROM props WHERE {_ASKED} ORDER BY player_id",
}
"""What each subject gives of some dates: rows of games that were played, and of games that the schedule does not have
on their date, which the checks of the raw tables count. Those of a game that is postponed or goes on are left out."""

_NOT_PLAYED = f"""
    CREATE TABLE not_played AS SELECT game_date, game_id FROM schedule
    WHERE game_date IS NOT NULL AND game_id IS NOT NULL
    GROUP BY ALL HAVING COUNT(*) FILTER (game_status = {FINAL}) = 0"""
"""The games that the schedule has on a date, and none of whose rows there is final."""

SLICES_KEPT = 280
"""Of seven subjects those of forty dates: each scraper of a batch reads them again, and two batches are under way."""

_FILE_OF = {
    "games": "schedule",
    "teams": "team_boxscores",
    "players": "player_boxscores",
    "player_shots": "shots",
    "team_shots": "shots",
    "plays": "play_by_play",
    "props": "props",
}


@dataclass(frozen=True, slots=True)
class DaySlice:
    """A slice is what the source holds of one date."""

    rows: tuple[Row, ...]
    """The rows, in a fixed order."""
    reason: str
    """Why there rightly are none; empty where there are some, or should be."""
    problem: str = ""
    """What is wrong with the rows of the date, so that none of them may be used; empty: nothing is."""


class SourceFolder:
    """A source folder keeps its games in memory, as they were when it was read. Thread-safe.

    What is wrong with some dates is a problem of these dates, and of no other. Raises InputError, naming file and
    column, for a folder or file that is not there or cannot be read, for a column that is missing or whose dates are
    none, for a file that has nearly the name of an optional one, and where every date of a file has a problem.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(f"source folder {folder} is not there: give --source a folder with {_file_list()}")
        self.folder = folder
        self._state_when_read = _state_of(folder)
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        self._held = {name for name in OPTIONAL if (folder / f"{name}.parquet").exists()}
        _refuse_misspelt(folder, OPTIONAL.keys() - self._held)
        self._problems: dict[tuple[str, date], str] = {}
        for name, columns in REQUIRED.items():
            self._load(folder / f"{name}.parquet", name, columns)
        for name in sorted(self._held):
            self._load(folder / f"{name}.parquet", name, OPTIONAL[name])
        games = self._connection.execute(
            f"SELECT season, game_date FROM schedule WHERE game_status = {FINAL}"
        ).fetchall()
        if not games:
            raise InputError(
                f"{folder / 'schedule.parquet'}: no game has game_status {FINAL} (final): nothing to process"
            )
        self.schedule = Schedule(games)
        self._connection.execute(_NOT_PLAYED)
        self._slices: LRUCache[tuple[str, date], DaySlice] = LRUCache(SLICES_KEPT)
        self._reading = Lock()

    def close(self) -> None:
        """Give the memory back: nothing can be read any more."""
        self._connection.close()

    def has_changed(self) -> bool:
        """Tell whether a file of the folder was written, added or taken away since it was read."""
        return _state_of(self.folder) != self._state_when_read

    def day(self, day: date, subject: str) -> DaySlice:
        """Return the rows of one date. subject: games, teams, players, player_shots, team_shots, plays or props."""
        return self.days([day], subject)[day]

    def days(self, days: Sequence[date], subject: str) -> dict[date, DaySlice]:
        """Return the rows of many dates, of which those that are not kept are read with one query. subject: as for
        ``day``."""
        with self._reading:
            # Whoever asks for the same meanwhile waits, and finds it kept.
            found = {day: kept for day in days if (kept := self._slices.get((subject, day))) is not None}
            if unread := [day for day in days if day not in found]:
                found |= self._read_slices(unread, subject)
                self._slices.update(((subject, day), found[day]) for day in unread)
        return found

    def schedule_rows(self) -> list[Row]:
        """Return every game of the schedule, final or not, in order of date and id."""
        return self._rows("SELECT * FROM schedule ORDER BY ALL", {})

    def prop_rows(self) -> list[Row]:
        """Return the betting lines, in order of date and player, but for dates with a problem; none when the source has
        no ``props.parquet``."""
        if "props" not in self._held:
            return []
        rows = self._rows("SELECT * FROM props WHERE game_date IS NOT NULL ORDER BY game_date, player_id", {})
        spoiled = {day.isoformat() for name, day in self._problems if name == "props"}
        return [row for row in rows if row["game_date"] not in spoiled]

    def prop_problems(self) -> list[Row]:
        """Return why the betting lines of a date may not be used, for each such date, in order."""
        found = sorted((day.isoformat(), problem) for (name, day), problem in self._problems.items() if name == "props")
        return [{"game_date": day, "problem": problem} for day, problem in found]

    def _read_slices(self, days: Sequence[date], subject: str) -> dict[date, DaySlice]:
        file = _FILE_OF[subject]
        if file in OPTIONAL and file not in self._held:
            return dict.fromkeys(days, DaySlice((), f"the source has no {file}.parquet"))
        problems = {day: problem for day in days if (problem := self._problems.get((file, day)))}
        by_day: dict[str, list[Row]] = {day.isoformat(): [] for day in days}
        if usable := [day for day in days if day not in problems]:
            for row in self._rows(_SLICES[subject], {"days": usable}):
                by_day[row["game_date"]].append(row)
                if subject == "players":
                    row["player_lookup"] = player_lookup(row["player_name"])
        return {
            day: DaySlice((), "", problems[day]) if day in problems else self._slice(day, subject, by_day[f"{day}"])
            for day in days
        }

    def _slice(self, day: date, subject: str, rows: Sequence[Row]) -> DaySlice:
        if rows:
            return DaySlice(tuple(rows), "")
        if not self.schedule.is_game_date(day):
            return DaySlice((), f"no game of {day} was played to its end")
        file = _FILE_OF[subject]
        return DaySlice((), f"the source holds nothing of {day} in {file if file in OPTIONAL else subject}")

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

    def _load(self, path: Path, name: str, columns: Mapping[str, str]) -> None:
        if not path.exists():
            raise InputError(f"{path} is not there: a source folder holds {_file_list()}")
        file = read_source_file(self._connection, path)
        missing = sorted(columns.keys() - file.columns.keys())
        if missing:
            raise InputError(
                f"{path} has no column {', '.join(missing)}: add it, with the meaning given in docs/processors.md"
            )
        file.require_dates(self._connection, "game_date")
        casts = [f'{file.dates("game_date")} AS "game_date"']
        casts += [f'TRY_CAST("{c}" AS {kind}) AS "{c}"' for c, kind in columns.items() if c != "game_date"]
        self._connection.execute(
            f"CREATE TABLE {name} AS SELECT {', '.join(casts)} FROM {file.reading} ORDER BY game_date"
        )
        problems = problems_by_date(self._connection, file, name, columns)
        dated = f"SELECT DISTINCT game_date FROM {name} WHERE {is_counted(name)}"
        days = {day for (day,) in self._connection.execute(dated).fetchall()}
        if problems and days <= problems.keys() | {None}:
            raise InputError(f"{path}: {next(iter(problems.values()))} (something is wrong on every date of the file)")
        if None in days and name == "schedule":
            raise InputError(f"{path}: a final game has no game_date: every game that was played needs it")
        self._problems.update({(name, day): f"{path.name}: {said}" for day, said in problems.items()})


@lru_cache(maxsize=8192)
def player_lookup(name: str) -> str:
    """Return the letters a to z and digits of a name, without accents: ``Luka Dončić`` is ``lukadoncic``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalnum())


def _state_of(folder: Path) -> dict[str, tuple[int, int]]:
    """When each file of a source folder was last written, in nanoseconds, and its bytes."""
    state = {}
    for name in (*REQUIRED, *OPTIONAL):
        with suppress(FileNotFoundError):
            found = (folder / f"{name}.parquet").stat()
            state[name] = found.st_mtime_ns, found.st_size
    return state


def _refuse_misspelt(folder: Path, absent: Iterable[str]) -> None:
    """Refuse a file whose name is nearly that of one that may be absent: what it feeds would be empty, and called
    rightly so."""
    for file in sorted(folder.glob("*.parquet")):
        near = difflib.get_close_matches(file.stem.lower(), absent, n=1, cutoff=0.75)
        if near and file.stem not in REQUIRED:
            raise InputError(f"{file}: not a file of a source folder; did you mean {near[0]}.parquet?")


def _file_list() -> str:
    required = ", ".join(f"{name}.parquet" for name in REQUIRED)
    return f"{required} (and may hold {', '.join(f'{name}.parquet' for name in OPTIONAL)})"
