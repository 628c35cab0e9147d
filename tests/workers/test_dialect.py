"""BigQuery SQL, translated and run on DuckDB: what comes out is what BigQuery would give."""

import logging
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from phasegate.adapters.embedded.dialect import Translator, connected, translate, translate_ddl
from phasegate.adapters.json_lines import utc_without_zone
from phasegate.domain.calendar.sql_parameters import SET_PARAMETERS
from phasegate.domain.errors import InputError, StatementRefused
from tests.nba_sql import ANALYTICS, PIPELINE, PRECOMPUTE, PREDICTIONS, select_of

EVERY_SELECT = [*ANALYTICS.values(), *PRECOMPUTE.values(), *PREDICTIONS.values()]


def rows_of(sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    connection = connected(duckdb.connect())
    return connection.execute(Translator(connection)(sql).sql, parameters).fetchall()


def value_of(expression: str, **parameters: Any) -> Any:
    ((value,),) = rows_of(f"SELECT {expression}", **parameters)
    return value


def test_parameters_are_renamed_and_every_name_is_quoted() -> None:
    statement = translate("SELECT x FROM `nba_raw.bdl_games` WHERE game_date BETWEEN @first AND @last")
    assert statement.sql == 'SELECT "x" FROM "nba_raw"."bdl_games" WHERE "game_date" BETWEEN $first AND $last'
    assert statement.parameters == {"first", "last"}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("SAFE_DIVIDE(1, 4)", 0.25),
        ("SAFE_DIVIDE(1, 0)", None),
        ("SAFE_DIVIDE(1, NULL)", None),
        ("12 / SAFE_DIVIDE(3 + 3, 1 + 1)", 4.0),
        ("7 / 2", 3.5),
        ("DATE_DIFF(DATE '2024-03-01', DATE '2024-02-28', DAY)", 2),
        ("LEAST(1, NULL)", None),
        ("GREATEST(2, 3)", 3),
        ("IF(NULL, 1, 2)", 2),
        ("FORMAT('%.2f of %d, %s, 100%%', 1.256, 12, 'x')", "1.26 of 12, x, 100%"),
        ("FORMAT('%.11e', 1 / 3)", "3.33333333333e-01"),
        ("FORMAT('%d', NULL)", None),
        ("COALESCE(NULL, 5)", 5),
        ("TIMESTAMP '2024-01-15T20:30:00+02:00'", datetime(2024, 1, 15, 18, 30, tzinfo=ZoneInfo("UTC"))),
    ],
)
def test_an_expression_has_the_value_that_bigquery_gives(expression: str, value: Any) -> None:
    found = value_of(expression)
    assert found == value
    assert type(found) is type(value)


def test_a_decimal_literal_is_a_float_as_in_bigquery() -> None:
    assert value_of("0.1 + 0.2") == 0.1 + 0.2


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("ROUND(2.675, 2)", 2.67),
        ("ROUND(-2.675, 2)", -2.67),
        ("ROUND(1.115, 2)", 1.11),
        ("ROUND(0.15, 1)", 0.1),
        ("ROUND(1.00005, 4)", 1.0001),
        ("ROUND(0.125, 2)", 0.13),
        ("ROUND(-0.125, 2)", -0.13),
        ("ROUND(2.5)", 3.0),
        ("ROUND(-2.5)", -3.0),
        ("ROUND(2.5, 0)", 3.0),
        ("ROUND(125.0, -1)", 130.0),
        ("ROUND(1e300, 2)", 1e300),
        ("ROUND(SAFE_DIVIDE(107, 40), 2)", 2.67),
    ],
)
def test_a_float_is_rounded_by_its_stored_value_and_halves_away_from_zero(expression: str, value: float) -> None:
    assert value_of(expression) == value
    assert value_of(expression.replace("ROUND(", "ROUND(0.0 + ", 1)) == value, "also where it is not a literal"


