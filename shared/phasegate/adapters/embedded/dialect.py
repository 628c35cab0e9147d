"""BigQuery SQL as DuckDB runs it: the one place where the dialect of the repository is translated.

Differences that sqlglot leaves, or gets silently wrong, are mended here on the syntax tree: a decimal literal is
FLOAT64 in BigQuery and DECIMAL in DuckDB; TIMESTAMP is kept as UTC without a zone, because DuckDB's zoned type
needs a further package to be read; partitioning and clustering do not exist. SAFE_DIVIDE becomes a division by
NULLIF, half as long as sqlglot's CASE: DuckDB plans these statements for longer than it runs them.
"""

from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp

from phasegate.adapters.bigquery_sql import created_table, parameters_of, read_script, read_statement, split_table
from phasegate.adapters.json_lines import utc_without_zone


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement for DuckDB and the names of the ``$name`` parameters that it takes."""

    sql: str
    parameters: frozenset[str]


@lru_cache(maxsize=512)
def translate(sql: str) -> Statement:
    """One BigQuery statement for DuckDB. Raises InputError when it cannot be read, or is not exactly one."""
    tree = _mend(read_statement(sql))
    return Statement(tree.sql(dialect="duckdb", identify=True), parameters_of(tree))


def translate_ddl(script: str) -> tuple[str, ...]:
    """A script of ``CREATE TABLE`` statements for DuckDB, each dataset created before its first table.

    Raises InputError for any other statement, and for a table that names no dataset.
    """
    statements: list[str] = []
    for tree in read_script(script):
        create_dataset = f'CREATE SCHEMA IF NOT EXISTS "{created_table(tree).db}"'
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
    dataset, name = split_table(table)
    return f'"{dataset}"."{name}"'


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
