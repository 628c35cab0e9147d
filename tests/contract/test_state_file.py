"""The state file of embedded mode: what is not one is refused in clear words, and left as it is."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest

from phasegate.adapters.embedded.database import SCHEMA_VERSION, Database
from phasegate.adapters.embedded.events import SqliteEvents
from phasegate.adapters.embedded.state import SqliteState
from phasegate.domain.errors import HaltError, InputError, PhasegateError
from phasegate.domain.messages.completion import Completion
from phasegate.domain.protocol.names import COMPLETIONS
from phasegate.domain.protocol.worker import ResultStatus
from phasegate.domain.state.lease import Held
from phasegate.domain.state.listed import ListedRun
from phasegate.domain.state.run import DesiredState, UnreadableDocument
from phasegate.ports import Heal, QuarantineRecord
from tests.contract.conftest import create
from tests.unit.builders import days

COMPLETION = Completion(
    event_id="r/2024-01-01/fetch/a/1/7",
    run_id="r",
    date=date(2024, 1, 1),
    phase="fetch",
    processor="a",
    attempt=1,
    fence=7,
    status=ResultStatus.SUCCESS,
    message="a line\nand another",
    started_at=datetime(2024, 1, 2, tzinfo=UTC),
    finished_at=datetime(2024, 1, 2, 0, 0, 1, 500, tzinfo=UTC),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the state file is looked for."""
    return tmp_path / "state.sqlite"


def refusal(path: Path, kind: type[PhasegateError] = InputError) -> str:
    """What is said about a file, which must be left as it is. kind: HaltError for a damaged one."""
    before = path.read_bytes()
    with pytest.raises(kind) as error:
        Database(path)
    assert path.read_bytes() == before
    return str(error.value)


def execute(path: Path, sql: str) -> None:
    """Change a file from outside."""
    connection = sqlite3.connect(path)
    connection.execute(sql)
    connection.commit()
    connection.close()


def test_a_database_of_another_program_is_refused(path: Path) -> None:
    execute(path, "CREATE TABLE bookmarks (url TEXT)")
    assert refusal(path) == f"{path} is a database of another program; give another --home, or move it away"


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"These are my notes.\n" * 100)
    said = refusal(path, HaltError)
    assert said.startswith(f"{path} is damaged (file is not a database): move it away, and state.sqlite-wal and -shm")
    assert said.endswith(
        "type again the `phasegate run` that began the run; what the tables hold already is found there"
    )


def test_a_state_file_whose_pages_were_overwritten_is_refused(path: Path) -> None:
    Database(path).close()
    content = bytearray(path.read_bytes())
    content[100:2000] = b"\xff" * 1900
    path.write_bytes(content)
    assert "is damaged" in refusal(path, HaltError)


def test_a_state_file_that_was_cut_short_is_refused(path: Path) -> None:
    Database(path).close()
    path.write_bytes(path.read_bytes()[:6000])
    assert "is damaged" in refusal(path, HaltError)


