"""BigQuery's functions are DuckDB macros, made in a database when a statement first calls them."""

import re
from collections.abc import Iterator, Mapping, Set
from functools import cache
from pathlib import Path

import duckdb

_FILE = Path(__file__).with_name("functions.sql")
_CALL = re.compile(r"\bbq\"?\.(\w+)\(", re.IGNORECASE)
_CREATION = re.compile(r"^CREATE MACRO bq\.main\.(\w+)\(.*?;$", re.MULTILINE | re.DOTALL)


_FAILURES = (
    re.compile(r"Conversion Error: Could not convert string '(.*)' to INT8"),
    re.compile(r"Conversion Error: Could not convert string '((?:an array index|no INT64).*)' to INT64"),
    re.compile(r"Conversion Error: Could not convert string '(a text that is no BOOL.*)' to BOOL"),
    re.compile(r'Conversion Error: invalid date field format: "(a .*)", expected format is'),
)
"""What DuckDB says of a cast of the reason."""


def reason(error: str) -> str:
    """Return an error of DuckDB in the words of the function that failed, if it was one of these."""
    return next((found[1] for failure in _FAILURES if (found := failure.match(error))), error)


class Functions:
    """These are the functions that a database has, and gets: a statement calls few of them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._made: set[str] = set()

    def require(self, sql: str) -> None:
        """Make what a statement, in DuckDB's dialect, calls. One caller at a time."""
        for name in _called(sql, but=self._made):
            with self._connection.cursor() as cursor:
                cursor.execute(creations()[name])
            self._made.add(name)


@cache
def creations() -> Mapping[str, str]:
    """Return the statement that makes each function, by name."""
    return {found[1]: found[0] for found in _CREATION.finditer(_FILE.read_text())}


def _called(sql: str, but: Set[str]) -> Iterator[str]:
    """Yield the functions that a text calls, each behind those that it calls itself."""
    met = set(but)

    def names(text: str) -> Iterator[str]:
        for name in map(str.lower, _CALL.findall(text)):
            if name in creations() and name not in met:
                met.add(name)
                yield from names(creations()[name].partition(" AS")[2])
                yield name

    return names(sql)
