"""BigQuery SQL as DuckDB runs it: the one place where the dialect of the repository is translated.

Differences that sqlglot leaves, or gets silently wrong, are mended here on the syntax tree: a decimal literal is
FLOAT64 in BigQuery and DECIMAL in DuckDB; TIMESTAMP is kept as UTC without a zone, because DuckDB's zoned type
needs a further package to be read; partitioning and clustering do not exist. SAFE_DIVIDE becomes a division by
NULLIF, half as long as sqlglot's CASE: DuckDB plans these statements for longer than it runs them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from shared.domain.errors import InputError


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement for DuckDB and the names of the ``$name`` parameters that it takes."""

    sql: str
    parameters: frozenset[str]


@lru_cache(maxsize=512)
def translate(sql: str) -> Statement:
    """One BigQuery statement for DuckDB. Raises InputError when it cannot be read, or is not exactly one."""
    trees = _parse(sql)
    if len(trees) != 1:
        raise InputError(f"expected one SQL statement, found {len(trees)}: {_beginning(sql)}")
    tree = _mend(trees[0])
    names = frozenset(parameter.name for parameter in tree.find_all(exp.Parameter))
    return Statement(tree.sql(dialect="duckdb", identify=True), names)


def translate_ddl(script: str) -> tuple[str, ...]:
    """A script of ``CREATE TABLE`` statements for DuckDB, each dataset created before its first table.

    Raises InputError for any other statement, and for a table that names no dataset.
    """
    statements: list[str] = []
    for tree in _parse(script):
        schema = tree.this
        table = schema.this if isinstance(schema, exp.Schema) else None
        if not isinstance(tree, exp.Create) or tree.kind != "TABLE" or not isinstance(table, exp.Table):
            raise InputError(
                f"a schema script holds CREATE TABLE statements with columns only: {_beginning(tree.sql())}"
            )
        if not table.db:
            raise InputError(f"table '{table.name}' names no dataset: write `dataset.{table.name}`")
        create_dataset = f'CREATE SCHEMA IF NOT EXISTS "{table.db}"'
        if create_dataset not in statements:
            statements.append(create_dataset)
        tree.set("properties", None)
        for constraint in list(tree.find_all(exp.ColumnConstraint)):
            if isinstance(constraint.kind, exp.Properties):
                constraint.pop()
        statements.append(_mend(tree).sql(dialect="duckdb", identify=True))
    return tuple(statements)


def quoted(table: str) -> str:
    """``dataset.table`` as a quoted DuckDB name. Raises InputError for any other form."""
    dataset, dot, name = table.partition(".")
    if not (dot and dataset.isidentifier() and name.isidentifier()):
        raise InputError(f"'{table}' is not a table name: write dataset.table")
    return f'"{dataset}"."{name}"'


def utc_without_zone(moment: str | datetime) -> str:
    """A point in time as TIMESTAMP text in UTC; one without a zone is UTC. Raises InputError for other text."""
    try:
        when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    except ValueError as error:
        raise InputError(f"'{moment}' is not a timestamp: write 2024-01-15T20:30:00Z") from error
    return (when.astimezone(UTC) if when.tzinfo else when).replace(tzinfo=None).isoformat(sep=" ")


def _parse(sql: str) -> list[exp.Expression]:
    try:
        return [cast(exp.Expression, tree) for tree in sqlglot.parse(sql, read="bigquery") if tree is not None]
    except SqlglotError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"SQL that BigQuery's grammar does not allow: {reason} In: {_beginning(sql)}") from error


def _mend(tree: exp.Expression) -> exp.Expression:
    for literal in tree.find_all(exp.Literal):
        if not literal.is_string and "." in literal.name and "e" not in literal.name.lower():
            literal.set("this", f"{literal.name}e0")
    for quotient in list(tree.find_all(exp.SafeDivide)):
        divisor = exp.Nullif(this=exp.paren(quotient.expression), expression=exp.Literal.number(0))
        quotient.replace(exp.paren(exp.Div(this=exp.paren(quotient.this), expression=divisor)))
    for cast_to in tree.find_all(exp.Cast):
        literal = cast_to.this
        if cast_to.to.this == exp.DataType.Type.TIMESTAMPTZ and isinstance(literal, exp.Literal):
            literal.set("this", utc_without_zone(literal.name))
    for data_type in tree.find_all(exp.DataType):
        if data_type.this == exp.DataType.Type.TIMESTAMPTZ:
            data_type.set("this", exp.DataType.Type.TIMESTAMPNTZ)
    return tree


def _beginning(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= 120 else f"{line[:117]}..."
