"""The file of the embedded warehouse: whose it is, and what is said when bytes in it are wrong."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.known_warehouse import get_to_know, is_another
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.errors import HaltError, InputError, TransientError

LEAVE_A_LOG = """
import duckdb, os, sys
made = duckdb.connect(sys.argv[1])
made.execute("CREATE TABLE points AS SELECT DATE '2024-01-01' AS d, md5(s::VARCHAR) AS team FROM range(200000) AS t(s)")
made.execute("CHECKPOINT")
made.execute("INSERT INTO points SELECT DATE '2025-01-01', md5(s::VARCHAR) FROM range(2000) AS t(s)")
os._exit(0)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A warehouse as a process left it that was killed: four megabytes, and a log."""
    made = tmp_path / "warehouse.duckdb"
    subprocess.run([sys.executable, "-c", LEAVE_A_LOG, str(made)], check=True)
    return made


def overwrite(path: Path, at: int) -> None:
    """Other bytes."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * 200)


def log_of(path: Path) -> Path:
    """The write-ahead log of a warehouse."""
    return path.with_name(f"{path.name}.wal")


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "its beginning": (lambda path: overwrite(path, 0), "move {path} (and {path}.wal, if it is there) away"),
    "its end is gone": (lambda path: os.truncate(path, 1_000_000), "move {path} (and {path}.wal, if it is there) away"),
    "its log": (lambda path: overwrite(log_of(path), 200), "move {path}.wal away"),
}


@pytest.mark.parametrize(("damage", "advice"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_a_halt_that_says_what_to_move(
    path: Path, damage: Callable[[Path], None], advice: str
) -> None:
    damage(path)
    with pytest.raises(HaltError) as error:
        DuckDbWarehouse(path)
    assert advice.format(path=path) in str(error.value)


def test_a_damaged_block_that_is_only_found_by_a_query_is_a_halt_and_no_refused_statement(path: Path) -> None:
    overwrite(path, 2_000_000)
    warehouse = DuckDbWarehouse(path)
    (answer,) = warehouse.ask([("SELECT MAX(team) AS t FROM `main.points`", {})])
    warehouse.close()
    assert isinstance(answer, HaltError) and f"move {path}" in str(answer)


def test_a_file_that_cannot_be_opened_for_its_rights_is_no_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise duckdb.IOException(f'IO Error: Cannot open file "{path}": Permission denied')

    monkeypatch.setattr(duckdb, "connect", refuse)
    with pytest.raises(InputError, match="cannot be opened for writing"):
        DuckDbWarehouse(path)


def test_an_identity_is_kept_in_both_and_another_file_is_noticed_once(path: Path, tmp_path: Path) -> None:
    state, first, second = (
        Database(tmp_path / "state.sqlite"),
        DuckDbWarehouse(path),
        DuckDbWarehouse(tmp_path / "second.duckdb"),
    )
    assert (is_another(state, first), get_to_know(state, first), get_to_know(state, first)) == (False, False, False)
    assert (is_another(state, second), get_to_know(state, second), get_to_know(state, second)) == (True, True, False)
    assert is_another(state, first) and first.identity() != second.identity() is not None


ENDLESS = "SELECT COUNT(*) FROM UNNEST(GENERATE_ARRAY(1, 400000)) a, UNNEST(GENERATE_ARRAY(1, 400000)) b"
"""A statement that takes longer than any test."""

GIVEN_UP_SECONDS = 60.0


def test_a_statement_that_is_interrupted_may_be_tried_again() -> None:
    warehouse = DuckDbWarehouse(Path(":memory:"))
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            warehouse.query(ENDLESS)
        except BaseException as error:
            raised.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    while asking.is_alive():
        warehouse.interrupt(asking.ident or 0)
        asking.join(0.01)
    assert [type(error) for error in raised] == [TransientError]
    warehouse.close()


@pytest.mark.parametrize("questions", [1, 9])
def test_statements_that_are_asked_together_are_interrupted_for_the_thread_that_asks(questions: int) -> None:
    warehouse = DuckDbWarehouse(Path(":memory:"))
    answers: list[object] = []
    asking = threading.Thread(target=lambda: answers.extend(warehouse.ask([(ENDLESS, {})] * questions)))
    asking.start()
    assert warehouse.ask([("SELECT 1 AS x", {}), ("SELECT 2 AS x", {})]) == [[{"x": 1}], [{"x": 2}]]
    while asking.is_alive():
        warehouse.interrupt(asking.ident or 0)
        asking.join(0.01)
    assert [type(answer) for answer in answers] == [TransientError] * questions
    assert warehouse.ask([("SELECT 1 AS x", {}), ("SELECT 2 AS x", {})]) == [[{"x": 1}], [{"x": 2}]]
    warehouse.close()


def test_who_interrupts_the_program_waits_for_no_statement_that_is_being_asked() -> None:
    warehouse = DuckDbWarehouse(Path(":memory:"))

    def interrupt() -> None:
        while not any(warehouse._under_way.values()):
            time.sleep(0.001)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        warehouse.ask([(ENDLESS, {})] * 9)
    interrupting.join()
    assert time.monotonic() - begun < GIVEN_UP_SECONDS
    assert not any(warehouse._under_way.values()), "nothing goes on"
    warehouse.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM read_json('{file}')",
        "COPY (SELECT 1 AS x) TO '{folder}/copy.csv'",
        "ATTACH '{folder}/other.duckdb' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET GLOBAL allowed_directories = ['{folder}']",
        "SET GLOBAL threads = 2",
    ],
)
def test_no_statement_of_a_user_reaches_beyond_the_tables(tmp_path: Path, sql: str) -> None:
    file = tmp_path / "notes.csv"
    file.write_text("x\n1\n")
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    statement = sql.format(file=file, folder=tmp_path)
    with pytest.raises(InputError):
        warehouse.query(statement)
    # Nor does what DuckDB is given as it is.
    with warehouse._connection.cursor() as cursor, pytest.raises(duckdb.Error):
        cursor.execute(statement)
    warehouse.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.csv", "warehouse.duckdb"]


@pytest.mark.parametrize("is_in_memory", [False, True])
def test_rows_are_loaded_from_a_folder_that_is_gone_with_the_warehouse(tmp_path: Path, is_in_memory: bool) -> None:
    warehouse = DuckDbWarehouse(Path(":memory:") if is_in_memory else tmp_path / "warehouse.duckdb")
    warehouse.apply_schema("CREATE TABLE ref.t (x INT64)")
    assert warehouse.replace_table("ref.t", b'{"x": 1}\n') == 1
    assert warehouse.query("SELECT x FROM ref.t") == [{"x": 1}]
    lines = warehouse._lines
    warehouse.close()
    assert (lines.exists(), lines.parent == tmp_path) == (False, not is_in_memory)


def test_python_variables_are_no_tables(tmp_path: Path) -> None:
    rows = duckdb.sql("SELECT 1 AS x")
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    with warehouse._connection.cursor() as cursor, pytest.raises(duckdb.CatalogException):
        cursor.execute("SELECT * FROM rows")
    warehouse.close()
    assert rows.fetchall() == [(1,)]
