"""What DuckDB says of a statement that it cannot bind is said in the words, and at the place, of the BigQuery text."""

import re

import duckdb
from sqlglot import exp

from phasegate.adapters.bigquery_sql import read_statement
from phasegate.adapters.embedded.dialect.functions import reason
from phasegate.adapters.embedded.dialect.known import mark_places, name_of, refusal
from phasegate.adapters.embedded.dialect.typing import bigquery_types
from phasegate.domain.checks.question import DuckDbSql
from phasegate.domain.errors import StatementRefused, TableNotThere
from phasegate.domain.spec.pipeline import did_you_mean

_COLUMN = re.compile(r'(?:Referenced column|a column named) "([^"]+)"|column "?([\w.]+)"? must appear in the GROUP BY')
_SOURCE = re.compile(r'Referenced table "([^"]+)" not found')
_TABLE = re.compile(r"Table with name (\S+) does not exist|[Ss]chema with name (\S+) does not exist")
_FUNCTION = re.compile(r"No function matches the given name and argument types '([^(]+)\((.*)\)'")
_FILE = re.compile(r'Cannot access file "(?:.*/)?([^"/]+)"')
_CANDIDATES = re.compile(r"Candidate (?:bindings|tables): (.*)")
_KIND = re.compile(r"^\w+(?: \w+)? Error: ")


def unbound(error: duckdb.Error, sql: str) -> StatementRefused:
    """Return what is wrong with a statement, the part of it that DuckDB names, and what was perhaps meant.

    sql: in the BigQuery dialect, as it was translated. TableNotThere where a table is none.
    """
    text = str(error)
    said = _KIND.sub("", reason(text.splitlines()[0]))
    if isinstance(sql, DuckDbSql):
        return StatementRefused(f"DuckDB cannot bind it: {said}")
    near = _candidates(text)
    tree = read_statement(sql)
    mark_places(tree)
    if found := _FILE.search(text):
        # Of a table that is not there DuckDB looks for a file, which no statement may read.
        return _no_table(tree, found[1].rpartition(".")[2], said)
    if found := _TABLE.search(text):
        return _no_table(tree, (found[1] or found[2]).strip('"!').rpartition(".")[2], said)
    if found := _COLUMN.search(text):
        name = found[1] or found[2]
        part = _first(tree, exp.Column, name.rpartition(".")[2])
        if "GROUP BY" in said:
            return refusal(part, f"column {name} is neither grouped by nor within an aggregate", f"MIN({name})")
        return refusal(part, f"there is no column {name}{did_you_mean(name, near)}")
    if found := _SOURCE.search(text):
        column = next((each for each in tree.find_all(exp.Column) if each.table.lower() == found[1].lower()), tree)
        return refusal(column, f"nothing in FROM is called {found[1]}{did_you_mean(found[1], near)}")
    if found := _FUNCTION.search(text):
        part, taken = _called(tree, found[1]), ", ".join(_bigquery_type(kind) for kind in found[2].split(", "))
        if part is not tree:
            return refusal(part, f"{_name(part, found[1])} takes no ({taken})", "a CAST of what does not fit")
    return refusal(tree, f"DuckDB cannot bind it: {said}")


_SIGNS: dict[str, type[exp.Expr]] = {"+": exp.Add, "-": exp.Sub, "*": exp.Mul, "/": exp.Div, "||": exp.DPipe}


def _called(tree: exp.Expr, name: str) -> exp.Expr:
    """The first part that calls a function by DuckDB's name of it; the tree where none is told."""
    if kind := _SIGNS.get(name):
        return tree.find(kind) or tree
    named = {name.upper(), _OTHERWISE.get(name, name).upper()}
    return next((part for part in tree.find_all(exp.Func) if {part.sql_name(), name_of(part)} & named), tree)


_OTHERWISE = {"substring": "SUBSTR", "array_length": "ARRAY_LENGTH", "date_sub": "TIMESTAMP_DIFF"}
"""Names that BigQuery has for functions of DuckDB."""


def _name(part: exp.Expr, sign: str) -> str:
    return name_of(part) if isinstance(part, exp.Func) else sign


def _bigquery_type(kind: str) -> str:
    plain = kind.removesuffix("_LITERAL")
    return bigquery_types({"x": plain}).get("x", plain)


def _no_table(tree: exp.Expr, name: str, said: str) -> StatementRefused:
    for table in tree.find_all(exp.Table):
        if table.db and name.lower() in (table.name.lower(), table.db.lower()):
            place = refusal(table, said)
            written = f"{table.db}.{table.name}"
            return TableNotThere(written, f"there is no table {written}", place.line, place.column)
    return refusal(tree, said)


def _first(tree: exp.Expr, kind: type[exp.Expr], name: str) -> exp.Expr:
    return next((part for part in tree.find_all(kind) if part.name.lower() == name.lower()), tree)


def _candidates(text: str) -> list[str]:
    found = _CANDIDATES.search(text)
    return [each.rpartition(".")[2] for each in re.findall(r'"([^"]+)"', found[1])] if found else []
