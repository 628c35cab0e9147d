"""BigQuery SQL is translated for DuckDB here, and nowhere else in the repository."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import MappingProxyType

import duckdb
from cachetools import LRUCache
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ErrorLevel, SqlglotError

from phasegate.adapters.bigquery_sql import (
    created_table,
    duckdb_parameters,
    parameters_of,
    read_script,
    read_statement,
    split_table,
    tables_in,
)
from phasegate.adapters.embedded.dialect import (  # noqa: F401 - rules
    aggregates,
    casts,
    collections,
    comparisons,
    formats,
    jsons,
    numbers,
    texts,
    times,
)
from phasegate.adapters.embedded.dialect.functions import Functions
from phasegate.adapters.embedded.dialect.known import mark_places, refusal, refuse_unknown
from phasegate.adapters.embedded.dialect.mending import mended
from phasegate.adapters.embedded.dialect.ranges import mark_overflow, mark_years
from phasegate.adapters.embedded.dialect.typing import Tables, give_types, type_of, with_types
from phasegate.domain.checks.question import DuckDbSql, JoinedSql
from phasegate.domain.errors import StatementRefused
from phasegate.ports import Parameter


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement is one that DuckDB can run, with what it has to be given."""

    sql: str
    """The statement in DuckDB's dialect."""

    parameters: frozenset[str]
    """The names of the ``$name`` parameters that it takes."""


Columns = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""Tables ("dataset.table"), each with the DuckDB types of its columns."""

_KEPT = 1024
_NAMES_READ: LRUCache[str, tuple[frozenset[str], frozenset[str]]] = LRUCache(_KEPT)
"""The tables and the parameters that a statement names."""
_TRANSLATIONS: LRUCache[tuple[str, tuple[tuple[str, str], ...], Columns], Statement] = LRUCache(_KEPT)
_LOCK = Lock()
"""Of both: a statement over tables of the same columns, with parameters of the same types, is translated once in a
process."""


class Translator:
    """Translates statements for one database, each of them once.

    connection: the database, made ready by ``connected``, which gets the functions that statements call; None: they
    are not run. columns: returns the DuckDB types by column of those tables ("dataset.table") that are there.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection | None = None,
        columns: Callable[[Iterable[str]], Mapping[str, Mapping[str, str]]] = lambda _: {},
    ) -> None:
        self._functions = Functions(connection) if connection else None
        self._columns = columns
        self._tables: dict[str, tuple[tuple[str, str], ...]] = {}
        self._statements: LRUCache[tuple[str, tuple[tuple[str, str], ...]], Statement] = LRUCache(_KEPT)
        self._lock = Lock()

    def __call__(self, sql: str, parameters: Mapping[str, Parameter] = MappingProxyType({})) -> Statement:
        """Translate one BigQuery statement, whose parameters have values of these types.

        Raises StatementRefused when it cannot be read, is not exactly one, or is not known to mean the same here.
        """
        if isinstance(sql, DuckDbSql):
            return Statement(sql, duckdb_parameters(sql))
        kinds = tuple(sorted((name, kind) for name, value in parameters.items() if (kind := type_of(value))))
        with self._lock:
            known = self._statements.get((sql, kinds))
            if known is None:
                known = self._translation(sql, kinds)
                if self._functions:
                    self._functions.require(known.sql)
                self._statements[sql, kinds] = known
        return known

    def _translation(self, sql: str, kinds: tuple[tuple[str, str], ...]) -> Statement:
        joined = self._joined(sql, kinds) if isinstance(sql, JoinedSql) else None
        return joined or self._alone(sql, kinds)

    def _joined(self, sql: JoinedSql, kinds: tuple[tuple[str, str], ...]) -> Statement | None:
        """Join the translations of a statement's parts, most of which were asked before in other company; None where
        one is refused, which is said of the whole."""
        try:
            parts = [self._alone(part, kinds) for part in sql.parts]
        except StatementRefused:
            return None
        text = " UNION ALL ".join(
            f'SELECT CAST({n} AS BIGINT) AS "asked", "q{n}".* FROM ({each.sql}) AS "q{n}"'
            for n, each in enumerate(parts)
        )
        return Statement(text, frozenset().union(*(part.parameters for part in parts)))

    def _alone(self, sql: str, kinds: tuple[tuple[str, str], ...]) -> Statement:
        tree = None
        with _LOCK:
            names = _NAMES_READ.get(sql)
        if names is None:
            tree = read_statement(sql)
            names = tables_in(tree), parameters_of(tree)
        tables, parameters = names
        columns = self._columns_of(tables)
        named = tuple((name, kind) for name, kind in kinds if name in parameters)
        with _LOCK:
            _NAMES_READ[sql] = names
            known = _TRANSLATIONS.get((sql, named, columns))
        if known is None:
            known = translated(tree or read_statement(sql), dict(named), columns)
            with _LOCK:
                _TRANSLATIONS[sql, named, columns] = known
        return known

    def _columns_of(self, tables: Set[str]) -> Columns:
        if wanted := tables - self._tables.keys():
            self._tables |= {table: tuple(columns.items()) for table, columns in self._columns(wanted).items()}
        return tuple((table, self._tables[table]) for table in sorted(tables) if table in self._tables)

    def forget(self) -> None:
        """Translate anew what comes: tables have changed."""
        with self._lock:
            self._statements.clear()
            self._tables.clear()


