"""A row of a source file may be bad: what is wrong with it is told of its date, and of no other."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import duckdb

from nba_worker.schedule import FINAL
from phasegate.source_file import SourceFile

TEXT, WHOLE, YES_NO, DAY, DECIMAL = "VARCHAR", "INTEGER", "BOOLEAN", "DATE", "DOUBLE"
"""Types of columns, in DuckDB's words."""

_CONVERTS = {
    TEXT: ("VARCHAR", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "BOOLEAN", "DATE"),
    WHOLE: ("TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT"),
    YES_NO: ("BOOLEAN",),
    DECIMAL: ("DOUBLE", "FLOAT", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"),
}
"""Types whose every value converts: their columns need not be looked through."""

_IN_WORDS = {TEXT: "text", WHOLE: "whole number", YES_NO: "yes or no", DECIMAL: "number"}

_KEYS = {
    "schedule": ("game_id",),
    "team_boxscores": ("game_id", "team"),
    "player_boxscores": ("game_id", "player_id"),
    "shots": ("game_id",),
    "play_by_play": ("game_id", "event_number"),
    "props": ("player_id",),
}
"""What every row must have, beside its date."""

_ALWAYS = {"schedule": ("home_team", "away_team"), "player_boxscores": ("team", "player_name")}
"""Further columns without which a row cannot be worked on."""

_COUNTED = {"schedule": f"TRY_CAST(game_status AS INTEGER) = {FINAL}"}
"""Rows that the rules of a file are about, where that is not all of them: a postponed game is listed a second time
under its id, and may lack a date or a score."""

_REPEATING = ("shots",)
"""Files in which a key may stand any number of times."""

Ask = Callable[[str], list[tuple[Any, ...]]]


def problems_by_date(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, name: str, columns: Mapping[str, str]
) -> dict[date, str]:
    """Return for each date with a bad row of a file what is wrong with one of them, in a sentence.

    The file has been loaded into the table ``name``, with NULL for what did not convert, and the schedule before it
    into ``schedule``. columns: the type of each.
    """

    def ask(sql: str) -> list[tuple[Any, ...]]:
        return connection.execute(sql).fetchall()

    problems = _values_of_another_type(ask, file, name, columns)
    problems |= _rows_without_a_key(ask, name)
    problems |= _keys_that_stand_twice(ask, name)
    if "game_id" in columns and name != "schedule":
        problems |= _ids_that_lost_zeros(ask, name)
    return problems


def is_counted(name: str) -> str:
    """Return the SQL condition that a row of a file meets when the rules are about it."""
    return _COUNTED.get(name, "TRUE")


def _values_of_another_type(ask: Ask, file: SourceFile, name: str, columns: Mapping[str, str]) -> dict[date, str]:
    """By date: a value that is not of its column's type, or has a fraction where whole numbers are due."""
    day, problems = file.dates("game_date"), dict[date, str]()
    for column, kind in columns.items():
        if column == "game_date" or file.columns[column] in _CONVERTS[kind]:
            continue
        wrong = f'TRY_CAST("{column}" AS {kind}) IS NULL'
        if kind == WHOLE:
            number = f'TRY_CAST("{column}" AS DOUBLE)'
            wrong = f"({wrong} OR {number} <> ROUND({number}))"
        counted = "TRUE" if column == "game_status" else is_counted(name)
        where = f'"{column}" IS NOT NULL AND {wrong} AND {counted}'
        for each, value in ask(
            f'SELECT {day} AS d, MIN(CAST("{column}" AS VARCHAR)) FROM {file.reading} WHERE {where} GROUP BY d'
        ):
            problems.setdefault(each, f"{column} holds '{value}' on {each}, which is no {_IN_WORDS[kind]}")
    return problems


def _rows_without_a_key(ask: Ask, name: str) -> dict[date, str]:
    """By date: rows that lack what they need. The date of a row that has none is its game's, if that is known."""
    keys = _KEYS[name]
    needed = (*keys, *(column for column in _ALWAYS.get(name, ()) if column not in keys))
    empty = " OR ".join(f"{key} IS NULL" for key in needed)
    said = f"has no value in one of {', '.join(('game_date', *needed))}: every row needs them"
    rows = ask(f"SELECT DISTINCT game_date FROM {name} WHERE ({empty}) AND {is_counted(name)}")
    if "game_id" in keys and name != "schedule":
        rows += ask(
            f"SELECT DISTINCT g.game_date FROM {name} AS t JOIN schedule AS g USING (game_id) "
            f"WHERE t.game_date IS NULL AND g.game_status = {FINAL}"
        )
    return {day: f"a row of {day} {said}" for (day,) in rows if day is not None}


def _keys_that_stand_twice(ask: Ask, name: str) -> dict[date, str]:
    """By date: rows with equal keys, on every date that has one of them."""
    if name in _REPEATING:
        return {}
    keys = _KEYS[name] if "game_id" in _KEYS[name] else ("game_date", *_KEYS[name])
    key = ", ".join(keys)
    rows = ask(
        f"SELECT DISTINCT ON (t.game_date) t.game_date, {', '.join(f't.{each}' for each in keys)} FROM {name} AS t "
        f"JOIN (SELECT {key} FROM {name} WHERE {is_counted(name)} GROUP BY {key} HAVING COUNT(*) > 1) AS twice "
        f"USING ({key}) WHERE {is_counted(name)} ORDER BY ALL"
    )
    return {
        day: f"the key ({key}) = ({', '.join(map(str, values))}) stands there twice: keep one row"
        for day, *values in rows
        if day is not None
    }


def _ids_that_lost_zeros(ask: Ask, name: str) -> dict[date, str]:
    """By date: ids that the schedule has with other zeros before them: somewhere they were read as numbers."""
    plain = "LTRIM(REGEXP_REPLACE({}.game_id, '\\.0$', ''), '0')"
    rows = ask(
        f"SELECT t.game_date, MIN(t.game_id), MIN(g.game_id) FROM {name} AS t "
        f"JOIN schedule AS g ON {plain.format('g')} = {plain.format('t')} "
        "WHERE t.game_id NOT IN (SELECT game_id FROM schedule WHERE game_id IS NOT NULL) GROUP BY t.game_date"
    )
    return {
        day: f"game_id '{here}' of {day} is '{there}' in schedule.parquet: one of the two was read as a number and "
        "lost its leading zeros; write ids as text"
        for day, here, there in rows
        if day is not None
    }
