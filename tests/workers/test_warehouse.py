"""What is the embedded warehouse's and object store's own: their files, and what survives.

What they have in common with a cloud's stands in ``tests/contract``.
"""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.errors import HaltError, HomeInUse, InputError, StaleFence
from phasegate.ports import Partition

DAY = date(2024, 1, 15)
SCHEMA = "CREATE TABLE IF NOT EXISTS `data.points` (d DATE, team STRING, points INT64, _fence INT64) PARTITION BY d;"
PARTITION = Partition("data.points", "d", DAY)
TWO_ROWS = "SELECT @d AS d, team, 10 AS points FROM UNNEST(['BOS', 'NYK']) AS team"


def test_the_fence_is_read_from_the_table_after_a_restart(tmp_path: Path) -> None:
    first = DuckDbWarehouse(tmp_path / "w.duckdb")
    first.apply_schema(SCHEMA)
    first.replace_partition(PARTITION, TWO_ROWS, {"d": DAY}, fence=5)
    first.close()
    second = DuckDbWarehouse(tmp_path / "w.duckdb")
    with pytest.raises(StaleFence):
        second.replace_partition(PARTITION, TWO_ROWS, {"d": DAY}, fence=4)
    assert second.replace_partition(PARTITION, TWO_ROWS, {"d": DAY}, fence=6) == 2
    assert second.query("SELECT COUNT(*) AS n FROM data.points WHERE d = @d AND _fence = 6", {"d": DAY}) == [{"n": 2}]
    second.close()


def test_a_second_process_is_told_that_the_warehouse_is_in_use(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from phasegate.adapters.embedded.warehouse import DuckDbWarehouse\n"
        "from phasegate.domain.errors import HomeInUse\n"
        "try: DuckDbWarehouse(Path(sys.argv[1]))\n"
        "except HomeInUse as error: print(error)"
    )
    path = tmp_path / "warehouse.duckdb"
    first = DuckDbWarehouse(path)
    told = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert told.stdout.startswith(f"the warehouse {path} is in use by another process: wait")
    assert issubclass(HomeInUse, InputError)
    first.close()


def test_a_file_that_is_no_warehouse_halts(tmp_path: Path) -> None:
    (tmp_path / "w.duckdb").write_bytes(b"something else entirely" * 1000)
    with pytest.raises(HaltError, match=r"is damaged: move .* away, then run the same command again"):
        DuckDbWarehouse(tmp_path / "w.duckdb")


def test_a_failed_write_leaves_the_old_content_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderObjectStore(tmp_path)
    store.write("a", b"old")

    def fail(*_: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr("phasegate.adapters.embedded.objects.os.replace", fail)
    with pytest.raises(OSError, match="gone"):
        store.write("a", b"new")
    assert store.read("a") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
