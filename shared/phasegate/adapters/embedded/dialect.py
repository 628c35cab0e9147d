"""BigQuery SQL is translated for DuckDB here, and nowhere else in the repository.

Differences that sqlglot leaves, or gets silently wrong, are mended here on the syntax tree: a decimal literal is
FLOAT64 in BigQuery and DECIMAL in DuckDB; TIMESTAMP is kept as UTC without a zone, because DuckDB's zoned type
needs a further package to be read; partitioning and clustering do not exist. SAFE_DIVIDE becomes a division by
NULLIF, half as long as sqlglot's CASE: DuckDB plans these statements for longer than it runs them. COUNTIF is 0 where
its condition is NULL in every row, or there is none: DuckDB's own is NULL there. The day of a week counts from 1.
FORMAT writes numbers and texts by the specifiers of printf; DuckDB's FORMAT knows other ones.

What rounds, rounds as BigQuery does, half away from zero. ROUND of a FLOAT64 looks at the stored binary value (DuckDB
2.0.1 or newer); NUMERIC keeps its nine decimal places; CAST of a FLOAT64 to INT64, which DuckDB rounds half to even,
goes through ROUND.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB

from phasegate.adapters.bigquery_sql import created_table, parameters_of, read_script, read_statement, split_table
from phasegate.adapters.json_lines import utc_without_zone

_PRINTF = re.compile(r"(?:[^%]|%%|%[-+ 0#]*\d*(?:\.\d+)?[deEfFgGs])*")
"""A format whose specifiers mean the same in BigQuery's FORMAT and in DuckDB's PRINTF."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement is one that DuckDB can run, with what it has to be given."""

    sql: str
    """The statement in DuckDB's dialect."""

    parameters: frozenset[str]
    """The names of the ``$name`` parameters that it takes."""


@lru_cache(maxsize=512)
def translate(sql: str) -> Statement:
    """Translate one BigQuery statement for DuckDB. Raises InputError when it cannot be read, or is not exactly one."""
    tree = _mend(read_statement(sql))
    parameters = parameters_of(tree)
    # Written out once: a copy of the tree would take a third of the time.
    return Statement(tree.sql(dialect=DuckDB, identify=True, copy=False), parameters)


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
            if isinstance(constraint.kind, exp.Properties):
                constraint.pop()
        statements.append(_mend(tree).sql(dialect=DuckDB, identify=True, copy=False))
    return tuple(statements)


def quoted(table: str) -> str:
    """Return ``dataset.table`` as a quoted DuckDB name. Raises InputError for any other form."""
    dataset, name = split_table(table)
    return f'"{dataset}"."{name}"'


def _mend(tree: exp.Expression) -> exp.Expression:
    for literal in tree.find_all(exp.Literal):
        if not literal.is_string and "." in literal.name and "e" not in literal.name.lower():
            literal.set("this", f"{literal.name}e0")
    for quotient in list(tree.find_all(exp.SafeDivide)):
        divisor = exp.Nullif(this=exp.paren(quotient.expression), expression=exp.Literal.number(0))
        quotient.replace(exp.paren(exp.Div(this=exp.paren(quotient.this), expression=divisor)))
    for counting in list(tree.find_all(exp.CountIf)):
        if not isinstance(counting.this, exp.Distinct):
            counting.replace(exp.Count(this=exp.Case().when(counting.this, exp.Literal.number(1))))
    for part in list(tree.find_all(exp.Extract)):
        if part.name.upper() == "DAYOFWEEK":
            part.replace(exp.paren(exp.Add(this=part.copy(), expression=exp.Literal.number(1))))
    for written in list(tree.find_all(exp.Format)):
        if isinstance(written.this, exp.Literal) and _PRINTF.fullmatch(written.this.name):
            written.replace(exp.Anonymous(this="printf", expressions=[written.this, *written.expressions]))
    # From the inside outwards: a cast is copied into what replaces it.
    for cast_to in reversed(list(tree.find_all(exp.Cast))):
        if cast_to.to.this in exp.DataType.INTEGER_TYPES and not _is_whole(cast_to.this):
            cast_to.replace(_rounding(cast_to))
    for cast_to in tree.find_all(exp.Cast):
        literal = cast_to.this
        if cast_to.to.this == exp.DataType.Type.TIMESTAMPTZ and isinstance(literal, exp.Literal):
            literal.set("this", utc_without_zone(literal.name))
    for data_type in tree.find_all(exp.DataType):
        if data_type.this == exp.DataType.Type.TIMESTAMPTZ:
            data_type.set("this", exp.DataType.Type.TIMESTAMPNTZ)
        if data_type.this == exp.DataType.Type.DECIMAL and not data_type.expressions:
            data_type.replace(exp.DataType.build("DECIMAL(38, 9)"))
    return tree


def _is_whole(value: exp.Expression) -> bool:
    """Whether an expression is plainly no fraction, so that a cast of it does not round."""
    if isinstance(value, exp.Literal):
        return value.is_string or value.is_int
    is_whole = isinstance(value, exp.Round) and not value.args.get("decimals")
    return is_whole or isinstance(value, exp.Null | exp.Count | exp.Concat)


def _rounding(cast_to: exp.Cast) -> exp.Expression:
    """The cast to INT64 of what may be a FLOAT64: only DuckDB knows, when it runs the statement."""
    value = cast_to.this
    of_float = cast_to.copy()
    of_float.set("this", exp.Round(this=exp.TryCast(this=value.copy(), to=exp.DataType.build("DOUBLE"))))
    kind = exp.Anonymous(this="typeof", expressions=[value.copy()])
    is_float = exp.In(this=kind, expressions=[exp.Literal.string("DOUBLE"), exp.Literal.string("FLOAT")])
    return exp.Case(ifs=[exp.If(this=is_float, true=of_float)], default=cast_to.copy())
