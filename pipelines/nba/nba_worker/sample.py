"""The sample is a made-up league with the shape of the real source: the pipeline can run where the real data is not.

Dates, teams and weekly rhythm are facts of the real league; players, pairings and results are drawn.
"""

import csv
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from pydantic import BaseModel, ConfigDict, ValidationError

from nba_worker.sample_boxscores import League, Side, StatLine
from nba_worker.sample_rosters import draw_rosters
from nba_worker.sample_schedule import CALENDARS, Fixture, draw_fixtures
from phasegate.domain.errors import InputError

MARKER = "SAMPLE.json"
"""The file that says a folder's parquet files were made here, and from what."""

VERSION = 1
"""Of the made-up content: raise it with every change that makes the same seed give other rows."""

DEFAULT_SEASONS = ("2023-24",)
"""What is made up when nobody names a season."""

_COUNTS = ("fgm", "fga", "fg3m", "fg3a", "ftm", "fta", "oreb", "dreb", "reb", "ast", "stl", "blk")

_GAME = {"season": "VARCHAR", "season_type": "VARCHAR", "game_date": "DATE", "game_id": "VARCHAR"}
_SIDE = _GAME | {"team": "VARCHAR", "opponent": "VARCHAR", "is_home": "BOOLEAN"}

_TABLES: dict[str, dict[str, str]] = {
    "schedule": _GAME
    | {"home_team": "VARCHAR", "away_team": "VARCHAR"}
    | {"home_score": "SMALLINT", "away_score": "SMALLINT", "game_status": "BIGINT"},
    "team_boxscores": _SIDE | dict.fromkeys(("points", *_COUNTS, "tov_players", "pf", "plus_minus"), "SMALLINT"),
    "player_boxscores": _SIDE
    | {"wl": "VARCHAR", "player_id": "BIGINT", "player_name": "VARCHAR"}
    | dict.fromkeys(("minutes", "points", *_COUNTS, "tov", "pf", "plus_minus"), "SMALLINT"),
}
"""Columns and types of each file, exactly those of the real source."""

_SEASON_TYPE, _FINAL = "Regular Season", 3
"""The only season type here, and the status of a game that is over."""

_Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class SampleSummary:
    """A summary says what lies in a sample folder."""

    seasons: tuple[str, ...]
    """The seasons, ascending."""
    game_dates: int
    """How many dates have games."""
    games: int
    """How many games there are."""
    team_rows: int
    """Rows of the team box scores."""
    player_rows: int
    """Rows of the player box scores."""


