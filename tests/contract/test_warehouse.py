"""What every warehouse must do: partitions under fences, JSON lines, reference tables, questions."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.errors import EvaluationError, InputError, StaleFence, StatementRefused, WouldEmpty
from phasegate.ports import Parameter, Partition, Partitions, Replaced, Struct, Warehouse

SCHEMA = """
CREATE TABLE IF NOT EXISTS `contract.points` (d DATE, team STRING, points INT64, share FLOAT64, _fence INT64)
PARTITION BY d;
"""
TWO_ROWS = "SELECT @d AS d, team, 10 AS points FROM UNNEST(['BOS', 'NYK']) AS team"
AT = datetime(2024, 1, 15, 20, 30, tzinfo=UTC)

_numbers = count()


@pytest.fixture(scope="module")
def warehouse(empty_warehouse: Warehouse) -> Warehouse:
    """A warehouse with the table ``contract.points``; each test works in a partition of its own."""
    empty_warehouse.apply_schema(SCHEMA)
    return empty_warehouse


@pytest.fixture
def partition() -> Partition:
    """A partition that no other test writes; the day after it is free as well."""
    return Partition("contract.points", "d", date(2024, 1, 15) + timedelta(days=2 * next(_numbers)))


@pytest.fixture
def history(warehouse: Warehouse) -> str:
    """An empty table without fences."""
    table = f"contract.history_{next(_numbers)}"
    warehouse.apply_schema(
        f"CREATE TABLE IF NOT EXISTS `{table}` (id STRING, n INT64, at TIMESTAMP, d DATE, ok BOOL) PARTITION BY d;"
    )
    return table


def day_after(partition: Partition) -> Partition:
    return Partition(partition.table, partition.date_column, partition.day + timedelta(days=1))


def write(warehouse: Warehouse, partition: Partition, fence: int, select: str = TWO_ROWS) -> int:
    return warehouse.replace_partition(partition, select, {"d": partition.day}, fence)


def held(warehouse: Warehouse, partition: Partition) -> list[tuple[Any, ...]]:
    rows = warehouse.query(
        "SELECT team, points, _fence FROM contract.points WHERE d = @d ORDER BY team", {"d": partition.day}
    )
    return [tuple(row.values()) for row in rows]


def lines(*rows: dict[str, Any]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


# Partitions


def test_a_partition_is_replaced_and_its_neighbours_stay(warehouse: Warehouse, partition: Partition) -> None:
    neighbour = day_after(partition)
    written = [
        write(warehouse, neighbour, 1),
        write(warehouse, partition, 1),
        write(warehouse, partition, 2, "SELECT @d AS d, 'MIA' AS team"),
    ]
    assert written == [2, 2, 1]
    assert held(warehouse, partition) == [("MIA", None, 2)]
    assert held(warehouse, neighbour) == [("BOS", 10, 1), ("NYK", 10, 1)]


def test_the_same_write_again_leaves_the_same_rows(warehouse: Warehouse, partition: Partition) -> None:
    assert [write(warehouse, partition, 1), write(warehouse, partition, 1)] == [2, 2]
    assert held(warehouse, partition) == [("BOS", 10, 1), ("NYK", 10, 1)]


def test_an_older_fence_is_refused_and_nothing_changes(warehouse: Warehouse, partition: Partition) -> None:
    write(warehouse, partition, 5)
    complaint = f"contract.points of {partition.day} was written under fence 5; fence 4 came too late"
    with pytest.raises(StaleFence, match=complaint):
        write(warehouse, partition, 4, "SELECT @d AS d")
    with pytest.raises(StaleFence, match=complaint):
        warehouse.load_partition(partition, lines({"d": partition.day.isoformat()}), fence=4)
    with pytest.raises(StaleFence, match=complaint):
        warehouse.load_partition(partition, b"", fence=4)
    assert held(warehouse, partition) == [("BOS", 10, 5), ("NYK", 10, 5)]


def test_a_higher_fence_on_another_date_is_no_hindrance(warehouse: Warehouse, partition: Partition) -> None:
    write(warehouse, day_after(partition), 9)
    assert write(warehouse, partition, 1) == 2


def test_a_select_may_name_all_columns_of_a_table_at_once(warehouse: Warehouse, partition: Partition) -> None:
    write(warehouse, day_after(partition), 1)
    copied = "SELECT * EXCEPT (_fence) REPLACE (@d AS d) FROM contract.points WHERE d = DATE_ADD(@d, INTERVAL 1 DAY)"
    assert write(warehouse, partition, 2, copied) == 2
    assert held(warehouse, partition) == [("BOS", 10, 2), ("NYK", 10, 2)]


def test_a_select_may_end_with_a_semicolon_or_a_comment(warehouse: Warehouse, partition: Partition) -> None:
    assert write(warehouse, partition, 1, f"-- two\n{TWO_ROWS};\n") == 2
    assert write(warehouse, partition, 1, f"{TWO_ROWS} -- two") == 2


@pytest.mark.parametrize(
    ("select", "complaint"),
    [
        ("SELECT DATE '1999-01-01' AS d", "yields a row of another date"),
        ("SELECT CAST(NULL AS DATE) AS d", "yields a row of another date"),
        ("SELECT @d AS d, 1 AS goals", "goals"),
        ("SELECT 'BOS' AS team", r"\bd\b"),
        ("SELECT @d AS d FROM contract.nowhere", "nowhere"),
        ("SELECT @d AS d, @wrong AS team", "without a value: @wrong"),
        ("SELECT @d AS d; SELECT 1", "expected one SQL statement, found 2"),
    ],
)
def test_a_select_that_does_not_fit_changes_nothing(
    warehouse: Warehouse, partition: Partition, select: str, complaint: str
) -> None:
    write(warehouse, partition, 1)
    with pytest.raises(InputError, match=complaint):
        write(warehouse, partition, 1, select)
    assert held(warehouse, partition) == [("BOS", 10, 1), ("NYK", 10, 1)]
    assert write(warehouse, partition, 1) == 2


@pytest.mark.parametrize(
    ("select", "complaint", "place"),
    [
        ("SELECT @d AS d,\n  SOUNDEXX('x') AS team", "SOUNDEXX", (2, 3)),
        ("SELECT @d AS d, goals AS points\nFROM contract.points", "goals", (1, 17)),
    ],
)
def test_a_select_that_cannot_be_bound_is_refused_with_its_place_before_anything_is_written(
    warehouse: Warehouse, partition: Partition, select: str, complaint: str, place: tuple[int, int]
) -> None:
    write(warehouse, partition, 1)
    for _ in range(2):
        with pytest.raises(InputError, match=complaint) as refused:
            write(warehouse, partition, 2, select)
        # BigQuery names the place too ("at [2:3]"); its stand-in does not.
        if isinstance(warehouse, DuckDbWarehouse):
            assert isinstance(refused.value, StatementRefused)
            assert (refused.value.line, refused.value.column) == place
    assert held(warehouse, partition) == [("BOS", 10, 1), ("NYK", 10, 1)]


def test_writers_of_one_partition_leave_one_set_of_rows(warehouse: Warehouse, partition: Partition) -> None:
    def try_to_write(fence: int) -> None:
        try:
            write(warehouse, partition, fence)
        except StaleFence:
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(try_to_write, (*range(7, 13), *range(1, 7))))
    assert held(warehouse, partition) == [("BOS", 10, 12), ("NYK", 10, 12)]


# Many dates at once

EACH = "SELECT asked.d, team, 10 AS points FROM UNNEST(@dates) AS asked CROSS JOIN UNNEST(['BOS', 'NYK']) AS team"
"""Two rows for each date of ``@dates``."""


@pytest.fixture
def many() -> Partitions:
    """Four dates, two by two, that no other test writes; each has a fence of its own."""
    first = date(2030, 1, 1) + timedelta(days=10 * next(_numbers))
    return Partitions("contract.points", "d", {first + timedelta(days=n): fence for n, fence in FENCES.items()})


FENCES = {0: 7, 1: 5, 4: 9, 5: 6}


def write_all(warehouse: Warehouse, many: Partitions, select: str = EACH) -> dict[date, Replaced]:
    days = list(many.fences)
    dates: list[Struct] = [{"d": day} for day in days]
    given: dict[str, Parameter] = {"dates": dates, "first": days[0], "last": days[-1], "second": days[1]}
    return warehouse.replace_partitions(many, select, given)


def all_held(warehouse: Warehouse, many: Partitions) -> list[list[tuple[Any, ...]]]:
    return [held(warehouse, many.of(day)) for day in many.fences]


def two_rows(fence: int, points: int | None = 10) -> list[tuple[Any, ...]]:
    return [("BOS", points, fence), ("NYK", points, fence)]


def later(many: Partitions) -> Partitions:
    """The same dates, in later attempts."""
    return Partitions(many.table, many.date_column, {day: fence + 10 for day, fence in many.fences.items()})


def test_many_dates_are_replaced_at_once_each_under_its_fence_and_those_between_stay(
    warehouse: Warehouse, many: Partitions
) -> None:
    between = many.of(min(many.fences) + timedelta(days=2))
    write(warehouse, between, 1)
    assert write_all(warehouse, many) == dict.fromkeys(many.fences, 2)
    assert all_held(warehouse, many) == [two_rows(fence) for fence in FENCES.values()]
    one_each = "SELECT asked.d, 'MIA' AS team FROM UNNEST(@dates) AS asked"
    assert write_all(warehouse, later(many), one_each) == dict.fromkeys(many.fences, 1)
    assert all_held(warehouse, many) == [[("MIA", None, fence + 10)] for fence in FENCES.values()]
    assert held(warehouse, between) == two_rows(1)


def test_of_many_dates_those_under_a_higher_fence_are_refused_alone(warehouse: Warehouse, many: Partitions) -> None:
    days = list(many.fences)
    for day in (days[0], days[2]):
        write(warehouse, many.of(day), 50, "SELECT @d AS d, 'MIA' AS team")
    for _ in range(2):
        found = write_all(warehouse, many)
        assert [found[day] for day in (days[1], days[3])] == [2, 2]
        for day in (days[0], days[2]):
            assert isinstance(found[day], StaleFence)
            assert f"{day} was written under fence 50; fence {many.fences[day]} came too late" in str(found[day])
    assert all_held(warehouse, many) == [[("MIA", None, 50)], two_rows(5), [("MIA", None, 50)], two_rows(6)]


def test_of_many_dates_those_that_would_lose_their_rows_are_refused_alone_and_emptied_when_told_to(
    warehouse: Warehouse, many: Partitions
) -> None:
    days = list(many.fences)
    write(warehouse, many.of(days[1]), 2)
    found = write_all(warehouse, many, f"{EACH} WHERE asked.d != @second AND asked.d < @last")
    assert [found[day] for day in (days[0], days[2], days[3])] == [2, 2, 0]
    refusal = found[days[1]]
    assert isinstance(refusal, WouldEmpty)
    assert str(refusal).startswith(f"contract.points of {days[1]} holds 2 rows, and this attempt yields 0")
    assert (refusal.rows, refusal.is_fenced, refusal.fence) == (2, True, 5)
    assert all_held(warehouse, many) == [two_rows(7), two_rows(2), two_rows(9), []]
    assert refusal.empty() == 2
    assert all_held(warehouse, many) == [two_rows(7), [], two_rows(9), []]


@pytest.mark.parametrize(
    ("select", "complaint"),
    [
        ("SELECT DATE_ADD(asked.d, INTERVAL 1 DAY) AS d FROM UNNEST(@dates) AS asked", "a row of another date: 20"),
        ("SELECT IF(asked.d = @second, NULL, asked.d) AS d FROM UNNEST(@dates) AS asked", "another date: NULL"),
        ("SELECT asked.d, CAST(IF(asked.d = @second, 'x', '1') AS INT64) AS points FROM UNNEST(@dates) AS asked", "x"),
    ],
)
def test_a_value_or_a_row_of_another_date_leaves_all_of_many_dates_as_they_were(
    warehouse: Warehouse, many: Partitions, select: str, complaint: str
) -> None:
    write_all(warehouse, many)
    with pytest.raises(EvaluationError, match=complaint):
        write_all(warehouse, later(many), select)
    assert all_held(warehouse, many) == [two_rows(fence) for fence in FENCES.values()]
    assert write_all(warehouse, later(many)) == dict.fromkeys(many.fences, 2)


def test_writers_of_dates_that_overlap_leave_one_set_of_rows(warehouse: Warehouse, many: Partitions) -> None:
    write_all(warehouse, many)
    days = list(many.fences)

    def try_to_write(fence: int) -> None:
        some = days[:3] if fence % 2 else days[1:]
        write_all(warehouse, Partitions(many.table, many.date_column, dict.fromkeys(some, fence)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(try_to_write, range(11, 19)))
    assert all_held(warehouse, many) == [two_rows(fence) for fence in (17, 18, 18, 18)]


def test_json_lines_of_many_dates_become_their_rows(warehouse: Warehouse, many: Partitions) -> None:
    days = list(many.fences)
    written = warehouse.load_partitions(many, {day: lines_of(day, "BOS", "NYK") for day in days})
    assert written == dict.fromkeys(days, 2)
    assert all_held(warehouse, many) == [two_rows(fence) for fence in FENCES.values()]


def test_lines_that_do_not_fit_keep_back_their_own_date(warehouse: Warehouse, many: Partitions) -> None:
    days = list(many.fences)
    write(warehouse, many.of(days[1]), 50)
    extra = Partitions(many.table, many.date_column, {**many.fences, days[3] + timedelta(days=1): 3})
    write(warehouse, extra.of(list(extra.fences)[4]), 2)
    found = warehouse.load_partitions(
        extra,
        {
            days[0]: lines_of(days[3], "BOS"),
            days[1]: lines_of(days[1], "MIA"),
            days[2]: lines({"d": days[2].isoformat(), "points": "many"}),
            days[3]: lines_of(days[3], "BOS", "NYK"),
            list(extra.fences)[4]: b"",
        },
    )
    of_another, stale, of_a_value, written, emptied = found.values()
    assert isinstance(of_another, InputError)
    assert f"d is {days[3]}, not {days[0]}" in str(of_another)
    assert isinstance(stale, StaleFence)
    assert isinstance(of_a_value, EvaluationError)
    assert written == 2
    assert isinstance(emptied, WouldEmpty)
    assert all_held(warehouse, extra) == [[], two_rows(50), [], two_rows(6), two_rows(2)]


def lines_of(day: date, *teams: str) -> bytes:
    return lines(*({"d": day.isoformat(), "team": team, "points": 10} for team in teams))


# Deletions


def delete(warehouse: Warehouse, *partitions: Partition) -> int:
    return warehouse.delete_dates("contract.points", "d", [partition.day for partition in partitions])


def test_the_rows_of_some_dates_are_deleted_and_those_of_others_stay(
    warehouse: Warehouse, partition: Partition
) -> None:
    days = [partition]
    for _ in range(3):
        days.append(day_after(days[-1]))
        next(_numbers)
    for day in days:
        write(warehouse, day, 7)
    assert delete(warehouse, days[0], days[2]) == 4
    assert [len(held(warehouse, day)) for day in days] == [0, 2, 0, 2]


def test_a_second_deletion_finds_nothing_and_one_of_no_date_does_nothing(
    warehouse: Warehouse, partition: Partition
) -> None:
    write(warehouse, partition, 1)
    assert [delete(warehouse), delete(warehouse, partition), delete(warehouse, partition)] == [0, 2, 0]


def test_a_deleted_partition_is_written_again_also_under_a_lower_fence(
    warehouse: Warehouse, partition: Partition
) -> None:
    write(warehouse, partition, 9)
    delete(warehouse, partition)
    assert write(warehouse, partition, 3) == 2
    with pytest.raises(StaleFence, match="under fence 3"):
        write(warehouse, partition, 2)
    assert held(warehouse, partition) == [("BOS", 10, 3), ("NYK", 10, 3)]


def test_a_table_without_fences_loses_its_dates_too(warehouse: Warehouse, history: str) -> None:
    day, other = date(2024, 1, 15), date(2024, 1, 16)
    warehouse.append_missing(history, [{"id": "a", "d": day}, {"id": "b", "d": other}, {"id": "c", "d": None}], ["id"])
    assert warehouse.delete_dates(history, "d", {day}) == 1
    assert [row["id"] for row in warehouse.query(f"SELECT id FROM `{history}` ORDER BY id")] == ["b", "c"]


@pytest.mark.parametrize(
    ("table", "column", "complaint"),
    [
        ("contract.nowhere", "d", "nowhere"),
        ("contract.points", "day", "day"),
        ("points", "d", "'points' is not a table name"),
        ("contract.points; DROP TABLE x", "d", "is not a table name"),
        ("contract.points", "d = d OR 1", "is not the name of a column"),
    ],
)
def test_a_deletion_from_what_is_not_there_is_refused(
    warehouse: Warehouse, table: str, column: str, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        warehouse.delete_dates(table, column, [date(2024, 1, 15)])


# JSON lines


def test_json_lines_become_rows_and_absent_keys_are_null(warehouse: Warehouse, partition: Partition) -> None:
    day = partition.day.isoformat()
    content = lines({"d": day, "team": "BOS", "points": 2**53 + 1}, {"d": day, "team": 'Zürich\n"\\', "points": None})
    assert warehouse.load_partition(partition, content, fence=1) == 2
    assert held(warehouse, partition) == [("BOS", 2**53 + 1, 1), ('Zürich\n"\\', None, 1)]


@pytest.mark.parametrize("share", [0.1, 1e22, -2.5e-7, 3, 0.1 + 0.2])
def test_a_number_is_kept_to_its_last_digit(warehouse: Warehouse, partition: Partition, share: float) -> None:
    warehouse.load_partition(partition, lines({"d": partition.day.isoformat(), "share": share}), fence=1)
    rows = warehouse.query("SELECT share FROM contract.points WHERE d = @d", {"d": partition.day})
    assert rows == [{"share": share}]
    assert type(rows[0]["share"]) is float


NO_ROW = "SELECT @d AS d, 'MIA' AS team FROM UNNEST([1]) AS n WHERE n = 2"


def test_a_write_of_nothing_over_rows_is_refused_and_empties_only_when_it_is_told_to(
    warehouse: Warehouse, partition: Partition
) -> None:
    write(warehouse, partition, 1)
    complaint = f"contract.points of {partition.day} holds 2 rows, and this attempt yields 0: nothing was changed"
    with pytest.raises(WouldEmpty, match=complaint) as of_lines:
        warehouse.load_partition(partition, b"\n", fence=2)
    with pytest.raises(WouldEmpty, match=complaint) as of_select:
        write(warehouse, partition, 2, NO_ROW)
    assert [(e.value.rows, e.value.is_fenced) for e in (of_lines, of_select)] == [(2, True)] * 2
    assert held(warehouse, partition) == [("BOS", 10, 1), ("NYK", 10, 1)]
    assert of_select.value.empty is not None and of_select.value.empty() == 2
    assert held(warehouse, partition) == []
    assert [warehouse.load_partition(partition, b"", fence=2), write(warehouse, partition, 2, NO_ROW)] == [0, 0]


def test_a_partition_is_emptied_and_its_neighbour_stays_unless_a_newer_attempt_owns_it(
    warehouse: Warehouse, partition: Partition
) -> None:
    write(warehouse, day_after(partition), 1)
    write(warehouse, partition, 5)
    with pytest.raises(StaleFence, match="was written under fence 5; fence 4 came too late"):
        warehouse.empty_partition(partition, 4)
    with pytest.raises(StaleFence, match="was written under fence 5; fence 4 came too late"):
        write(warehouse, partition, 4, NO_ROW)
    assert [warehouse.empty_partition(partition, 5), warehouse.empty_partition(partition, 5)] == [2, 0]
    assert held(warehouse, day_after(partition)) == [("BOS", 10, 1), ("NYK", 10, 1)]
    assert write(warehouse, partition, 6) == 2


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"d": "1999-01-01"}', "line 1: d is 1999-01-01, not DAY"),
        ('{"team": "BOS"}', "line 1: d is None, not DAY"),
        ('{"d": "DAY"}\n{"d": "DAY", "goals": 1}', "line 2: the table has no column goals"),
        ('{"d": "DAY", "_fence": 9}', "the table has no column _fence"),
        ('{"d": "DAY", "points": 1.5}', r"line 1: points is INT64, found 1\.5"),
        ('{"d": "DAY", "points": "many"}', "many"),
        ('{"d": "DAY", "team": {"name": "BOS"}}', "line 1: team is an object or a list"),
        ('{"d": "DAY", "share": NaN}', "NaN is no JSON number"),
        ('{"d": "DAY"', "not JSON"),
        ("[1]", "line 1: expected an object, found list"),
    ],
)
def test_a_line_that_does_not_fit_is_refused(
    warehouse: Warehouse, partition: Partition, line: str, complaint: str
) -> None:
    write(warehouse, partition, 1)
    day = partition.day.isoformat()
    with pytest.raises(InputError, match=complaint.replace("DAY", day)):
        warehouse.load_partition(partition, line.replace("DAY", day).encode(), fence=1)
    assert len(held(warehouse, partition)) == 2


@pytest.mark.parametrize("table", ["points", "contract.points; DROP", 'contract."points"', "a.b.c"])
def test_a_table_name_is_checked(warehouse: Warehouse, table: str) -> None:
    with pytest.raises(InputError, match="is not a table name"):
        warehouse.load_partition(Partition(table, "d", date(2024, 1, 15)), b"", fence=1)


# Tables without fences


def test_only_rows_with_new_keys_are_appended(warehouse: Warehouse, history: str) -> None:
    first = {"id": "a", "n": 1, "at": AT, "d": AT.date(), "ok": True}
    assert warehouse.append_missing(history, [first, first | {"n": 2}, first | {"ok": None}], ["id", "n"]) == 2
    assert warehouse.append_missing(history, [first | {"ok": False}, first | {"id": "b"}], ["id", "n"]) == 1
    assert warehouse.append_missing(history, [], ["id"]) == 0
    rows = warehouse.query(f"SELECT * FROM {history} ORDER BY id, n")
    assert [(row["id"], row["n"]) for row in rows] == [("a", 1), ("a", 2), ("b", 1)]
    assert rows[0] == first


def test_a_null_key_counts_as_a_key(warehouse: Warehouse, history: str) -> None:
    assert warehouse.append_missing(history, [{"id": None, "n": 1}], ["id", "n"]) == 1
    assert warehouse.append_missing(history, [{"id": None, "n": 1}, {"id": "a", "n": 1}], ["id", "n"]) == 1


def test_a_reference_table_is_replaced_whole(warehouse: Warehouse, history: str) -> None:
    warehouse.replace_table(history, lines({"id": "a", "at": "2024-01-15T20:30:00+01:00"}, {"id": "b"}))
    assert warehouse.replace_table(history, lines({"id": "c", "at": "2024-01-15T20:30:00+01:00"})) == 1
    (row,) = warehouse.query(f"SELECT * FROM {history}")
    assert (row["id"], row["at"]) == ("c", AT - timedelta(hours=1))


def test_a_reference_table_without_lines_is_emptied(warehouse: Warehouse, history: str) -> None:
    warehouse.replace_table(history, lines({"id": "a"}))
    assert warehouse.replace_table(history, b"") == 0
    assert warehouse.query(f"SELECT id FROM {history}") == []


def test_a_reference_table_keeps_its_rows_when_a_line_does_not_fit(warehouse: Warehouse, history: str) -> None:
    warehouse.replace_table(history, lines({"id": "a"}))
    with pytest.raises(InputError):
        warehouse.replace_table(history, lines({"id": "b"}, {"id": "c", "n": "many"}))
    assert warehouse.query(f"SELECT id FROM {history}") == [{"id": "a"}]


def test_a_fenced_table_is_not_written_past_its_fence(warehouse: Warehouse) -> None:
    with pytest.raises(InputError, match="a partition at a time"):
        warehouse.replace_table("contract.points", b"")
    with pytest.raises(InputError, match="a partition at a time"):
        warehouse.append_missing("contract.points", [{"team": "BOS"}], ["team"])


# Questions


def test_a_parameter_of_every_kind_arrives_as_it_is(warehouse: Warehouse) -> None:
    parameters = {
        "s": "it's", "i": 2**53 + 1, "f": 0.1, "b": True, "d": AT.date(), "n": None, "ss": ["a", "b"],
        "ds": (AT.date(), date(2024, 1, 16)), "unused": 1,
    }  # fmt: skip
    (row,) = warehouse.query(
        "SELECT @s AS s, @i AS i, @f AS f, @b AS b, @d AS d, @n AS n, "
        "(SELECT COUNT(*) FROM UNNEST(@ss) AS x WHERE x IN ('b', 'c')) AS ss, "
        "(SELECT MAX(x) FROM UNNEST(@ds) AS x) AS ds",
        parameters,
    )
    assert row == {
        "s": "it's", "i": 2**53 + 1, "f": 0.1, "b": True, "d": AT.date(), "n": None, "ss": 1, "ds": date(2024, 1, 16)
    }  # fmt: skip
    assert [type(row[name]) for name in "sifbd"] == [str, int, float, bool, date]


@pytest.mark.parametrize("number", [1, 2])
def test_an_array_of_structs_arrives_field_by_field(warehouse: Warehouse, number: int) -> None:
    dates: list[Struct] = [{"d": date(2024, 1, n), "start": date(2023, 12, n), "n": n} for n in range(1, number + 1)]
    select = "SELECT asked.d, asked.start, asked.n FROM UNNEST(@dates) AS asked ORDER BY 1"
    assert warehouse.query(select, {"dates": dates}) == dates


def test_what_is_counted_and_is_nowhere_true_is_zero(warehouse: Warehouse) -> None:
    (row,) = warehouse.query(
        "SELECT COUNTIF(x = 3) AS n, COUNTIF(x IS NULL) AS unknown FROM (SELECT CAST(NULL AS INT64) AS x)"
    )
    assert row == {"n": 0, "unknown": 1}
    (row,) = warehouse.query("SELECT COUNTIF(x = 3) AS n FROM (SELECT 3 AS x) WHERE x = 4")
    assert row == {"n": 0}


def test_a_moment_comes_back_aware_and_in_utc(warehouse: Warehouse) -> None:
    (row,) = warehouse.query("SELECT TIMESTAMP '2024-01-15T22:30:00+02:00' AS at")
    assert row["at"] == AT
    assert row["at"].utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("SELECT @nobody", "without a value: @nobody"),
        ("SELECT x FROM contract.nowhere", "nowhere"),
        ("SELECT nothing FROM contract.points", "nothing"),
        ("SELECT FROM WHERE", "grammar"),
    ],
)
def test_a_query_that_cannot_be_run_says_why(warehouse: Warehouse, sql: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        warehouse.query(sql)


def test_many_questions_are_answered_in_their_order_and_an_error_takes_its_place(warehouse: Warehouse) -> None:
    asked = [("SELECT @n AS n", {"n": n}) for n in range(10)]
    answers = warehouse.ask([*asked, ("SELECT x FROM contract.nowhere", {}), ("SELECT 11 AS n", {})])
    error = answers.pop(10)
    assert answers == [[{"n": n}] for n in (*range(10), 11)]
    assert isinstance(error, InputError)
    assert "nowhere" in str(error)


def test_no_question_has_no_answer(warehouse: Warehouse) -> None:
    assert warehouse.ask([]) == []


# Schema


def test_a_schema_applied_again_changes_nothing(warehouse: Warehouse, partition: Partition) -> None:
    write(warehouse, partition, 1)
    warehouse.apply_schema(SCHEMA)
    assert len(held(warehouse, partition)) == 2


def test_a_schema_that_has_grown_adds_its_new_tables(warehouse: Warehouse, partition: Partition) -> None:
    write(warehouse, partition, 1)
    table = f"contract_more.added_{next(_numbers)}"
    warehouse.apply_schema(f"{SCHEMA}CREATE TABLE IF NOT EXISTS `{table}` (x INT64);")
    assert warehouse.query(f"SELECT x FROM {table}") == []
    assert len(held(warehouse, partition)) == 2


def test_a_schema_script_holds_nothing_but_tables(warehouse: Warehouse, partition: Partition) -> None:
    write(warehouse, partition, 1)
    with pytest.raises(InputError, match="CREATE TABLE statements with columns only"):
        warehouse.apply_schema("DROP TABLE contract.points")
    assert len(held(warehouse, partition)) == 2


def test_columns_are_told_of_the_tables_that_are_there(warehouse: Warehouse) -> None:
    found = warehouse.columns(["contract.points", "contract.nothing", "nowhere.points"])
    assert set(found) == {"contract.points"}
    assert list(found["contract.points"]) == ["d", "team", "points", "share", "_fence"]
    assert found["contract.points"]["d"] == "DATE"


def test_the_day_of_a_week_counts_from_sunday_as_one(warehouse: Warehouse) -> None:
    days = "UNNEST([DATE '2024-01-07', DATE '2024-01-13']) AS d"
    sql = f"SELECT EXTRACT(DAYOFWEEK FROM d) AS n, EXTRACT(YEAR FROM d) AS y FROM {days}"
    assert sorted((row["n"], row["y"]) for row in warehouse.query(sql)) == [(1, 2024), (7, 2024)]