translate = Translator()
"""Translates statements that read no table, and are not run."""


def translated(tree: exp.Expr, kinds: Mapping[str, str] = MappingProxyType({}), columns: Columns = ()) -> Statement:
    """Translate a statement, whose tree becomes another one. kinds: BigQuery's types of parameters by their names.

    Raises StatementRefused when it is not known to mean the same here.
    """
    parameters = parameters_of(tree)
    mark_places(tree)
    refuse_unknown(tree)
    give_types(tree, kinds)
    collections.mark_safe(tree)
    tree = with_types(collections.prepared(tree), Tables(columns))
    mark_overflow(tree)
    mark_years(tree)
    collections.count_from_zero(tree)
    tree = mended(tree)
    try:
        # Written out once, so that no copy of the tree is needed.
        sql = tree.sql(dialect=DuckDB, identify=True, copy=False, unsupported_level=ErrorLevel.RAISE)
    except (SqlglotError, ValueError) as error:
        raise refusal(tree, f"no translation for DuckDB: {error}; write it otherwise") from error
    return Statement(sql, parameters)


@lru_cache(maxsize=32)
def translate_ddl(script: str) -> tuple[str, ...]:
    """Translate a script of ``CREATE TABLE`` statements for DuckDB, each dataset created before its first table.

    Raises InputError for any other statement, and for a table that names no dataset.
    """
    statements: list[str] = []
    for tree in read_script(script):
        create_dataset = f'CREATE SCHEMA IF NOT EXISTS "{created_table(tree).db}"'
        if create_dataset not in statements:
            statements.append(create_dataset)
        tree.set("properties", None)
        for constraint in list(tree.find_all(exp.ColumnConstraint)):
            if isinstance(constraint.args["kind"], exp.Properties):
                constraint.pop()
        for kind in list(tree.find_all(exp.DataType)):
            if kind.this == exp.DataType.Type.DECIMAL and not kind.expressions:
                kind.replace(exp.DataType.build("DECIMAL(38, 9)"))
        statements.append(mended(tree).sql(dialect=DuckDB, identify=True, copy=False))
    return tuple(statements)


def instants(script: str) -> dict[str, list[str]]:
    """Return the TIMESTAMP columns by table of a script of ``CREATE TABLE`` statements."""
    found: dict[str, list[str]] = {}
    for tree in read_script(script):
        table = created_table(tree)
        for column in tree.find_all(exp.ColumnDef):
            if column.kind is not None and column.kind.this == exp.DataType.Type.TIMESTAMPTZ:
                found.setdefault(f"{table.db}.{table.name}", []).append(column.name)
    return found


def quoted(table: str) -> str:
    """Return ``dataset.table`` as a quoted DuckDB name. Raises InputError for any other form."""
    dataset, name = split_table(table)
    return f'"{dataset}"."{name}"'


def connected(
    connection: duckdb.DuckDBPyConnection, *, folders: Sequence[Path] = (), files: Sequence[Path] = ()
) -> duckdb.DuckDBPyConnection:
    """Make a connection, and its cursors, ready for translated statements: with a place for functions, and in UTC.

    folders, files: all that a statement may read beside the database itself; nothing that it says changes that.
    """
    connection.execute("SET GLOBAL TimeZone = 'UTC'; SET autoinstall_known_extensions = false; ATTACH ':memory:' AS bq")
    for setting, paths in (("allowed_directories", folders), ("allowed_paths", files)):
        if paths:
            connection.execute(f"SET {setting} = $paths", {"paths": [str(path) for path in paths]})
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
