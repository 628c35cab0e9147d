"""Keys are compared by value and type on both engines: what the checks ``entities``, ``coverage`` and ``duplicates``
say of tables with hostile keys; and what ``range`` says of a column without a value."""

from collections.abc import Sequence
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.calendar.dates import Calendar, CalendarDate
from phasegate.domain.checks import registry
from phasegate.domain.checks.proof import Found
from phasegate.domain.checks.subject import CheckSubject
from phasegate.domain.spec.checks import Check, CoverageCheck, DuplicatesCheck, EntitiesCheck, RangeCheck
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.domain.state.facts import BLOCK, PASS, Verdict
from phasegate.ports import Warehouse
from phasegate.report.verify.questions import Compared, compared_query
from phasegate.services.reading.asking import ask_by_date
from tests.unit.builders import calendar, days, pipeline

DAYS = days(2)
DAY = DAYS[0]

_numbers = count()


@pytest.fixture(scope="module")
def warehouse(empty_warehouse: Warehouse) -> Warehouse:
    """An empty warehouse."""
    return empty_warehouse


class Tables:
    """``raw/a`` and ``shape/left`` in tables of their own, whose columns have these types."""

    def __init__(self, warehouse: Warehouse, a: dict[str, str], left: dict[str, str] | None = None) -> None:
        self.warehouse, number = warehouse, next(_numbers)
        self.a, self.left = f"keyed.a_{number}", f"keyed.left_{number}"
        for table, columns in ((self.a, a), (self.left, left or a)):
            names = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            warehouse.apply_schema(f"CREATE TABLE IF NOT EXISTS `{table}` (place INT64, d DATE, {names});")
        self._columns = {self.a: [*a], self.left: [*(left or a)]}

    def fill(self, table: str, rows: Sequence[Any], day: date = DAY) -> "Tables":
        """Rows of one date; a key of one column may stand without a tuple."""
        named = [
            dict(zip(self._columns[table], row if isinstance(row, tuple) else (row,), strict=True)) for row in rows
        ]
        numbered = [{"place": next(_numbers), "d": str(day), **row} for row in named]
        self.warehouse.append_missing(table, numbered, ["place"])
        return self

    def judged(self, check: Check, among: Calendar | None = None) -> Verdict:
        """The verdict on the first date."""

        def change(document: dict[str, Any]) -> None:
            document["phases"][1]["processors"][0]["output"]["table"] = self.a
            document["phases"][2]["processors"][0]["output"]["table"] = self.left

        world = pipeline(change)
        left = world.phase("shape").processors[0]
        assert isinstance(left.output, TableOutput)
        subject = CheckSubject(
            world, among or calendar(DAYS), "shape", left, left.output, tuple(DAYS), {day: Found(1) for day in DAYS}
        )
        question = registry.ask(check, subject)
        assert question is not None
        (answered,) = ask_by_date(self.warehouse, [question])
        if answered.failed:
            return registry.unasked(check, subject, BLOCK, str(answered.failed[DAY]))[DAY]
        return registry.judge(check, subject, answered.rows)[DAY]


def covering(*keys: str) -> CoverageCheck:
    """All keys of ``raw/a`` are to be in ``shape/left``."""
    return CoverageCheck(processor="raw/a", keys=list(keys))


IN_PLACE = EntitiesCheck(key="k", processor="raw/a")


@pytest.mark.parametrize("check", [covering("k"), IN_PLACE], ids=["coverage", "entities"])
@pytest.mark.parametrize(
    ("kind", "other", "a", "left", "missing"),
    [
        ("INT64", "FLOAT64", [1, 2, None], [1.0, 2.0, None], ()),
        ("INT64", "FLOAT64", [10**15, 10**16], [1e15, 1e16], ()),
        ("INT64", "FLOAT64", [1, 2], [1.0, 2.5], ("2",)),
        ("NUMERIC", "INT64", [1, 2], [1, 2], ()),
        ("DATE", "DATETIME", ["2024-01-01", "2024-01-02"], ["2024-01-01T00:00:00", "2024-01-02T00:00:00"], ()),
        ("NUMERIC", "FLOAT64", [1, 2], [1.0, 2.0], ()),
        ("STRING", "STRING", ["NULL", "x"], [None, "x"], ('"NULL"',)),
        ("STRING", "STRING", [None, "x"], ["NULL", "x"], ("NULL",)),
        ("STRING", "STRING", [None, "x"], ["x", None], ()),
        ("STRING", "STRING", ["1", "01", "é"], ["1", "01", "é"], ()),
        ("STRING", "STRING", ["a", "A"], ["a"], ("A",)),
        ("FLOAT64", "FLOAT64", ["NaN", 1.5], ["NaN", 1.5], ()),
        ("FLOAT64", "FLOAT64", [0.1 + 0.2], [0.3], ("0.30000000000000004",)),
    ],
    ids=str,
)
def test_keys_are_equal_by_their_values(
    warehouse: Warehouse, check: Check, kind: str, other: str, a: list[Any], left: list[Any], missing: tuple[str, ...]
) -> None:
    tables = Tables(warehouse, {"k": kind}, {"k": other})
    tables.fill(tables.a, a).fill(tables.left, left)
    found = tables.judged(check)
    assert (found.outcome, found.missing) == (BLOCK if missing else PASS, missing)
    assert (found.expected, found.found) == (len(a), len(a) - len(missing))