@pytest.mark.parametrize("places", range(5))
def test_a_float_next_to_a_half_is_rounded_as_exact_arithmetic_has_it(places: int) -> None:
    """BigQuery's long double is exact up to four places; beyond, it takes a few such values for halves."""
    halves = [sign * (2 * n + 1) / (2 * 10**places) for n in range(0, 200_000, 97) for sign in (1, -1)]
    query = f"SELECT ROUND(x, {places}) FROM UNNEST(@halves) AS x"
    rounded = [value for (value,) in rows_of(query, halves=halves)]
    unit = Decimal(1).scaleb(-places)
    assert rounded == [float(Decimal(half).quantize(unit, ROUND_HALF_UP)) for half in halves]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("ROUND(NUMERIC '2.675', 2)", Decimal("2.68")),
        ("ROUND(NUMERIC '-2.675', 2)", Decimal("-2.68")),
        ("ROUND(NUMERIC '1.115', 2)", Decimal("1.12")),
        ("ROUND(NUMERIC '0.15', 1)", Decimal("0.2")),
        ("ROUND(NUMERIC '2.6745', 2)", Decimal("2.67")),
        ("ROUND(CAST(2.675 AS NUMERIC), 2)", Decimal("2.68")),
        ("CAST('0.1234567895' AS NUMERIC)", Decimal("0.123456790")),
        ("CAST('12345678901234567890.5' AS NUMERIC)", Decimal("12345678901234567890.5")),
        ("CAST(NUMERIC '0.125' AS NUMERIC(10, 2))", Decimal("0.13")),
    ],
)
def test_a_numeric_has_nine_places_and_is_rounded_by_its_decimals(expression: str, value: Decimal) -> None:
    assert value_of(expression) == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("CAST(ROUND(2.5) AS INT64)", 3),
        ("CAST(2.5 AS INT64)", 3),
        ("CAST(-2.5 AS INT64)", -3),
        ("CAST(0.5 AS INTEGER)", 1),
        ("SAFE_CAST(2.5 AS INT64)", 3),
        ("CAST(SAFE_DIVIDE(5, 2) AS INT64)", 3),
        ("CAST(CAST(4.5 AS INT64) / 2 AS INT64)", 3),
        ("CAST(NUMERIC '2.5' AS INT64)", 3),
        ("CAST('9007199254740993' AS INT64)", 9007199254740993),
        ("CAST(CONCAT('900719925474099', '3') AS INT64)", 9007199254740993),
        ("SAFE_CAST(CONCAT('a', 'b') AS INT64)", None),
        ("CAST(TRUE AS INT64)", 1),
    ],
)
def test_a_cast_to_int64_rounds_halves_away_from_zero_and_leaves_the_rest(expression: str, value: int | None) -> None:
    assert value_of(expression) == value


def test_a_rounding_cast_may_be_grouped_by() -> None:
    sql = "SELECT CAST(x AS INT64) AS y, COUNT(*) AS n FROM UNNEST([0.5, 1.4, 2.5]) AS x GROUP BY CAST(x AS INT64)"
    assert sorted(rows_of(sql)) == [(1, 2), (3, 1)]


def test_nulls_come_first_in_ascending_and_last_in_descending_order() -> None:
    sql = "SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x"
    assert rows_of(sql) == [(None,), (1,), (2,)]
    assert rows_of(f"{sql} DESC") == [(2,), (1,), (None,)]


@pytest.mark.parametrize(
    ("days", "count"), [([date(2024, 1, 2)], 1), ([date(2024, 1, 2), date(2024, 1, 3)], 2), ([], 0)]
)
def test_a_list_of_dates_filters_through_unnest(days: list[date], count: int) -> None:
    sql = (
        "SELECT COUNT(*) FROM UNNEST([DATE '2024-01-01', DATE '2024-01-02', DATE '2024-01-03']) AS d "
        "WHERE d IN (SELECT x FROM UNNEST(@days) AS x)"
    )
    assert rows_of(sql, days=days) == [(count,)]