def test_a_page_that_turns_out_to_be_damaged_while_rows_are_read_is_damage_too(path: Path) -> None:
    database = Database(path)
    records = [_record(f"{n:04}" + "x" * 900) for n in range(400)]
    SqliteState(database, keeps_dates=True).quarantine([replace(r, id=r.event[:4]) for r in records])
    database.close()
    content = bytearray(path.read_bytes())
    middle = len(content) * 3 // 4 // 4096 * 4096
    content[middle : middle + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    rows = Database(path).execute("SELECT event FROM quarantine")
    with pytest.raises(HaltError, match=r"is damaged .*: move it away"):
        rows.fetchall()


SINCE = {
    2: ["TABLE heals"],
    3: ["TABLE leases"],
    4: ["TABLE reports"],
    5: ["TRIGGER scope_of_plan", "TRIGGER scope_of_changed_plan", "TRIGGER scope_of_no_plan", "TABLE scopes"],
}
"""What each version of the state file has that the one before had not."""


def take_back(database: Database, version: int) -> None:
    """Make a file one of an earlier version."""
    for added in (each for later, there in SINCE.items() if later > version for each in there):
        database.execute(f"DROP {added}")
    database.execute(f"PRAGMA user_version = {version}")


def test_a_state_file_of_version_1_goes_on_as_the_newest(path: Path) -> None:
    database = Database(path)
    for name, queue, payload in (("wake", "conductor", "r"), ("work", "raw", '{"run_id": "r"}')):
        database.execute("INSERT INTO tasks VALUES (?, 'r', ?, ?, 0, 0, NULL)", (name, queue, payload))
    take_back(database, 1)
    database.close()
    migrated = Database(path)
    SqliteState(migrated, keeps_dates=True).note_heal("r", Heal("dispatch", "it", "why", datetime.now(UTC)))
    tasks = migrated.execute("SELECT name, payload FROM tasks").fetchall()
    assert tasks == [("work", '{"run_id": "r"}')]
    assert migrated.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert SqliteState(migrated, keeps_dates=True).reports("r") == []


def test_a_state_file_of_version_2_keeps_what_it_holds_and_takes_leases(path: Path) -> None:
    database = Database(path)
    SqliteState(database, keeps_dates=True).quarantine([_record("kept")])
    take_back(database, 2)
    database.close()
    state, now = SqliteState(Database(path), keeps_dates=True), datetime(2026, 1, 1, tzinfo=UTC)
    state.leases.take("raw.a", now.date(), "live", now + timedelta(minutes=1), now)
    assert isinstance(state.leases.take("raw.a", now.date(), "backfill", now + timedelta(minutes=1), now), Held)
    assert [r.event for r in state.quarantined(None)] == ["kept"]


def test_runs_of_a_state_file_of_version_4_are_listed_as_those_begun_since(path: Path) -> None:
    database = Database(path)
    state = SqliteState(database, keeps_dates=True)
    for run_id in ("earlier", "spoilt"):
        create(state, run_id)
    database.execute("UPDATE plans SET doc = 'no JSON' WHERE run_id = 'spoilt'")
    take_back(database, 4)
    database.close()
    state = SqliteState(Database(path), keeps_dates=True)
    create(state, "since", created=1)
    since, earlier, spoilt = state.listed_runs()
    assert isinstance(since, ListedRun) and isinstance(earlier, ListedRun) and isinstance(spoilt, UnreadableDocument)
    assert earlier.scope == since.scope == state.plan("earlier").scope
    assert spoilt.run_id == "spoilt" and spoilt.reason.startswith("the plan of run 'spoilt' cannot be read")


def test_more_runs_than_are_read_at_once_are_all_listed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phasegate.adapters.embedded.run_list._PAGE_RUNS", 3)
    state = SqliteState(Database(path), keeps_dates=True)
    for number in range(7):
        create(state, f"r{number}", created=number)
    assert [each.run.run_id for each in state.listed_runs() if isinstance(each, ListedRun)] == [
        f"r{number}" for number in reversed(range(7))
    ]


def test_a_run_without_a_board_or_a_plan_is_listed_as_one_that_cannot_be_read(path: Path) -> None:
    database = Database(path)
    state = SqliteState(database, keeps_dates=True)
    for table in ("boards", "plans"):
        create(state, f"no {table}".replace(" ", "-"))
        database.execute(f"DELETE FROM {table} WHERE run_id = 'no-{table}'")
    reasons = {each.run_id: each.reason for each in state.listed_runs() if isinstance(each, UnreadableDocument)}
    assert reasons["no-boards"].startswith("the board of run 'no-boards' cannot be read")
    assert reasons["no-plans"].startswith("the plan of run 'no-plans' cannot be read")


def test_a_state_file_of_a_newer_version_is_refused(path: Path) -> None:
    Database(path).close()
    execute(path, "PRAGMA user_version = 6")
    assert refusal(path) == (
        f"{path} has state version 6, this program reads 5; use the program that made it, or another --home"
    )


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="check that the folder exists and can be written"):
        Database(tmp_path / "nowhere" / "state.sqlite")


def test_a_state_file_is_opened_again_as_it_was_left(path: Path) -> None:
    first = Database(path)
    SqliteState(first, keeps_dates=True).quarantine([_record("kept")])
    first.close()
    again = Database(path)
    assert [r.event for r in SqliteState(again, keeps_dates=True).quarantined(None)] == ["kept"]
    again.close()


def test_who_opens_a_new_file_at_the_same_moment_finds_one_that_is_whole(tmp_path: Path) -> None:
    at_once = Barrier(4, timeout=10)

    def opened(number: int) -> list[object]:
        at_once.wait()
        database = Database(tmp_path / f"{number // 4}.sqlite")
        found = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "user_version")]
        database.close()
        return found

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(opened, range(80))) == [["wal", SCHEMA_VERSION]] * 80