@pytest.mark.parametrize("check", [covering("k"), IN_PLACE], ids=["coverage", "entities"])
@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("INT64", "STRING"),
        ("STRING", "FLOAT64"),
        ("DATE", "STRING"),
        ("BOOL", "INT64"),
        ("BOOL", "STRING"),
        ("TIMESTAMP", "DATETIME"),
        ("DATE", "TIMESTAMP"),
        ("TIME", "STRING"),
        ("BYTES", "STRING"),
    ],
)
def test_keys_of_types_that_have_nothing_in_common_are_refused(
    tmp_path: Path, check: Check, kind: str, other: str
) -> None:
    # BigQuery refuses them too ("Column 2 in UNION ALL has incompatible types"); its stand-in makes texts of both.
    embedded = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    found = Tables(embedded, {"k": kind}, {"k": other}).judged(check)
    embedded.close()
    assert (found.outcome, found.expected) == (BLOCK, 0)
    assert "columns of a set operation have no common type: k0 is" in found.detail


def test_parts_of_a_key_do_not_run_into_each_other(warehouse: Warehouse) -> None:
    tables = Tables(warehouse, {"k": "STRING", "l": "STRING"})
    tables.fill(tables.a, [("a/b", "c"), (None, "c")]).fill(tables.left, [("a", "b/c"), ("NULL", "c")])
    found = tables.judged(covering("k", "l"))
    assert (found.expected, found.found, found.missing) == (2, 0, ('"a/b"/c', "NULL/c"))


def test_doubled_keys_are_counted_by_their_values(warehouse: Warehouse) -> None:
    tables = Tables(warehouse, {"k": "STRING", "l": "STRING"})
    tables.fill(tables.left, [("a/b", "c"), ("a", "b/c"), (None, "c"), ("NULL", "c"), ('"', "d")])
    assert tables.judged(DuplicatesCheck(keys=["k", "l"])).outcome == PASS
    tables.fill(tables.left, [("a", "b/c"), (None, "c"), ("x", "y")])
    found = tables.judged(DuplicatesCheck(keys=["k", "l"]))
    assert (found.outcome, found.found, found.missing) == (BLOCK, 2, ("NULL/c", 'a/"b/c"'))
    assert found.detail == '2 key(s) more than once (NULL/c 2 times, a/"b/c" 2 times)'


def test_the_key_null_is_none_of_a_calendars(warehouse: Warehouse) -> None:
    tables = Tables(warehouse, {"k": "STRING"})
    tables.fill(tables.left, ["T0", None])
    teams = Calendar.of(CalendarDate(day, "S1", {"games": 1}, {"teams": ("None", "T0")}) for day in DAYS)
    found = tables.judged(EntitiesCheck(key="k", calendar="teams"), teams)
    assert (found.outcome, found.missing) == (BLOCK, ("None",))


def test_the_report_compares_keys_by_value(warehouse: Warehouse) -> None:
    tables = Tables(warehouse, {"k": "INT64"}, {"k": "FLOAT64"})
    tables.fill(tables.a, [10**15, 2, None]).fill(tables.left, [1e15, 2.5, None])
    a, left = (TableOutput(table=table, date_column="d", keys=["k"]) for table in (tables.a, tables.left))
    query = compared_query(Compared("k", a, left), ((DAY, DAY),))
    (row,) = warehouse.query(query.sql or "", query.parameters)
    assert (row["here"], row["there"], row["both_have"]) == (3, 3, 2)


@pytest.mark.parametrize("kind", ["INT64", "FLOAT64", "NUMERIC"])
def test_a_range_passes_where_the_column_is_null_in_each_row(warehouse: Warehouse, kind: str) -> None:
    tables = Tables(warehouse, {"k": kind})
    tables.fill(tables.left, [None, None])
    found = tables.judged(RangeCheck(column="k", min=0, max=1))
    assert (found.outcome, found.detail) == (PASS, "k: 0 of 0 values are outside 0 to 1")
