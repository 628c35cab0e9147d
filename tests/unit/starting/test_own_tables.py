"""The tables that Phasegate makes: its history, and those of processors that are a SELECT."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.errors import InputError
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.facts import AttemptFacts, AttemptKey
from phasegate.services.running.historian import KEYS, _row
from phasegate.services.starting.own_tables import HISTORY_COLUMNS, made_here, make_own_tables, selects_of
from tests.conftest import ROOT
from tests.world import definition

SOURCE = "CREATE TABLE IF NOT EXISTS `raw.a` (d DATE, k STRING, n INT64, x NUMERIC, _fence INT64) PARTITION BY d"


@pytest.fixture
def warehouse() -> Iterator[DuckDbWarehouse]:
    opened = DuckDbWarehouse(Path(":memory:"))
    opened.apply_schema(SOURCE)
    yield opened
    opened.close()


def pipeline(selects: dict[str, str], schema: str | None = None) -> Pipeline:
    """A pipeline with a phase of these SELECTs, by processor, each into the table shape.NAME."""
    document = definition()
    document["phases"] = document["phases"][:1]
    processors = [
        {
            "name": name,
            "sql": f"{name}.sql",
            "output": {"kind": "table", "table": f"shape.{name}", "date_column": "d", "keys": ["k"]},
        }
        for name in selects
    ]
    document["phases"].append({"name": "sums", "dispatch": {"queue": "work"}, "processors": processors})
    files = {f"{name}.sql": text for name, text in selects.items()}
    scripts = {"schema.sql": schema} if schema else {}
    return Pipeline.model_validate({**document, "sql_files": files, "schema_texts": scripts})


def types(warehouse: DuckDbWarehouse, table: str) -> dict[str, str]:
    return dict(warehouse.columns([table]).get(table, {}))


def test_a_table_is_made_from_the_columns_of_its_select_and_never_changed(warehouse: DuckDbWarehouse) -> None:
    select = "SELECT d, k, SUM(n) AS n, AVG(x) AS x, COUNTIF(n > 1) > 0 AS is_large, TIMESTAMP(d) AS at FROM `raw.a`"
    made = pipeline({"one": f"{select} WHERE d = @d GROUP BY d, k"})
    assert made_here(made, ["sums"]) == {"ref.history", "shape.one"}
    make_own_tables(made, ["sums"], warehouse)
    kinds = {
        "d": "DATE",
        "k": "VARCHAR",
        "n": "BIGINT",
        "x": "DECIMAL(38,9)",
        "is_large": "BOOLEAN",
        "at": "TIMESTAMP WITH TIME ZONE",
        "_fence": "BIGINT",
    }
    assert types(warehouse, "shape.one") == kinds
    make_own_tables(pipeline({"one": "SELECT d, k FROM `raw.a`"}), ["sums"], warehouse)
    assert types(warehouse, "shape.one") == kinds


def test_a_select_may_read_the_table_of_another_one_in_whatever_order(warehouse: DuckDbWarehouse) -> None:
    make_own_tables(
        pipeline({"last": "SELECT d, k FROM `shape.first`", "first": "SELECT d, k FROM `raw.a`"}), ["sums"], warehouse
    )
    assert set(types(warehouse, "shape.last")) == {"d", "k", "_fence"}


def test_a_schema_script_makes_the_table_and_may_have_more_columns(warehouse: DuckDbWarehouse) -> None:
    schema = "CREATE TABLE IF NOT EXISTS `shape.one` (d DATE, k STRING, n FLOAT64, note STRING, _fence INT64)"
    make_own_tables(pipeline({"one": "SELECT d, k, n FROM `raw.a`"}, schema), ["sums"], warehouse)
    assert list(types(warehouse, "shape.one")) == ["d", "k", "n", "note", "_fence"]


def test_only_tables_of_the_phases_that_run_are_made(warehouse: DuckDbWarehouse) -> None:
    make_own_tables(pipeline({"one": "SELECT d, k FROM `raw.gone`"}), ["fetch"], warehouse)
    assert types(warehouse, "shape.one") == {}


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("SELECT d, k FROM `raw.gone`", "one.sql:1:18: there is no table raw.gone"),
        ("SELECT d, k, gone FROM `raw.a`", "one.sql:1:14: there is no column gone"),
        ("SELECT d, GONE(k) AS k FROM `raw.a`", "one.sql:1:11: GONE is not translated"),
        ("SELECT * EXCEPT (k, _fence) FROM `raw.a`", "one.sql: the SELECT has no column 'k'; known: d, n, x"),
        ("SELECT * FROM `raw.a`", "one.sql: the column _fence is written by Phasegate"),
        ("SELECT TIMESTAMP(d) AS d, k FROM `raw.a`", "one.sql: column 'd' is of type TIMESTAMP; dates are a DATE"),
    ],
)
def test_of_a_select_that_makes_no_table_none_is_made(warehouse: DuckDbWarehouse, select: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        make_own_tables(pipeline({"one": select}), ["sums"], warehouse)
    assert message in str(error.value)
    assert types(warehouse, "shape.one") == {}


HELD = {"d": "DATE", "k": "STRING", "n": "INT64", "_fence": "INT64"}


@pytest.mark.parametrize(
    ("selected", "held", "problem"),
    [
        ({"m": "INT64"}, HELD, "one.sql: shape.one has no column 'm'; known: _fence, d, k, n"),
        (
            {"n": "NUMERIC"},
            HELD,
            "one.sql: column 'n' of the SELECT is of type NUMERIC, and that of shape.one of",
        ),
        (
            {"k": "INT64"},
            HELD,
            "one.sql: column 'k' of the SELECT is of type INT64, and that of shape.one of",
        ),
        ({}, {"d": "DATE", "k": "STRING"}, "one.sql: shape.one has no column _fence INT64"),
        ({"N": "INT64"}, {**HELD, "n": "FLOAT64"}, None),
    ],
    ids=["a column more", "another type", "another type of a key", "no fence", "a type that is taken, in another case"],
)
def test_why_the_rows_of_a_select_do_not_fit_its_table(
    selected: dict[str, str], held: dict[str, str], problem: str | None
) -> None:
    (select,) = selects_of(pipeline({"one": "SELECT d, k FROM `raw.a`"}), ["sums"])
    found = list(select.problems({"d": "DATE", "k": "STRING"} | selected, held))
    assert [each[: len(problem or "")] for each in found] == ([] if problem is None else [problem])


def test_the_history_has_the_columns_of_its_rows_and_of_its_page(warehouse: DuckDbWarehouse) -> None:
    make_own_tables(pipeline({"one": "SELECT d, k FROM `raw.a`"}), ["fetch"], warehouse)
    page = (ROOT / "docs" / "pipeline.md").read_text().partition("### The history table")[2].partition("\n## ")[0]
    told = {
        (name, kind)
        for names, kind in re.findall(r"^\| (`[a-z_`, ]+`) \| ([A-Z0-9]+) \|", page, re.MULTILINE)
        for name in re.findall(r"`([a-z_]+)`", names)
    }
    assert told == {(name, kind) for name, kind in (column.split() for column in HISTORY_COLUMNS.split(", "))}
    row = _row("r", AttemptKey(date(2024, 1, 1), "fetch", "a", 1), AttemptFacts(number=1))
    assert list(types(warehouse, "ref.history")) == list(row)
    assert warehouse.append_missing("ref.history", [row], KEYS) == 1


def test_a_select_for_sets_is_bound_for_its_dates_and_the_window_of_a_date_needs_a_gate(
    warehouse: DuckDbWarehouse,
) -> None:
    select = "SELECT asked.d, COUNT(*) AS k FROM UNNEST(@dates) AS asked JOIN `raw.a` AS a ON a.d = asked.d"
    made = pipeline(
        {"one": f"{select} WHERE a.d BETWEEN @first AND @last AND asked.season_start < a.d GROUP BY asked.d"}
    )
    make_own_tables(made, ["sums"], warehouse)
    assert types(warehouse, "shape.one") == {"d": "DATE", "k": "BIGINT", "_fence": "BIGINT"}
    windowed = pipeline({"two": f"{select}\nWHERE a.d > asked.window_start GROUP BY asked.d"})
    with pytest.raises(InputError, match=r'two\.sql:.*key "window_start" in struct'):
        make_own_tables(windowed, ["sums"], warehouse)
