"""What a partition holds has one fingerprint, whatever the order of its rows; of records of it the newest is read."""

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from phasegate.domain.checks.fingerprint import Content, ask_content, content_of
from phasegate.domain.checks.question import together
from phasegate.domain.decisions.stale import MadeFrom, MadeRecord
from phasegate.domain.plan import compile_plan
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.ports import Partition, Warehouse
from phasegate.services.reading.ages import CONTENTS_COLUMNS, CONTENTS_KEYS, read_records
from tests.unit.builders import plan

COLUMNS = (
    "d DATE, k STRING, other STRING, n INT64, x FLOAT64, price NUMERIC, at TIMESTAMP, ok BOOL, raw BYTES, "
    "tags ARRAY<STRING>, place STRUCT<name STRING, no INT64>, processed_at TIMESTAMP, _fence INT64"
)
TABLE = TableOutput(
    table="contract.prints", date_column="d", keys=["k"], fence_column="_fence", bookkeeping=["processed_at"]
)
OTHER = TABLE.model_copy(update={"table": "contract.prints_too"})
DAY = date(2024, 1, 15)

_numbers = count()


@pytest.fixture(scope="module")
def warehouse(empty_warehouse: Warehouse) -> Warehouse:
    """A warehouse with two tables of the same columns."""
    for table in (TABLE, OTHER):
        empty_warehouse.apply_schema(f"CREATE TABLE IF NOT EXISTS `{table.table}` ({COLUMNS}) PARTITION BY d;")
    return empty_warehouse


def write(warehouse: Warehouse, *rows: str, table: TableOutput = TABLE, fence: int = 1) -> date:
    """Write rows, each the values of some columns as SQL, on a date that no other test writes."""
    day = DAY + timedelta(days=next(_numbers))
    select = " UNION ALL ".join(f"SELECT @d AS d, {row}" for row in rows)
    warehouse.replace_partition(Partition(table.table, "d", day), select, {"d": day}, fence)
    return day


def contents(warehouse: Warehouse, *days: date, table: TableOutput = TABLE) -> list[Content]:
    question = ask_content(table, warehouse.columns([table.table])[table.table], days)
    found = {row["d"]: content_of(row) for row in warehouse.query(question.sql, question.parameters)}
    return [found[day] for day in days]


def test_columns_that_are_left_out_may_be_written_in_another_case_as_in_sql(warehouse: Warehouse) -> None:
    loud = TABLE.model_copy(update={"fence_column": "_FENCE", "bookkeeping": ["Processed_At"]})
    earlier = write(warehouse, "'a' AS k, TIMESTAMP '2024-01-01' AS processed_at", fence=1)
    later = write(warehouse, "'a' AS k, TIMESTAMP '2025-01-01' AS processed_at", fence=2)
    one, another = contents(warehouse, earlier, later, table=loud)
    assert one.fingerprint == another.fingerprint


