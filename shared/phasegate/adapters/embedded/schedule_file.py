"""The schedule of a source folder and the calendar's sources are read where they lie: planning needs no warehouse."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from phasegate.adapters.embedded.dialect import Translator, connected, quoted
from phasegate.adapters.embedded.unbound import unbound
from phasegate.domain.errors import InputError, NoSchedule, StatementRefused
from phasegate.domain.spec.pipeline import CalendarSpec, SourceSpec
from phasegate.source_file import read_source_file

SCHEDULE = "schedule.parquet"


class ScheduleFile:
    """A schedule file answers the calendar's queries from files of a source folder, under the names of their tables.

    ``schedule.parquet`` must be there; the file of a source of the calendar that is not there holds no date.
    Raises NoSchedule when the folder or the schedule is not there, and InputError when a file is no parquet file, or
    its dates are none.
    """

    def __init__(self, folder: Path, calendar: CalendarSpec) -> None:
        self._path = folder / SCHEDULE
        if not folder.is_dir():
            raise NoSchedule(f"{folder}: no such source folder; make one with: phasegate sample {folder}")
        if not self._path.is_file():
            raise NoSchedule(f"{self._path}: the source folder has no schedule; see docs/contract.md")
        self._folder = folder
        named = [source.file for source in calendar.sources.values()]
        named += [table.file for table in calendar.cross_check.tables if table.file] if calendar.cross_check else []
        files = [self._path, *(folder / name for name in named)]
        self._connection = connected(duckdb.connect(":memory:"), files=files)
        self._translate = Translator(self._connection, self._columns)
        self._view(calendar.table, calendar.date_column, self._path)
        self._view_sources(folder, calendar.sources.values())

    def _view_sources(self, folder: Path, sources: Iterable[SourceSpec]) -> None:
        for source in sources:
            if (folder / source.file).is_file():
                self._view(source.table, source.date_column, folder / source.file)
            else:
                self._create(source.table, f'SELECT CAST(NULL AS DATE) AS "{source.date_column}" WHERE FALSE')

    def query_of(self, table: str, date_column: str, file: str) -> Callable[[str], list[Mapping[str, Any]]]:
        """Have a further file stand for a table, and return what answers queries about it, as ``query`` does. Raises
        InputError for a file that is not there, is no parquet file, or whose dates are none."""
        path = self._folder / file
        if not path.is_file():
            raise InputError(f"{path}: not there, and calendar.cross_check names it")
        self._view(table, date_column, path)
        return lambda sql: self._answer(sql, path, "calendar.cross_check names it")

    def _view(self, table: str, date_column: str, path: Path) -> None:
        file = read_source_file(self._connection, path)
        if date_column.lower() not in file.columns:
            raise InputError(f"{path}: no column {date_column}, which the calendar of the pipeline file names")
        file.require_dates(self._connection, date_column)
        self._create(table, f'SELECT * REPLACE ({file.dates(date_column)} AS "{date_column}") FROM {file.reading}')

    def _create(self, table: str, select: str) -> None:
        dataset, _, _ = table.partition(".")
        self._connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{dataset}"')
        self._connection.execute(f"CREATE OR REPLACE VIEW {quoted(table)} AS {select}")

    def _columns(self, tables: Iterable[str]) -> dict[str, Mapping[str, str]]:
        return {
            table: {name: kind for name, kind, *_ in self._connection.execute(f"DESCRIBE {quoted(table)}").fetchall()}
            for table in tables
        }

    def query(self, sql: str) -> list[Mapping[str, Any]]:
        """Return the rows of one SELECT over the schedule table. Raises InputError when a column is missing."""
        return self._answer(sql, self._path, "the calendar of the pipeline file asks for it")

    def dry_run(self, sql: str) -> StatementRefused | None:
        """Bind a SELECT over the schedule table and run nothing; return what is wrong with it."""
        try:
            self._connection.execute(f"DESCRIBE {self._translate(sql).sql}")
        except StatementRefused as error:
            return error
        except duckdb.Error as error:
            return unbound(error, sql)
        return None

    def _answer(self, sql: str, path: Path, why: str) -> list[Mapping[str, Any]]:
        try:
            cursor = self._connection.execute(self._translate(sql).sql)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except (duckdb.Error, InputError) as error:
            raise InputError(f"{path}: {_first_line(error)} ({why})") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
