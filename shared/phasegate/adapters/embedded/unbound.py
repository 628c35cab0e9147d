"""What DuckDB says of a statement that it cannot bind is said in the words, and at the place, of the BigQuery text."""

import re

import duckdb
from sqlglot import exp

from phasegate.adapters.bigquery_sql import read_statement
from phasegate.adapters.embedded.dialect.known import mark_places, refusal
from phasegate.domain.checks.question import DuckDbSql
from phasegate.domain.errors import StatementRefused, TableNotThere
from phasegate.domain.spec.pipeline import did_you_mean

_COLUMN = re.compile(r'(?:Referenced column|a column named) "([^"]+)"|column "?([\w.]+)"? must appear in the GROUP BY')
_SOURCE = re.compile(r'Referenced table "([^"]+)" not found')
_TABLE = re.compile(r"Table with name (\S+) does not exist|[Ss]chema with name (\S+) does not exist")
_FILE = re.compile(r'Cannot access file "(?:.*/)?([^"/]+)"')
_CANDIDATES = re.compile(r"Candidate (?:bindings|tables): (.*)")
_KIND = re.compile(r"^\w+(?: \w+)? Error: ")


def unbound(error: duckdb.Error, sql: str) -> StatementRefused:
    """Return what is wrong with a statement, the part of it that DuckDB names, and what was perhaps meant.

    sql: in the BigQuery dialect, as it was translated. TableNotThere where a table is none.
    """
    text = str(error)
    said = _KIND.sub("", text.splitlines()[0])
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
    return refusal(tree, f"DuckDB cannot bind it: {said}")


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