def test_partitioning_and_options_are_dropped_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        statements = translate_ddl(
            "CREATE TABLE IF NOT EXISTS `a.b` "
            "(x INT64 NOT NULL OPTIONS(description='n'), n NUMERIC, m NUMERIC(10, 2), t TIMESTAMP, d DATE)\n"
            "PARTITION BY d CLUSTER BY x OPTIONS(require_partition_filter=TRUE);"
        )
    assert statements == (
        'CREATE SCHEMA IF NOT EXISTS "a"',
        'CREATE TABLE IF NOT EXISTS "a"."b" '
        '("x" BIGINT NOT NULL, "n" DECIMAL(38, 9), "m" DECIMAL(10, 2), "t" TIMESTAMPTZ, "d" DATE)',
    )
    assert caplog.records == []


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("DROP TABLE a.b", "CREATE TABLE statements with columns only"),
        ("CREATE TABLE b (x INT64)", "names no dataset"),
        ("CREATE TABLE a.b AS SELECT 1 AS x", "CREATE TABLE statements with columns only"),
    ],
)
def test_a_schema_script_holds_nothing_but_tables(script: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        translate_ddl(script)


@pytest.mark.parametrize("sql", ["SELECT FROM WHERE", "SELECT 1; SELECT 2", ""])
def test_what_is_not_one_statement_is_refused(sql: str) -> None:
    with pytest.raises(InputError):
        translate(sql)


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("SELECT 1,, 2", (1, 10)),
        ("SELECT (, 1)", (1, 9)),
        ("SELECT [, 1]", (1, 9)),
        ("SELECT 3 > > 1", (1, 12)),
        ("SELECT 3 < < 1", (1, 12)),
        ("SELECT x FROM a.b, WHERE x", (1, 20)),
        ("SELECT FROM a.b", (1, 8)),
        ("SELECT COUNT(*) FROM a.b\nGROUP BY", (2, 1)),
        ("SELECT COUNT(*) FROM a.b GROUP BY HAVING TRUE", (1, 35)),
    ],
)
def test_what_the_parser_lets_pass_and_bigquery_does_not_is_refused(sql: str, place: tuple[int, int]) -> None:
    with pytest.raises(StatementRefused, match="is not expected here") as refused:
        translate(sql)
    assert (refused.value.line, refused.value.column) == place


@pytest.mark.parametrize("sql", ["SELECT 8 >> 1", "SELECT ARRAY<STRUCT<x INT64> >[(1)]", "SELECT 1 AS x, FROM a.b"])
def test_what_only_looks_like_it_is_read(sql: str) -> None:
    assert translate(sql).sql


def test_all_fields_of_structs_with_a_name_are_asked_for_by_that_name() -> None:
    dates = [{"d": date(2024, 1, 1)}]
    with pytest.raises(StatementRefused, match=r"with a name is not translated.*asked\.\*"):
        translate("SELECT * FROM UNNEST(@dates) AS asked", {"dates": dates})
    connection = connected(duckdb.connect())
    for select in ("SELECT asked.* FROM UNNEST(@dates) AS asked", "SELECT * FROM UNNEST(@dates)"):
        found = connection.execute(Translator(connection)(select, {"dates": dates}).sql, {"dates": dates})
        assert [column[0] for column in found.description or ()] == ["d"]


@pytest.mark.parametrize("processor", EVERY_SELECT, ids=lambda processor: processor.name)
def test_every_select_of_the_pipeline_is_translated_in_silence(
    processor: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        statement = translate(select_of(processor))
    assert {"dates", "last"} <= statement.parameters <= SET_PARAMETERS.keys()
    assert caplog.records == []


@pytest.mark.parametrize("processor", EVERY_SELECT, ids=lambda processor: processor.name)
def test_every_table_that_a_select_reads_is_bounded_by_date(processor: Any) -> None:
    sql = select_of(processor)
    reads = sql.count("`nba_")
    bounds = sum(
        sql.count(f"_date {bound}") for bound in ("BETWEEN @first AND", "< @last", "BETWEEN @season_start AND")
    )
    assert bounds >= reads, f"{reads} tables, {bounds} bounds"


@pytest.mark.parametrize("processor", EVERY_SELECT, ids=lambda processor: processor.name)
def test_no_select_leaves_the_rounding_of_a_cast_to_the_engine(processor: Any) -> None:
    sql = select_of(processor)
    assert sql.count("AS INT64)") == sql.count("CAST(ROUND(")


def test_every_output_table_ends_with_its_fence() -> None:
    for script in Path(PIPELINE / "schema").glob("*.sql"):
        for statement in script.read_text().split("CREATE TABLE")[1:]:
            is_output = "PARTITION BY" in statement and "processor_run_history" not in statement
            assert not is_output or "  _fence INT64\n)\nPARTITION BY" in statement


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2024-01-15T20:30:00Z", "2024-01-15 20:30:00"),
        ("2024-01-15T20:30:00+02:00", "2024-01-15 18:30:00"),
        (datetime(2024, 1, 15, 20, 30, tzinfo=UTC), "2024-01-15 20:30:00"),
    ],
)
def test_a_timestamp_is_kept_in_utc(moment: str | datetime, text: str) -> None:
    assert utc_without_zone(moment) == text
