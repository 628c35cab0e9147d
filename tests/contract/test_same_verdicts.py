"""Each check gives the same verdict on both engines, whatever the tables hold, and it is the right one.

Rows and checks are generated. Both engines may be wrong alike, so that ``right_verdicts`` judges each of them; the
stand-in for BigQuery as far as it writes texts and compares numbers as BigQuery does (``tests/dialect``).
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.gcp.bigquery.warehouse import BigQueryWarehouse
from phasegate.adapters.gcp.clients import bigquery_client
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.calendar.dates import Calendar, CalendarDate
from phasegate.domain.plan import compile_plan
from phasegate.domain.spec.checks import (
    Check,
    CoverageCheck,
    DuplicatesCheck,
    EntitiesCheck,
    NullsCheck,
    RangeCheck,
    SqlCheck,
)
from phasegate.domain.state.facts import BLOCK, PASS, UNKNOWN, Verdict
from phasegate.ports import Warehouse
from phasegate.services.reading.prover import Prover
from phasegate.stack.emulators import Server
from tests.conftest import FULL
from tests.contract.right_verdicts import (
    KINDS,
    LEFT,
    OF_EACH_ROW,
    OUTPUT_KEYS,
    SELECTS,
    UNANSWERED,
    UNASKED,
    A,
    Case,
    Row,
    Said,
    of,
    right_verdict,
    written,
)
from tests.unit.builders import days, plan

BESIDE = days(3)[-1]
"""A date between those that are asked about."""

DAYS = [day for day in days(4) if day != BESIDE]

LAST = 2**63 - 1
TEXTS = ["NULL", '"a"', "a/b", "/", '"'] * 4
TEXTS += ["", "None", "a", "A", "é", "e\u0301", "'", "\\", "\n", "\x00", "1", "01", " 7 ", "nan", "日本", "😀"]
TEXTS += ["\u200b", "\u2028", "\uffff", "%", "`", "@days", "9223372036854775808"]
MOMENTS = ["0001-01-01T00:00Z", "9999-12-31T23:59:59.999999Z", "2024-01-01T00:00Z", "2024-01-01T00:00:00.5Z"]


def mostly(hostile: Sequence[Any], any_value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values that are known to make trouble, NULL among them, and now and then any other."""
    return st.sampled_from([None, *hostile]) | st.sampled_from([None, *hostile]) | any_value


