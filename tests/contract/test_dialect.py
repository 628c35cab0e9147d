"""Every expression of the table comes out on DuckDB with the value and type that Google documents, or is refused.

The table is ``tests/dialect/*.yaml``; ``docs/dialect.md`` is made from it.
"""

import datetime as clock
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from sqlglot import exp

from phasegate.adapters.bigquery_sql import read_statement
from phasegate.adapters.embedded import dialect
from phasegate.adapters.embedded.dialect import Translator, connected, mending, translated
from phasegate.adapters.embedded.dialect.functions import Functions, creations, reason
from phasegate.domain.checks.question import Question, question, together
from phasegate.domain.errors import InputError, StatementRefused
from tests.dialect_page import PAGE, page
from tests.judge.words import found, same

TABLE = Path(__file__).parents[1] / "dialect"
ROWS: list[dict[str, Any]] = [
    {"subject": file.stem, **row} for file in sorted(TABLE.glob("*.yaml")) for row in yaml.safe_load(file.read_text())
]


def statement(row: dict[str, Any]) -> str:
    """The SELECT of one row."""
    return str(row["query"]) if "query" in row else f"SELECT {row['expression']}"


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with all the functions that translations call."""
    connection = connected(duckdb.connect())
    Functions(connection).require(" ".join(f"bq.{name}()" for name in creations()))
    yield connection
    connection.close()


def check(row: dict[str, Any], database: duckdb.DuckDBPyConnection) -> str | None:
    """What is wrong about one row, or None."""
    try:
        sql = translated(read_statement(statement(row))).sql
    except InputError as refused:
        return None if row.get("here") == "refused" or "error" in row else f"refused: {refused}"
    if row.get("here") == "refused":
        return "not refused"
    try:
        (kind,), rows = found(database, sql)
    except (duckdb.Error, InputError) as error:
        raises = "error" in row or row.get("here") == "refused when it runs"
        return None if raises and isinstance(error, EXPECTED) else f"{type(error).__name__}: {error}"
    values = [value for (value,) in rows]
    if "error" in row or "here" in row:
        return f"no error: {kind} {values}"
    right = row["values"] if "values" in row else [row["value"]]
    return None if kind == row["type"] and same(right, values) else f"{kind} {values}, not {row['type']} {right}"


EXPECTED = (InputError, duckdb.InvalidInputException, duckdb.OutOfRangeException, duckdb.ConversionException)
"""Errors about a value; any other says that the statement itself is wrong."""


@pytest.mark.parametrize("subject", sorted({row["subject"] for row in ROWS}))
def test_every_expression_is_equal_or_refused(subject: str, database: duckdb.DuckDBPyConnection) -> None:
    wrong = {statement(row): what for row in ROWS if row["subject"] == subject and (what := check(row, database))}
    assert not wrong, "\n".join(f"{sql}\n    {what}" for sql, what in wrong.items())


RULES = sorted({rule.name for rules in mending.RULES.values() for rule in rules})


@pytest.fixture(scope="module")
def mended_by() -> dict[str, list[dict[str, Any]]]:
    """The rows on which each rule does, or refuses, something."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in RULES}

    def watched(rule: mending.Rule, row: dict[str, Any]) -> mending.Rule:
        def mend(node: exp.Expression) -> exp.Expression | None:
            try:
                new = rule.mend(node)
            except InputError:
                rows[rule.name].append(row)
                raise
            if new is not None:
                rows[rule.name].append(row)
            return new

        return mending.Rule(rule.name, mend)

    before = dict(mending.RULES)
    for row in ROWS:
        mending.RULES.update({kind: [watched(rule, row) for rule in rules] for kind, rules in before.items()})
        with suppress(InputError):
            translated(read_statement(statement(row)))
    mending.RULES.update(before)
    return rows


