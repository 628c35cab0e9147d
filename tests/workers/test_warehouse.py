"""The embedded warehouse and object store: fences, partitions, refusals, and what survives."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.embedded.objects import FolderObjectStore
from shared.adapters.embedded.warehouse import DuckDbWarehouse
from shared.domain.errors import HaltError, HomeInUse, InputError, StaleFence
from shared.ports import Partition

DAY, NEXT = date(2024, 1, 15), date(2024, 1, 16)
SCHEMA = """
CREATE TABLE IF NOT EXISTS `data.points` (d DATE, team STRING, points INT64, share FLOAT64, _fence INT64)
PARTITION BY d;
CREATE TABLE IF NOT EXISTS `data.history` (id STRING, n INT64, at TIMESTAMP, d DATE, ok BOOL) PARTITION BY d;
"""
PARTITION = Partition("data.points", "d", DAY)
TWO_ROWS = "SELECT @d AS d, team, 10 AS points FROM UNNEST(['BOS', 'NYK']) AS team"


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[DuckDbWarehouse]:
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    warehouse.apply_schema(SCHEMA)
    yield warehouse
    warehouse.close()


def held(warehouse: DuckDbWarehouse, day: date = DAY) -> list[tuple[Any, ...]]:
    rows = warehouse.query("SELECT team, points, _fence FROM data.points WHERE d = @d ORDER BY team", {"d": day})
    return [tuple(row.values()) for row in rows]


def lines(*rows: dict[str, Any]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def test_a_partition_is_replaced_and_its_neighbours_stay(warehouse: DuckDbWarehouse) -> None:
    warehouse.replace_partition(Partition("data.points", "d", NEXT), TWO_ROWS, {"d": NEXT}, fence=1)
    assert warehouse.replace_partition(PARTITION, TWO_ROWS, {"d": DAY, "unused": 1}, fence=1) == 2
    assert warehouse.replace_partition(PARTITION, "SELECT @d AS d, 'MIA' AS team", {"d": DAY}, fence=2) == 1
    assert held(warehouse) == [("MIA", None, 2)]
    assert held(warehouse, NEXT) == [("BOS", 10, 1), ("NYK", 10, 1)]


def test_an_older_fence_is_refused_and_nothing_changes(warehouse: DuckDbWarehouse) -> None:
    warehouse.replace_partition(PARTITION, TWO_ROWS, {"d": DAY}, fence=5)
    with pytest.raises(
        StaleFence, match=r"data\.points of 2024-01-15 was written under fence 5; fence 4 came too late"
    ):
        warehouse.replace_partition(PARTITION, "SELECT @d AS d", {"d": DAY}, fence=4)
    with pytest.raises(StaleFence):
        warehouse.load_partition(PARTITION, b"", fence=4)
    assert held(warehouse) == [("BOS", 10, 5), ("NYK", 10, 5)]


def test_the_fence_is_read_from_the_table_after_a_restart(tmp_path: Path) -> None:
    first = DuckDbWarehouse(tmp_path / "w.duckdb")
    first.apply_schema(SCHEMA)
    first.replace_partition(PARTITION, TWO_ROWS, {"d": DAY}, fence=5)
    first.close()
    second = DuckDbWarehouse(tmp_path / "w.duckdb")
    with pytest.raises(StaleFence):
        second.replace_partition(PARTITION, TWO_ROWS, {"d": DAY}, fence=4)
    assert second.replace_partition(PARTITION, TWO_ROWS, {"d": DAY}, fence=6) == 2
    assert len(held(second)) == 2
    second.close()


@pytest.mark.parametrize(
    ("select", "complaint"),
    [
        ("SELECT DATE '2024-01-16' AS d", "yields a row of another date"),
        ("SELECT CAST(NULL AS DATE) AS d", "yields a row of another date"),
        ("SELECT @d AS d, 1 AS goals", "goals"),
        ("SELECT @d AS d FROM data.nowhere", "nowhere"),
        ("SELECT @d AS d, @wrong AS team", "@wrong"),
    ],
)
def test_a_select_that_does_not_fit_changes_nothing(warehouse: DuckDbWarehouse, select: str, complaint: str) -> None:
    warehouse.replace_partition(PARTITION, TWO_ROWS, {"d": DAY}, fence=1)
    with pytest.raises(InputError, match=complaint):
        warehouse.replace_partition(PARTITION, select, {"d": DAY}, fence=1)
    assert held(warehouse) == [("BOS", 10, 1), ("NYK", 10, 1)]
    assert warehouse.replace_partition(PARTITION, TWO_ROWS, {"d": DAY}, fence=1) == 2
    assert len(held(warehouse)) == 2


def test_json_lines_become_rows_and_absent_keys_are_null(warehouse: DuckDbWarehouse) -> None:
    content = lines({"d": "2024-01-15", "team": "BOS", "points": 3}, {"d": "2024-01-15", "team": "Zürich"})
    assert warehouse.load_partition(PARTITION, content, fence=1) == 2
    assert held(warehouse) == [("BOS", 3, 1), ("Zürich", None, 1)]


def test_no_lines_empty_the_partition(warehouse: DuckDbWarehouse) -> None:
    warehouse.replace_partition(PARTITION, TWO_ROWS, {"d": DAY}, fence=1)
    assert warehouse.load_partition(PARTITION, b"\n", fence=1) == 0
    assert held(warehouse) == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"d": "2024-01-16"}', "line 1: d is 2024-01-16, not 2024-01-15"),
        (b'{"team": "BOS"}', "line 1: d is None, not 2024-01-15"),
        (b'{"d": "2024-01-15"}\n{"d": "2024-01-15", "goals": 1}', "line 2: the table has no column goals"),
        (b'{"d": "2024-01-15", "_fence": 9}', "the table has no column _fence"),
        (b'{"d": "2024-01-15", "points": 1.5}', r"line 1: points is INT64, found 1\.5"),
        (b'{"d": "2024-01-15", "points": "many"}', "many"),
        (b'{"d": "2024-01-15"', "not JSON"),
        (b"[1]", "line 1: expected an object, found list"),
    ],
)
def test_a_line_that_does_not_fit_is_refused(warehouse: DuckDbWarehouse, content: bytes, complaint: str) -> None:
    warehouse.replace_partition(PARTITION, TWO_ROWS, {"d": DAY}, fence=1)
    with pytest.raises(InputError, match=complaint):
        warehouse.load_partition(PARTITION, content, fence=1)
    assert len(held(warehouse)) == 2


def test_only_rows_with_new_keys_are_appended(warehouse: DuckDbWarehouse) -> None:
    at = datetime(2024, 1, 15, 20, 30, tzinfo=UTC)
    first = {"id": "a", "n": 1, "at": at, "d": DAY, "ok": True}
    assert warehouse.append_missing("data.history", [first, first | {"n": 2}, first], ["id", "n"]) == 2
    assert warehouse.append_missing("data.history", [first | {"ok": False}, first | {"id": "b"}], ["id", "n"]) == 1
    assert warehouse.append_missing("data.history", [], ["id"]) == 0
    rows = warehouse.query("SELECT * FROM data.history ORDER BY id, n")
    assert [(row["id"], row["n"]) for row in rows] == [("a", 1), ("a", 2), ("b", 1)]
    assert rows[0] == first


def test_a_null_key_counts_as_a_key(warehouse: DuckDbWarehouse) -> None:
    assert warehouse.append_missing("data.history", [{"id": None, "n": 1}], ["id", "n"]) == 1
    assert warehouse.append_missing("data.history", [{"id": None, "n": 1}], ["id", "n"]) == 0


def test_a_reference_table_is_replaced_whole(warehouse: DuckDbWarehouse) -> None:
    warehouse.replace_table("data.history", lines({"id": "a", "at": "2024-01-15T20:30:00+01:00"}, {"id": "b"}))
    assert warehouse.replace_table("data.history", lines({"id": "c", "at": "2024-01-15T20:30:00+01:00"})) == 1
    (row,) = warehouse.query("SELECT * FROM data.history")
    assert (row["id"], row["at"]) == ("c", datetime(2024, 1, 15, 19, 30, tzinfo=UTC))


def test_a_fenced_table_is_not_written_past_its_fence(warehouse: DuckDbWarehouse) -> None:
    with pytest.raises(InputError, match="a partition at a time"):
        warehouse.replace_table("data.points", b"")
    with pytest.raises(InputError, match="a partition at a time"):
        warehouse.append_missing("data.points", [{"team": "BOS"}], ["team"])


@pytest.mark.parametrize("table", ["points", "data.points; DROP", 'data."points"', "a.b.c"])
def test_a_table_name_is_checked(warehouse: DuckDbWarehouse, table: str) -> None:
    with pytest.raises(InputError, match="is not a table name"):
        warehouse.load_partition(Partition(table, "d", DAY), b"", fence=1)


def test_writers_of_one_partition_leave_one_set_of_rows(warehouse: DuckDbWarehouse) -> None:
    def write(fence: int) -> int:
        try:
            return warehouse.replace_partition(PARTITION, TWO_ROWS, {"d": DAY}, fence)
        except StaleFence:
            return 0

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(1, 41)))
    assert held(warehouse) == [("BOS", 10, 40), ("NYK", 10, 40)]


def test_a_second_process_is_told_that_the_warehouse_is_in_use(warehouse: DuckDbWarehouse, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from shared.adapters.embedded.warehouse import DuckDbWarehouse\n"
        "from shared.domain.errors import HomeInUse\n"
        "try: DuckDbWarehouse(Path(sys.argv[1]))\n"
        "except HomeInUse as error: print(error)"
    )
    path = tmp_path / "warehouse.duckdb"
    told = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert told.stdout.startswith(f"the warehouse {path} is in use by another process: wait")
    assert issubclass(HomeInUse, InputError)


def test_a_file_that_is_no_warehouse_halts(tmp_path: Path) -> None:
    (tmp_path / "w.duckdb").write_bytes(b"something else entirely" * 1000)
    with pytest.raises(HaltError, match="move it away"):
        DuckDbWarehouse(tmp_path / "w.duckdb")


def test_an_object_is_read_back_and_known_to_be_held(tmp_path: Path) -> None:
    store = FolderObjectStore(tmp_path / "objects")
    names = {"scrapes/b/2.jsonl", "scrapes/a/1.jsonl", "other"}
    assert store.held(names) == set()
    for name in names:
        store.write(name, name.encode())
    store.write("other", b"")
    assert store.held([*names, "scrapes/a", "scrapes/c"]) == names
    assert (store.read("scrapes/a/1.jsonl"), store.read("other")) == (b"scrapes/a/1.jsonl", b"")
    with pytest.raises(FileNotFoundError):
        store.read("scrapes/c")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\b", "", ".", "a//b", "a/", "./a"])
def test_an_object_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="is not an object name"):
        FolderObjectStore(tmp_path).write(name, b"")


def test_a_failed_write_leaves_the_old_content_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderObjectStore(tmp_path)
    store.write("a", b"old")

    def fail(*_: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr("shared.adapters.embedded.objects.os.replace", fail)
    with pytest.raises(OSError, match="gone"):
        store.write("a", b"new")
    assert store.read("a") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