def test_a_full_disk_halts_and_leaves_what_was_there(path: Path) -> None:
    database = Database(path)
    state = SqliteState(database, keeps_dates=True)
    state.quarantine([_record("first")])
    database.execute(f"PRAGMA max_page_count = {database.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(HaltError, match="the disk is full; free some space, then run the same command again"):
        state.quarantine([_record("x" * 1_000_000)])
    assert [r.event for r in state.quarantined(None)] == ["first"]
    database.close()


def test_a_message_handled_in_its_own_transaction_is_never_written_and_any_other_is(path: Path) -> None:
    database = Database(path)
    events, statements = SqliteEvents(database), list[str]()
    database._connection.set_trace_callback(statements.append)
    with database.transaction():
        events.publish("done", ["first", "second", "third"])
        events.acknowledge([number for number, _ in events.waiting(2)])
    assert not any("first" in s or "DELETE" in s for s in statements) and any("third" in s for s in statements)
    assert [message for _, message in SqliteEvents(database).waiting(9)] == ["third"]
    events.acknowledge([number for number, _ in events.waiting(1)])
    assert SqliteEvents(database).waiting(9) == []
    database.close()


def test_a_completion_stays_what_it_is_inside_its_transaction_and_is_text_afterwards(path: Path) -> None:
    database = Database(path)
    events = SqliteEvents(database)
    with database.transaction():
        events.publish(COMPLETIONS, [COMPLETION])
        assert [message for _, message in events.waiting(9)] == [COMPLETION]
    for who in (events, SqliteEvents(database)):
        (text,) = [message for _, message in who.waiting(9)]
        assert isinstance(text, str) and Completion.model_validate_json(text) == COMPLETION
    database.close()


def test_a_message_of_a_transaction_that_was_undone_is_not_there(path: Path) -> None:
    database = Database(path)
    events = SqliteEvents(database)
    events.publish("done", ["kept"])
    with suppress(ZeroDivisionError), database.transaction():
        events.publish("done", ["undone"])
        _ = 1 / 0
    events.publish("done", ["later"])
    assert [message for _, message in events.waiting(9)] == ["kept", "later"]
    assert [message for _, message in SqliteEvents(database).waiting(9)] == ["kept", "later"]
    database.close()


def test_a_run_is_read_once_in_a_transaction_and_anew_after_a_change_and_in_the_next(path: Path) -> None:
    database, statements = Database(path), list[str]()
    state, other = SqliteState(database, keeps_dates=True), SqliteState(Database(path), keeps_dates=False)
    create(state, "r")
    database._connection.set_trace_callback(statements.append)

    def reads() -> int:
        found = sum("SELECT doc FROM runs" in statement for statement in statements)
        statements.clear()
        return found

    with database.transaction():
        assert state.run("r").desired_state is state.run("r").desired_state is DesiredState.RUNNING
        assert reads() == 1
        state.change_run("r", lambda run: run.model_copy(update={"desired_state": DesiredState.DRAINING}))
        statements.clear()
        assert state.run("r").desired_state is DesiredState.DRAINING
        assert reads() == 1
    other.change_run("r", lambda run: run.model_copy(update={"desired_state": DesiredState.PAUSED}))
    with database.transaction():
        assert state.run("r").desired_state is DesiredState.PAUSED
    assert state.run("r").desired_state is state.run("r").desired_state
    assert reads() == 3


def test_of_dates_in_memory_the_one_that_was_asked_for_longest_ago_makes_room(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phasegate.adapters.embedded.state._DATES_KEPT", 2)
    database, statements = Database(path), list[str]()
    state = SqliteState(database, keeps_dates=True)
    create(state, "r")
    first, second, third = days(3)
    state.dates("r", [first, second])
    state.dates("r", [first])
    state.dates("r", [third])
    database._connection.set_trace_callback(statements.append)
    state.dates("r", [first, third])
    assert statements == []
    state.dates("r", [second])
    assert len(statements) == 2, "its facts and its cells"


def _record(event: str) -> QuarantineRecord:
    return QuarantineRecord(event[:10], None, "why", event, datetime(2026, 1, 1, tzinfo=UTC))