WHOLE = mostly([0, 1, -1, 2**53, 2**53 + 1, LAST, -LAST - 1], st.integers(-LAST - 1, LAST))
ROWS: st.SearchStrategy[Row] = st.fixed_dictionaries(
    {
        "n": WHOLE,
        "x": mostly([0.0, -0.0, math.nan, math.nan, math.inf, -math.inf, 1e15, 0.1 + 0.2, 5e-324], st.floats()),
        "s": mostly(TEXTS, st.text(st.characters(exclude_categories=["Cs"]), max_size=3)),
        "y": mostly([date.min, date.max, date(1582, 10, 10), date(2024, 2, 29)], st.dates()),
        "b": st.none() | st.booleans(),
        "m": mostly(
            [*map(Decimal, ("0", "2.50", "100", "-1E-9", "9" * 29 + ".999999999"))],
            st.decimals(-(10**6), 10**6, places=2),
        ),
        "t": mostly([*map(datetime.fromisoformat, MOMENTS)], st.datetimes(timezones=st.just(UTC))),
        "w": WHOLE,
    }
)
COLUMN = st.sampled_from("ssxw" + "".join(KINDS))
NUMBER = st.sampled_from("xxxwnm") | COLUMN
KEYS = st.lists(COLUMN, min_size=1, max_size=3, unique=True)
AT_LEAST = st.sampled_from([0.25, 1 / 3, 0.5, 0.5, 0.7, 1.0, 1.0])
AT_MOST = st.sampled_from([0.0, 0.0, 0.25, 1 / 3, 0.5, 0.5, 0.7])
BOUND = st.sampled_from([0.0, -0.0, 1.0, 2.5, -1e300, 2.0**53, 2.0**63, -(2.0**63)]) | st.floats(
    allow_nan=False, allow_infinity=False
)
BOUNDS = st.one_of(
    BOUND.map(lambda low: {"min": low}),
    BOUND.map(lambda high: {"max": high}),
    st.tuples(BOUND, BOUND).map(lambda both: {"min": min(both), "max": max(both)}),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A few different rows, of which each table has some on each date, and checks of each kind: those of one kind are
    asked together, and cost little more than one."""
    pool: list[Row] = draw(st.lists(ROWS, min_size=1, max_size=4))
    placed = st.tuples(st.sampled_from([*DAYS, BESIDE]), st.sampled_from(pool))
    rows = st.just([]) | st.lists(placed, min_size=4, max_size=12) | st.lists(placed, max_size=12)
    if draw(st.booleans()):
        many = [(DAYS[0], {**pool[0], "n": n, "s": f"k{n}"}) for n in range(24)]
        rows = st.sampled_from([many, many[:-1] * 2]) | rows
    select, key = draw(st.sampled_from(list(SELECTS))), draw(COLUMN)
    query = f"SELECT d, {select} FROM `{LEFT}` WHERE d IN UNNEST(@days){' GROUP BY d' * (select != OF_EACH_ROW)}"
    words = [written(row[key], key) or "NULL" for row in pool]
    listed = st.lists(st.sampled_from([*words, "None", "None"]), min_size=1, max_size=4, unique=True).map(tuple)
    severity = draw(st.sampled_from(["block", "block", "warn"]))
    checks: list[Check] = [EntitiesCheck(name="listed", key=key, calendar="teams", at_least=draw(AT_LEAST))]
    checks.append(SqlCheck(name="sql", query=query))
    for n in range(3):
        checks += [
            NullsCheck(name=f"nulls_{n}", column=draw(COLUMN), at_most=draw(AT_MOST)),
            RangeCheck(name=f"range_{n}", column=draw(NUMBER), at_most=draw(AT_MOST), **draw(BOUNDS)),
            DuplicatesCheck(name=f"duplicates_{n}", keys=draw(st.none() | KEYS)),
            CoverageCheck(name=f"coverage_{n}", processor="raw/a", keys=draw(KEYS), at_least=draw(AT_LEAST)),
            EntitiesCheck(name=f"keys_of_a_{n}", key=draw(COLUMN), processor="raw/a", at_least=draw(AT_LEAST)),
        ]
    return Case(
        a=draw(rows),
        left=draw(rows),
        checks=[check.model_copy(update={"severity": severity}) for check in checks],
        listed={day: draw(listed) for day in DAYS},
        may_be_empty=draw(st.frozensets(st.sampled_from([A, LEFT]))),
    )


def line(table: str, day: date, row: Row) -> str:
    """A row as it is written to a table."""

    def plain(name: str, value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, Decimal):
            return format(value, "f")
        if isinstance(value, date) or (isinstance(value, float) and not math.isfinite(value)):
            return str(value)
        return float(value) if table == LEFT and name == "w" and value is not None else value

    return json.dumps({"d": str(day), **{name: plain(name, value) for name, value in row.items()}})


@dataclass(frozen=True)
class Engine:
    """A warehouse holds the two tables, and a prover asks it."""

    warehouse: Warehouse
    prover: Prover

    def judged(self, case: Case) -> dict[tuple[str, date], Verdict]:
        """The verdicts by check and date, as a run gets them; the tables are filled anew."""
        for table, rows in ((A, case.a), (LEFT, case.left)):
            self.warehouse.replace_table(table, "\n".join(line(table, day, row) for day, row in rows).encode())

        def change(document: dict[str, Any]) -> None:
            for phase, table, checks in ((1, A, []), (2, LEFT, case.checks)):
                processor = document["phases"][phase]["processors"][0]
                processor["output"] = {"kind": "table", "table": table, "date_column": "d", "keys": OUTPUT_KEYS}
                processor["checks"] = [check.model_dump() for check in checks]
                if table in case.may_be_empty:
                    processor["may_be_empty"] = "nothing may have happened"

        calendar = Calendar.of(CalendarDate(day, "S1", {"games": 1}, {"teams": case.listed[day]}) for day in DAYS)
        index, ref = compile_plan(plan(change, among=calendar)), "shape/left"
        counts = self.prover.count({ref: (index.processor(ref).output, DAYS)})[ref]
        assert isinstance(counts, dict)
        verdicts = self.prover.judge(index, {ref: ({day: index.expectation(ref, day) for day in DAYS}, counts)})
        return {(verdict.check, day): verdict for day, verdict in verdicts[ref]}


@pytest.fixture(scope="module")
def engines(bigquery_emulator: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Engine]]:
    """DuckDB, and BigQuery's stand-in."""
    folder, cloud = tmp_path_factory.mktemp("verdicts"), CloudSettings.from_environment()
    warehouses: list[Warehouse] = [
        DuckDbWarehouse(folder / "warehouse.duckdb"),
        BigQueryWarehouse(bigquery_client(cloud), cloud, labels={"phasegate": "test"}),
    ]
    for warehouse in warehouses:
        for table, kinds in ((A, {**KINDS, "w": "INT64"}), (LEFT, KINDS)):
            columns = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
            warehouse.apply_schema(f"CREATE TABLE IF NOT EXISTS `{table}` (d DATE, {columns});")
    yield [Engine(warehouse, Prover(warehouse, FolderObjectStore(folder))) for warehouse in warehouses]
    for warehouse in warehouses:
        warehouse.close()


def said(verdict: Verdict) -> Said:
    """What a verdict says; of one without an answer, without the engine's words."""
    detail = next((begin for begin in (UNASKED, UNANSWERED) if verdict.detail.startswith(begin)), verdict.detail)
    return verdict.outcome, verdict.expected, verdict.found, detail, verdict.missing


WRITTEN_OTHERWISE = {"FLOAT64", "NUMERIC", "TIMESTAMP"}
"""Types whose values the stand-in writes otherwise as texts: ``-0``, ``2.500000000``, ``00.5+00``."""


def as_the_stand_in_says_it(check: Check, case: Case, told: Said) -> Any:
    """The part of a verdict that the stand-in has right where BigQuery would give it."""
    if isinstance(check, SqlCheck):
        is_nan_compared = "x = x" in check.query and any(map(math.isnan, of([row for _, row in case.left], "x")))
        return None if is_nan_compared else told
    keys = getattr(check, "keys", None) or [getattr(check, "key", "s")]
    if not any(KINDS[key] in WRITTEN_OTHERWISE for key in keys):
        return told
    is_of_texts = isinstance(check, EntitiesCheck) and check.calendar is not None
    return None if is_of_texts else (told[:3], len(told[4]))


@settings(
    max_examples=1000 if FULL else 10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(case=cases())
def test_each_check_gives_the_right_verdict_on_both_engines(engines: list[Engine], case: Case) -> None:
    embedded, stand_in = (engine.judged(case) for engine in engines)
    right = {
        (str(check.name), day): told
        for check in case.checks
        for day in DAYS
        if (told := right_verdict(check, case, day))
    }
    checks = {str(check.name): check for check in case.checks}
    assert {key: said(verdict) for key, verdict in embedded.items()} == right
    assert {key: as_the_stand_in_says_it(checks[key[0]], case, said(verdict)) for key, verdict in stand_in.items()} == {
        key: as_the_stand_in_says_it(checks[key[0]], case, told) for key, told in right.items()
    }
    for key, verdict in embedded.items():
        assert (verdict.threshold, verdict.fingerprint) == (stand_in[key].threshold, stand_in[key].fingerprint)


def asking(columns: str, of_each: str = " GROUP BY d") -> SqlCheck:
    """A check of the pipeline file's own."""
    return SqlCheck(name="sql", query=f"SELECT d, {columns} FROM `{LEFT}` WHERE d IN UNNEST(@days){of_each}")


@pytest.mark.parametrize(
    ("check", "rows", "outcome", "detail"),
    [
        (RangeCheck(name="range", column="b", max=1), [{"b": True}], BLOCK, UNASKED),
        (RangeCheck(name="range", column="y", max=1), [{"y": DAYS[0]}], BLOCK, UNASKED),
        (RangeCheck(name="range", column="t", max=1), [], BLOCK, UNASKED),
        (
            RangeCheck(name="range", column="x", min=5),
            [{"x": 0.0}, {"x": -0.0}],
            BLOCK,
            "x: 2 of 2 values are outside from 5 (0 to 0)",
        ),
        (
            EntitiesCheck(name="listed", key="s", calendar="teams"),
            [{"s": None}],
            BLOCK,
            "0 of 1 teams (missing: None)",
        ),
        (asking("n > 1 AS ok, s AS detail", ""), [{"n": None, "s": "NULL"}], BLOCK, "NULL"),
        (asking("TRUE AS ok, MAX(m) AS detail"), [{"m": Decimal("2.5")}], PASS, "2.5"),
        (asking("TRUE AS ok, MAX(m) AS detail"), [{"m": Decimal("100")}], PASS, "100"),
        (asking("COUNT(n) > 0 AS ok, COUNT(n) AS detail"), [{"n": None}], BLOCK, "0"),
        (
            asking("n > 1 AS ok, s AS detail", ""),
            [{"n": n, "s": s} for n, s in ((0, "c"), (1, "b"), (2, "a"))],
            BLOCK,
            "b",
        ),
        (asking("n > 1 AS ok, s AS detail", ""), [{"n": 2, "s": "a"}, {"n": 2, "s": "b"}], PASS, "a"),
    ],
    ids=str,
)
def test_what_is_told_otherwise_where_a_guard_is_missing(
    engines: list[Engine], check: Check, rows: list[Row], outcome: str, detail: str
) -> None:
    left = [(DAYS[0], {**dict.fromkeys(KINDS), **row}) for row in rows]
    case = Case([], left, [check], dict.fromkeys(DAYS, ("None",)), frozenset())
    for engine in engines:
        verdict = engine.judged(case)[str(check.name), DAYS[0]]
        assert (verdict.outcome, said(verdict)[3]) == (outcome, detail)


def test_a_value_that_has_no_answer_speaks_for_its_own_date(engines: list[Engine]) -> None:
    left = [(day, {**dict.fromkeys(KINDS), "n": n}) for day, n in zip(DAYS, (0, -1, 1), strict=True)]
    case = Case([], left, [asking("MIN(1 / n) < 0 AS ok")], dict.fromkeys(DAYS, ("None",)), frozenset())
    for engine in engines:
        assert [verdict.outcome for verdict in engine.judged(case).values()] == [UNKNOWN, PASS, BLOCK]