class _Marker(BaseModel):
    """What ``SAMPLE.json`` says; without a summary the tables beside it are not all written yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    note: str = "This league is made up: no such players, no such games."
    """What whoever opens the file should know."""
    version: int = VERSION
    """Of the program that made it up: another one makes up another league."""
    seed: int
    """The seed that the league was drawn with."""
    seasons: tuple[str, ...]
    """The seasons that were asked for."""
    summary: SampleSummary | None = None
    """What lies there; None: not everything is written yet."""


def make(folder: Path, seasons: Sequence[str], seed: int) -> dict[str, Any]:
    """Write a made-up league for ``phasegate sample``, and return what lies in the folder. Raises InputError."""
    return asdict(write_sample(folder, seasons=seasons or DEFAULT_SEASONS, seed=seed))


def write_sample(folder: Path, *, seasons: Sequence[str] = DEFAULT_SEASONS, seed: int = 7) -> SampleSummary:
    """Write ``schedule.parquet``, ``team_boxscores.parquet`` and ``player_boxscores.parquet`` of a made-up league.

    The same seed gives the same rows in the same order, and a season the same games whatever other seasons are
    asked for; players keep their id, name and team over the seasons. A folder that already holds just this sample
    is left alone; one that holds another sample is overwritten.

    Raises InputError for a season outside 2020-21 to 2024-25 and for a folder whose parquet files are not a sample.
    """
    known = _known_seasons(seasons)
    _refuse_foreign_files(folder)
    marker = _Marker(seed=seed, seasons=known)
    if written := _find_written(folder, marker):
        return written
    folder.mkdir(parents=True, exist_ok=True)
    _write_marker(folder, marker)
    summary = _write_tables(folder, known, seed)
    _write_marker(folder, marker.model_copy(update={"summary": summary}))
    return summary


def _known_seasons(seasons: Sequence[str]) -> tuple[str, ...]:
    """The seasons ascending, each once."""
    possible = ", ".join(CALENDARS)
    if not seasons:
        raise InputError(f"seasons: none given; name at least one of {possible}")
    if unknown := sorted(set(seasons) - set(CALENDARS)):
        raise InputError(f"seasons: unknown {', '.join(map(repr, unknown))}; a sample can have {possible}")
    return tuple(sorted(set(seasons)))


def _refuse_foreign_files(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; name a folder for the sample")
    if (folder / MARKER).exists():
        return
    if foreign := sorted(path.name for path in folder.glob("*.parquet")):
        raise InputError(
            f"{folder}: holds {', '.join(foreign)} but no {MARKER}, so a sample did not write it;"
            " nothing was overwritten, name another folder"
        )


def _find_written(folder: Path, asked: _Marker) -> SampleSummary | None:
    """The summary of the folder, if it holds all of exactly this sample. An unreadable marker vouches for nothing."""
    try:
        marker = _Marker.model_validate_json((folder / MARKER).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    is_same = marker == asked.model_copy(update={"summary": marker.summary})
    is_whole = all(_parquet(folder, table).exists() for table in _TABLES)
    return marker.summary if is_same and is_whole else None


def _write_marker(folder: Path, marker: _Marker) -> None:
    """Put the marker in place at once; before the tables too, so that a killed run can be repeated."""
    unfinished = folder / f"{MARKER}.tmp"
    unfinished.write_text(marker.model_dump_json(indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, folder / MARKER)


def _parquet(folder: Path, table: str) -> Path:
    return folder / f"{table}.parquet"


def _write_tables(folder: Path, seasons: tuple[str, ...], seed: int) -> SampleSummary:
    """Write the rows as CSV and let duckdb make parquet of it: inserting 26,000 rows one by one takes far longer."""
    with TemporaryDirectory(prefix="phasegate-sample-") as scratch:
        summary = _write_csv_files(Path(scratch), seasons, seed)
        with duckdb.connect() as con:
            for table, columns in _TABLES.items():
                con.execute(
                    f"COPY (SELECT * FROM read_csv({_quote(Path(scratch) / table)}, columns = {columns},"
                    " header = false, auto_detect = false))"
                    f" TO {_quote(folder / f'{table}.parquet.tmp')} (FORMAT parquet, COMPRESSION zstd)"
                )
    for table in _TABLES:
        os.replace(folder / f"{table}.parquet.tmp", _parquet(folder, table))
    return summary


def _quote(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _write_csv_files(scratch: Path, seasons: tuple[str, ...], seed: int) -> SampleSummary:
    """Draw and write all games, one file per table, named as the table."""
    rosters = draw_rosters(Random(f"{seed} rosters"))  # noqa: S311  (made-up games, nothing secret)
    dates: set[date] = set()
    rows: Counter[str] = Counter()
    with ExitStack() as stack:
        writers = {table: csv.writer(stack.enter_context(open(scratch / table, "w", newline=""))) for table in _TABLES}
        for season in seasons:
            rng = Random(f"{seed} {season}")  # noqa: S311  (made-up games, nothing secret)
            fixtures = draw_fixtures(season, rng)
            league = League(rosters, rng)
            dates.update(fixture.game_date for fixture in fixtures)
            for fixture in fixtures:
                for table, table_rows in _game_rows(fixture, *league.play(fixture)).items():
                    writers[table].writerows(table_rows)
                    rows[table] += len(table_rows)
    return SampleSummary(seasons, len(dates), rows["schedule"], rows["team_boxscores"], rows["player_boxscores"])


def _game_rows(fixture: Fixture, home: Side, away: Side) -> dict[str, list[_Row]]:
    """One game's rows by table, in the real source's order: teams by name, players the home side first, then by id."""
    game = (fixture.season, _SEASON_TYPE, fixture.game_date, fixture.game_id)
    home_score, away_score = home.total("points"), away.total("points")
    sides = ((home, home_score - away_score), (away, away_score - home_score))
    return {
        "schedule": [(*game, home.team, away.team, home_score, away_score, _FINAL)],
        "team_boxscores": sorted(_team_row(game, side, margin) for side, margin in sides),
        "player_boxscores": [_player_row(game, side, margin, line) for side, margin in sides for line in side.lines],
    }


def _team_row(game: _Row, side: Side, margin: int) -> _Row:
    counts = (side.total(count) for count in ("points", *_COUNTS, "tov", "pf"))
    return (*game, side.team, side.opponent, side.is_home, *counts, margin)


def _player_row(game: _Row, side: Side, margin: int, line: StatLine) -> _Row:
    outcome = "W" if margin > 0 else "L"
    counts = (getattr(line, count) for count in ("points", *_COUNTS, "tov", "pf", "plus_minus"))
    who = (outcome, line.player.player_id, line.player.name, round(line.minutes))
    return (*game, side.team, side.opponent, side.is_home, *who, *counts)