def is_same(warehouse: Warehouse, one: list[str], another: list[str]) -> bool:
    first, second = contents(warehouse, write(warehouse, *one), write(warehouse, *another))
    return first.fingerprint == second.fingerprint


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (["'a' AS k, 1 AS n", "'b' AS k, 2 AS n"], ["'b' AS k, 2 AS n", "'a' AS k, 1 AS n"]),
        (["0.1 + 0.2 AS x"], ["0.3 AS x"]),
        (["-0.0 AS x"], ["0.0 AS x"]),
        (["CAST('NaN' AS FLOAT64) AS x"], ["-CAST('NaN' AS FLOAT64) AS x"]),
        (["1234567890123.4 AS x"], ["1234567890123.1 AS x"]),
        (["'a' AS k, TIMESTAMP '2024-01-01' AS processed_at"], ["'a' AS k, TIMESTAMP '2025-01-01' AS processed_at"]),
    ],
    ids=["order", "sum", "sign of zero", "no number", "twelve digits", "bookkeeping"],
)
def test_the_content_is_the_same(warehouse: Warehouse, one: list[str], another: list[str]) -> None:
    assert is_same(warehouse, one, another)


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (["'a' AS k"], ["'b' AS k"]),
        (["CAST(NULL AS STRING) AS k"], ["'' AS k"]),
        (["CAST(NULL AS STRING) AS k"], ["'NULL' AS k"]),
        (["CAST(NULL AS STRING) AS k"], ["'null' AS k"]),
        (["'a' AS k, 'b' AS other"], ["'ab' AS k, '' AS other"]),
        (["'a' AS k, 'b' AS other"], ["'b' AS k, 'a' AS other"]),
        (['\'a","c1":"b\' AS k'], ["'a' AS k, 'b' AS other"]),
        (["'a' AS k"], ["'a' AS k", "'a' AS k"]),
        (["'a' AS k", "'a' AS k"], ["'b' AS k", "'b' AS k"]),
        (["'a' AS k", "'a' AS k", "'b' AS k"], ["'a' AS k", "'b' AS k", "'b' AS k"]),
        (["'a' AS k, 1 AS n", "'b' AS k, 2 AS n"], ["'a' AS k, 2 AS n", "'b' AS k, 1 AS n"]),
        (["1.00000000001 AS x"], ["1.0 AS x"]),
        (["CAST(NULL AS FLOAT64) AS x"], ["0.0 AS x"]),
        (["CAST('NaN' AS FLOAT64) AS x"], ["CAST('inf' AS FLOAT64) AS x"]),
        (["9007199254740993 AS n"], ["9007199254740992 AS n"]),
        (["NUMERIC '0.000000001' AS price"], ["NUMERIC '0' AS price"]),
        (["TIMESTAMP '2024-01-01 00:00:00.000001' AS at"], ["TIMESTAMP '2024-01-01 00:00:00' AS at"]),
        (["CAST(NULL AS BOOL) AS ok"], ["FALSE AS ok"]),
        (["b'\\x00' AS raw"], ["b'\\x01' AS raw"]),
        (["['a', 'b'] AS tags"], ["['b', 'a'] AS tags"]),
        (["STRUCT('a' AS name, 1 AS no) AS place"], ["STRUCT('a' AS name, 2 AS no) AS place"]),
    ],
)
def test_the_content_differs(warehouse: Warehouse, one: list[str], another: list[str]) -> None:
    assert not is_same(warehouse, one, another)


def test_the_fence_is_told_beside_the_content(warehouse: Warehouse) -> None:
    days = [write(warehouse, "'a' AS k", fence=3), write(warehouse, "'a' AS k", fence=7)]
    early, late = contents(warehouse, *days)
    assert early.fingerprint == late.fingerprint
    assert [(c.lowest_fence, c.highest_fence) for c in (early, late)] == [(3, 3), (7, 7)]


def test_many_tables_are_asked_together(warehouse: Warehouse) -> None:
    here, there = write(warehouse, "'a' AS k, 0.5 AS x"), write(warehouse, "'a' AS k, 0.5 AS x", table=OTHER)
    columns = warehouse.columns([TABLE.table, OTHER.table])
    days = [here, there]
    asked = together([ask_content(table, columns[table.table], days) for table in (TABLE, OTHER)])
    rows = warehouse.query(asked.sql, asked.parameters)
    assert sorted((row["asked"], row["d"]) for row in rows) == [(0, here), (1, there)]
    assert len({content_of(row).fingerprint for row in rows}) == 1


def test_of_several_records_the_one_of_the_highest_fence_is_read(warehouse: Warehouse) -> None:
    index = compile_plan(plan())
    table, day = index.plan.pipeline.contents_table, index.days[1]
    warehouse.apply_schema(f"CREATE TABLE IF NOT EXISTS `{table}` ({CONTENTS_COLUMNS}) PARTITION BY data_date")

    def record(fence: int, content: str, of: str = "shape.left_side") -> dict[str, Any]:
        return {
            "table_name": of,
            "data_date": day,
            "fence": fence,
            "content": content,
            "inputs": '{"raw.a": ["5e0c", 1]}',
            "code_version": "",
            "pipeline": "world",
            "processor": "shape/left",
            "run_id": "r",
            "recorded_at": datetime(2026, 1, 1, tzinfo=UTC),
        }

    rows = [record(3, "old"), record(7, "new"), record(5, "older"), record(9, "of another", "elsewhere.left_side")]
    assert [warehouse.append_missing(table, rows, CONTENTS_KEYS) for _ in range(2)] == [4, 0]
    found = read_records(index, {"shape/left": {}}, warehouse)
    assert found == {"shape/left": {day: MadeRecord(7, "new", {"raw.a": MadeFrom("5e0c", 1)})}}


def test_where_nothing_was_ever_recorded_there_is_no_record(warehouse: Warehouse) -> None:
    elsewhere = plan().pipeline.model_copy(update={"history_table": "nowhere.history"})
    index = compile_plan(plan().model_copy(update={"pipeline": elsewhere}))
    assert read_records(index, {"shape/left": {}}, warehouse) == {}