@pytest.mark.parametrize("name", RULES)
def test_without_a_rule_the_table_is_red(
    name: str,
    database: duckdb.DuckDBPyConnection,
    mended_by: dict[str, list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    less = {kind: [rule for rule in rules if rule.name != name] for kind, rules in mending.RULES.items()}
    monkeypatch.setattr(mending, "RULES", less)
    assert any(check(row, database) for row in mended_by[name])


REFUSED = [row for row in ROWS if row.get("here") == "refused"]


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: statement(row)[:60])
def test_a_refusal_says_where_and_what_to_write(row: dict[str, Any]) -> None:
    sql = statement(row)
    with pytest.raises(StatementRefused) as refused:
        Translator()(f"\n{sql}")
    error = refused.value
    assert error.line is not None
    assert error.column is not None
    lines = f"\n{sql}".split("\n")
    assert 2 <= error.line <= len(lines)
    assert len("SELECT ") < error.column <= len(lines[error.line - 1])
    assert "write " in error.sentence


@pytest.mark.parametrize(
    ("sql", "place", "sentence"),
    [
        ("SELECT 1,\n  SOUNDEX('x')", (2, 3), "SOUNDEX is not translated for DuckDB; write "),
        (
            "SELECT\n IF(TRUE, FARM_FINGERPRINT(@x), 2)",
            (2, 11),
            "FARM_FINGERPRINT is not translated for DuckDB; write TO_",
        ),
        (
            "SELECT DATETIME(@t,\n'Europe/Nowhere') FROM ds.t",
            (1, 8),
            "there is no time zone 'Europe/Nowhere': write a name",
        ),
        (
            "SELECT x FROM UNNEST([1]) AS x WHERE x = '1'",
            (1, 38),
            "a number does not compare with a text: x = '1'; write",
        ),
    ],
)
def test_the_place_of_a_refusal_is_that_of_its_part(sql: str, place: tuple[int, int], sentence: str) -> None:
    with pytest.raises(StatementRefused) as refused:
        Translator()(sql, {"x": "a", "t": clock.datetime(2024, 1, 1, tzinfo=clock.UTC)})
    assert (refused.value.line, refused.value.column) == place
    assert sentence in refused.value.sentence


def test_a_database_gets_the_functions_that_are_called_and_what_these_call() -> None:
    connection = connected(duckdb.connect())
    translate = Translator(connection)

    def made() -> set[str]:
        found = connection.execute("SELECT function_name FROM duckdb_functions() WHERE database_name = 'bq'").fetchall()
        return {name for (name,) in found}

    connection.execute(translate("SELECT 'bq.nothing(1)', 7").sql)
    assert made() == set()
    for _ in range(2):
        sql = translate("SELECT DATE(TIMESTAMP_SECONDS(x), z) FROM UNNEST([0]) AS x, UNNEST(['Asia/Tokyo']) AS z").sql
        assert connection.execute(sql).fetchall() == [(clock.date(1970, 1, 1),)]
        assert made() == {"local", "is_offset", "offset_minutes", "as_date", "in_years", "no_date"}
    connection.close()


COLUMNS = {"ds.a": {"d": "DATE", "v": "DOUBLE"}, "ds.b": {"d": "DATE", "v": "BIGINT"}}
TOGETHER = [f"SELECT d, SUM(v) AS v FROM `{table}` WHERE d IN UNNEST(@days) GROUP BY d -- of all" for table in COLUMNS]


def joined(selects: list[str]) -> Question:
    """A question that ``together`` makes of several."""
    return together([question(select, [clock.date(2024, 1, 1)], "sums") for select in selects])


def test_a_statement_of_several_is_translated_part_by_part_to_what_the_whole_means() -> None:
    translate = Translator(None, lambda tables: {table: COLUMNS[table] for table in tables})
    both = joined(TOGETHER)
    whole = Translator(None, lambda tables: {table: COLUMNS[table] for table in tables})(str(both.sql), both.parameters)
    assert translate(both.sql, both.parameters) == whole
    assert whole.parameters == {"days"}


def test_a_part_is_translated_once_in_whatever_company_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def noting(tree: exp.Expr, *of: Any) -> dialect.Statement:
        seen.append(tree.sql())
        return translated(tree, *of)

    monkeypatch.setattr(dialect, "translated", noting)
    monkeypatch.setattr(dialect, "_TRANSLATIONS", {})
    translate = Translator(None, lambda tables: {table: COLUMNS[table] for table in tables})
    for parts in (TOGETHER, TOGETHER[::-1], TOGETHER[:1]):
        asked = joined(parts)
        translate(asked.sql, asked.parameters)
    assert len(seen) == len(TOGETHER)


def test_a_part_that_is_refused_is_refused_in_its_place_in_the_whole() -> None:
    refused = joined(["SELECT 1 AS x", "SELECT FARM_FINGERPRINT('a') AS x"])
    for sql in (refused.sql, str(refused.sql)):
        with pytest.raises(StatementRefused, match="line 2, column 56: FARM_FINGERPRINT is not translated"):
            Translator()(sql, refused.parameters)


def test_the_page_is_what_the_generator_writes() -> None:
    assert PAGE.read_text() == page(), "python -m tests.dialect_page writes it"


FAILING = {
    "1 / x FROM (SELECT 0 AS x)": "division by zero",
    "[1, 2][OFFSET(x)] FROM (SELECT 7 AS x)": "an array index out of bounds: 8",
    "CAST(x AS INT64) FROM (SELECT 'seven' AS x)": "no INT64: seven",
    "CAST(x AS BOOL) FROM (SELECT 'seven' AS x)": "a text that is no BOOL: 'seven'",
    "DATE_ADD(x, INTERVAL 1 DAY) FROM (SELECT DATE '9999-12-31' AS x)": "a point in time beyond the years 1 to 9999",
    "x * x FROM (SELECT 1e200 AS x)": "a number beyond FLOAT64",
}


@pytest.mark.parametrize(("expression", "said"), FAILING.items())
def test_what_fails_says_why_in_the_words_of_the_function(
    expression: str, said: str, database: duckdb.DuckDBPyConnection
) -> None:
    with pytest.raises(duckdb.Error) as raised:
        found(database, translated(read_statement(f"SELECT {expression}")).sql)
    assert reason(str(raised.value).splitlines()[0]) == said
