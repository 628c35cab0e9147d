"""SQL of the BigQuery dialect is read here as far as every warehouse must understand it: statements, parameters,
tables.

The dialect is imported here, whole, before anybody reads with it: sqlglot 30 loads a dialect at its first use by name,
and a thread that reads at that moment gets one that is half made (``findings/sqlglot-first-use-by-threads.sh``).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import lru_cache

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.tokenizer_core import Token, TokenType

from phasegate.adapters.parsing import place_of, tokens_of, trees_of
from phasegate.domain.checks.question import DuckDbSql, on_days
from phasegate.domain.errors import InputError, StatementRefused
from phasegate.ports import Parameter

TEXT = "text"
"""Under this name the tree of a statement keeps the statement as it was written."""


def read_script(sql: str) -> list[exp.Expr]:
    """Return the statements of a script. Raises StatementRefused when BigQuery's grammar does not allow it."""
    return _read(sql, BigQuery, "BigQuery")[1]


def read_statement(sql: str) -> exp.Expr:
    """Return the one statement, with its text. Raises StatementRefused when it cannot be read, or is not just one."""
    tree = _only(sql, *_read(sql, BigQuery, "BigQuery"))
    tree.meta[TEXT] = sql
    return tree


def read_duckdb(sql: str) -> exp.Expr:
    """Return the one statement of DuckDB's own SQL. Raises StatementRefused as ``read_statement`` does."""
    return _only(sql, *_read(sql, DuckDB, "DuckDB"))


def _read(sql: str, dialect: type[Dialect], whose: str) -> tuple[list[Token], list[exp.Expr]]:
    try:
        tokens = tokens_of(sql, dialect)
        return tokens, trees_of(sql, tokens, dialect)
    except StatementRefused as error:
        sentence = f"SQL that {whose}'s grammar does not allow: {error.sentence}. In: {_beginning(sql)}"
        raise StatementRefused(sentence, error.line, error.column) from error


def _only(sql: str, tokens: Sequence[Token], trees: Sequence[exp.Expr]) -> exp.Expr:
    if len(trees) == 1:
        return trees[0]
    ends = [n for n, token in enumerate(tokens) if token.token_type == TokenType.SEMICOLON]
    more = [token for token in tokens[ends[0] :] if token.token_type != TokenType.SEMICOLON] if ends else []
    place = place_of(sql, more[0].start) if more else ()
    raise StatementRefused(f"expected one SQL statement, found {len(trees)}: {_beginning(sql)}", *place)


def tables_of(sql: str) -> frozenset[str]:
    """Return the tables (``dataset.table``) that one statement names; none of one that cannot be read."""
    try:
        tree = read_duckdb(sql) if isinstance(sql, DuckDbSql) else read_statement(sql)
    except StatementRefused:
        return frozenset()
    return tables_in(tree)


def tables_in(tree: exp.Expr) -> frozenset[str]:
    """Return the tables (``dataset.table``) that a statement names."""
    return frozenset(f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db)


@lru_cache(maxsize=512)
def duckdb_parameters(sql: str) -> frozenset[str]:
    """Return the names of the ``$name`` parameters of one statement of DuckDB's own SQL."""
    return parameters_of(read_duckdb(sql))


def parameters_of(tree: exp.Expr) -> frozenset[str]:
    """Return the names of the ``@name`` parameters of a statement, of DuckDB's own SQL those of ``$name``."""
    return frozenset(parameter.name for parameter in tree.find_all(exp.Parameter, exp.Placeholder) if parameter.name)


@lru_cache(maxsize=512)
def named_parameters(sql: str) -> frozenset[str]:
    """Return the names of the ``@name`` parameters of one statement. Raises InputError as ``read_statement`` does."""
    return parameters_of(read_statement(sql))


def chosen(names: frozenset[str], parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Return the parameters that a statement names. Raises InputError when one of them has no value."""
    missing = sorted(names - parameters.keys())
    if missing:
        raise InputError(f"the SQL names parameters without a value: {', '.join(f'@{name}' for name in missing)}")
    return {name: value for name, value in parameters.items() if name in names}


def created_table(tree: exp.Expr) -> exp.Table:
    """Return the table that one statement of a schema script creates.

    Raises InputError for any statement but ``CREATE TABLE`` with columns, and for a table that names no dataset.
    """
    schema = tree.this
    table = schema.this if isinstance(schema, exp.Schema) else None
    if not isinstance(tree, exp.Create) or tree.kind != "TABLE" or not isinstance(table, exp.Table):
        raise InputError(f"a schema script holds CREATE TABLE statements with columns only: {_beginning(tree.sql())}")
    if not table.db:
        raise InputError(f"table '{table.name}' names no dataset: write `dataset.{table.name}`")
    return table


def split_table(table: str) -> tuple[str, str]:
    """Return dataset and name of ``dataset.name``. Raises InputError for any other form."""
    dataset, dot, name = table.partition(".")
    if not (dot and dataset.isidentifier() and name.isidentifier()):
        raise InputError(f"'{table}' is not a table name: write dataset.table")
    return dataset, name


def deletion(table: str, date_column: str) -> str:
    """Return one DELETE of the rows of a table's dates, which the parameters ``days``, ``first`` and ``last`` name.

    Raises InputError for a name that is none.
    """
    if not date_column.isidentifier():
        raise InputError(f"'{date_column}' is not the name of a column")
    return f"DELETE FROM `{'.'.join(split_table(table))}` WHERE {on_days(date_column)}"


def dates_parameters(days: Collection[date]) -> dict[str, Parameter]:
    """Return the parameters of ``deletion``."""
    return {"days": sorted(days), "first": min(days), "last": max(days)}


def _beginning(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= 120 else f"{line[:117]}..."
