"""A source file is a parquet file of a source folder: plan, preflight and workers read it here, by the same rules.

A column of dates may be a DATE, a timestamp without a zone that is midnight in every row (what pandas writes by
default), or text (``2024-01-31``, also with a midnight behind it). Anything else is refused: a time of day, or a zone,
would leave open which date is meant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from phasegate.domain.errors import InputError

_TIMESTAMPS = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
_ISO_DATE = r"\d{4}-\d{2}-\d{2}([T ]00:00(:00(\.0+)?)?)?"
_REMEDY = "write a DATE, a timestamp at midnight without a zone, or text like 2024-01-31"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A source file is a table that nobody has loaded yet."""

    path: Path
    """Where it lies."""

    columns: Mapping[str, str]
    """Column -> type, both in DuckDB's words; names are in lower case, as DuckDB tells none apart by it."""

    @property
    def reading(self) -> str:
        """Return what stands behind FROM to read the rows as they are."""
        file = str(self.path).replace("'", "''")
        return f"read_parquet('{file}')"

    def dates(self, column: str) -> str:
        """Return the expression that makes dates of a column whose values ``require_dates`` has found to be some."""
        kind = self.columns[column.lower()]
        value = f'LEFT("{column}", 10)' if kind == "VARCHAR" else f'"{column}"'
        return value if kind == "DATE" else f"CAST({value} AS DATE)"

    def require_dates(self, connection: duckdb.DuckDBPyConnection, column: str) -> None:
        """Refuse a column that holds something else than dates, or nothing: raises InputError with file, column and
        type."""
        kind = self.columns[column.lower()]
        if kind == "DATE":
            return
        if kind in _TIMESTAMPS:
            wrong = f'"{column}" <> DATE_TRUNC(\'day\', "{column}")'
        elif kind == "VARCHAR":
            is_date = f'TRY_CAST(LEFT("{column}", 10) AS DATE) IS NOT NULL'
            wrong = f"NOT (REGEXP_FULL_MATCH(\"{column}\", '{_ISO_DATE}') AND {is_date})"
        else:
            raise InputError(f"{self.path}: {column} is of type {kind}, which is no date; {_REMEDY}")
        found = connection.execute(
            f'SELECT MIN(CAST("{column}" AS VARCHAR)) FROM {self.reading} WHERE "{column}" IS NOT NULL AND {wrong}'
        ).fetchall()[0][0]
        if found is not None:
            raise InputError(f"{self.path}: {column} (of type {kind}) holds '{found}', which is no date; {_REMEDY}")


def read_source_file(connection: duckdb.DuckDBPyConnection, path: Path) -> SourceFile:
    """Look at a file that is there. Raises InputError for one that is no parquet file."""
    file = SourceFile(path, {})
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {file.reading}").fetchall()
    except duckdb.Error as error:
        raise InputError(f"{path}: not a readable parquet file: {str(error).splitlines()[0]}") from error
    return SourceFile(path, {str(name).lower(): str(kind) for name, kind, *_ in described})
