"""The schedule of a source folder, read where it lies: planning needs no warehouse for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from shared.adapters.embedded.dialect import quoted, translate
from shared.domain.errors import InputError

SCHEDULE = "schedule.parquet"


class ScheduleFile:
    """Answers the calendar's queries from ``schedule.parquet``, under the name of the schedule table.

    Raises InputError when the folder or the file is not there, or is no parquet file.
    """

    def __init__(self, source: Path, table: str) -> None:
        self._path = source / SCHEDULE
        if not source.is_dir():
            raise InputError(f"{source}: no such source folder; make one with: phasegate sample {source}")
        if not self._path.is_file():
            raise InputError(f"{self._path}: the source folder has no schedule; see docs/contract.md")
        self._connection = duckdb.connect(":memory:")
        dataset, _, _ = table.partition(".")
        file = str(self._path).replace("'", "''")
        try:
            self._connection.execute(f'CREATE SCHEMA "{dataset}"')
            self._connection.execute(f"CREATE VIEW {quoted(table)} AS SELECT * FROM read_parquet('{file}')")
        except duckdb.Error as error:
            raise InputError(f"{self._path}: not a readable parquet file: {_first_line(error)}") from error

    def query(self, sql: str) -> list[Mapping[str, Any]]:
        """Rows of one SELECT over the schedule table. Raises InputError when a column is missing."""
        try:
            cursor = self._connection.execute(translate(sql).sql)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except duckdb.Error as error:
            raise InputError(
                f"{self._path}: {_first_line(error)} (the calendar of the pipeline file asks for it)"
            ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
