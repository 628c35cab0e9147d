"""The state file of a home folder is an SQLite database: one connection, nested transactions, a versioned schema."""

import fcntl
import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from phasegate.domain.errors import HaltError, InputError

APPLICATION_ID = 0x50484754
SCHEMA_VERSION = 5
CHECKPOINT_PAGES = 8_000
"""Pages of 4 KiB that the write-ahead log may hold before it is folded into the file (SQLite's own default: 1,000)."""

_HEALS = """
CREATE TABLE heals (
    run_id TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (run_id, kind, subject)
) WITHOUT ROWID;
"""

_LEASES = """
CREATE TABLE leases (
    output_table TEXT NOT NULL, day TEXT NOT NULL, holder TEXT NOT NULL, fence INTEGER NOT NULL, until TEXT NOT NULL,
    PRIMARY KEY (output_table, day)
) WITHOUT ROWID;
"""

_REPORTS = """
CREATE TABLE reports (
    run_id TEXT NOT NULL, id TEXT NOT NULL, at TEXT NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (run_id, id)
) WITHOUT ROWID;
"""

_SCOPE_OF_NEW = (
    "NEW.run_id, CASE WHEN json_valid(NEW.doc)"
    " THEN json_remove(NEW.doc, '$.pipeline', '$.calendar', '$.work', '$.details', '$.unless_same') ELSE NEW.doc END"
)

_SCOPES = f"""
CREATE TABLE scopes (run_id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TRIGGER scope_of_plan AFTER INSERT ON plans BEGIN INSERT INTO scopes VALUES ({_SCOPE_OF_NEW}); END;
CREATE TRIGGER scope_of_changed_plan AFTER UPDATE ON plans
    BEGIN INSERT OR REPLACE INTO scopes VALUES ({_SCOPE_OF_NEW}); END;
CREATE TRIGGER scope_of_no_plan AFTER DELETE ON plans BEGIN DELETE FROM scopes WHERE run_id = OLD.run_id; END;
"""
"""The plans without what takes most of their room: a list of runs is read from these."""

_MIGRATIONS: Mapping[int, str] = {
    # The conductor is woken anew by the first sweep.
    1: f"""{_HEALS}
DELETE FROM tasks WHERE queue = 'conductor';
""",
    2: _LEASES,
    3: _REPORTS,
    4: f"{_SCOPES}INSERT INTO scopes SELECT {_SCOPE_OF_NEW} FROM plans AS NEW;\n",
}
"""What makes a state file of a version one of the next."""

_SCHEMA = f"""{_HEALS}{_LEASES}{_REPORTS}
CREATE TABLE runs (run_id TEXT PRIMARY KEY, created_at TEXT NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE plans (run_id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
{_SCOPES}
CREATE TABLE boards (run_id TEXT PRIMARY KEY, version INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE facts (
    run_id TEXT NOT NULL, day TEXT NOT NULL, phase TEXT NOT NULL, processor TEXT NOT NULL,
    attempt INTEGER NOT NULL, name TEXT NOT NULL, doc TEXT NOT NULL,
    PRIMARY KEY (run_id, day, phase, processor, attempt, name)
) WITHOUT ROWID;
CREATE TABLE cells (
    run_id TEXT NOT NULL, day TEXT NOT NULL, phase TEXT NOT NULL, doc TEXT NOT NULL,
    PRIMARY KEY (run_id, day, phase)
) WITHOUT ROWID;
CREATE TABLE touches (run_id TEXT NOT NULL, day TEXT NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (run_id, day))
    WITHOUT ROWID;
CREATE INDEX touches_in_order ON touches (run_id, sequence);
CREATE TABLE claims (
    fence INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, day TEXT NOT NULL, phase TEXT NOT NULL,
    processor TEXT NOT NULL, attempt INTEGER NOT NULL, epoch INTEGER NOT NULL, generation INTEGER NOT NULL,
    inputs TEXT NOT NULL, lease_until TEXT NOT NULL, claimed_at TEXT NOT NULL, incarnation TEXT NOT NULL,
    UNIQUE (run_id, day, phase, processor, attempt)
);
CREATE TABLE quarantine (
    id TEXT PRIMARY KEY, run_id TEXT, reason TEXT NOT NULL, event TEXT NOT NULL, at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE tasks (
    name TEXT NOT NULL PRIMARY KEY, run_id TEXT NOT NULL, queue TEXT NOT NULL, payload TEXT NOT NULL,
    not_before REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0, done_at REAL
);
CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, message TEXT NOT NULL);
CREATE VIEW date_documents AS
    SELECT run_id, day, json_group_object(task, json(attempts)) AS tasks FROM (
        SELECT run_id, day, phase || '/' || processor AS task, json_group_object(attempt, json(facts)) AS attempts
        FROM (
            SELECT run_id, day, phase, processor, attempt, json_group_object(name, json(doc)) AS facts
            FROM facts GROUP BY run_id, day, phase, processor, attempt
        ) GROUP BY run_id, day, phase, processor
    ) GROUP BY run_id, day;
"""


class Database:
    """A database is a connection to ``state.sqlite``. Not for use by several threads.

    durable: ``synchronous=FULL``, which survives a power cut; otherwise ``NORMAL``, which survives the death of the
    process at any moment and, after a power cut, may have lost the last moments but is consistent.
    incarnation: names this process; claims of another one are void.

    A file that may be read and not written can be looked at: whoever writes to it is refused.

    Raises InputError for a file that is not a state file of this version, or may not be read; HaltError for a damaged
    one, and when the disk is full.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self.path = path
        self.incarnation = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._depth = self._transactions = 0
        self._before_commit: list[Callable[[], None]] = []
        self._on_rollback: list[Callable[[], None]] = []
        if path.is_dir():
            raise InputError(f"{path} is a folder, and the state belongs in a file of that name; move it away")
        self._is_writable = not path.exists() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
        try:
            self._connection = _connect(path) if self._is_writable else _connect_to_look(path)
            self._connection.path = path
            self._prepare(durable)
        except sqlite3.Error as error:
            raise _explained(error, path) from error
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error

    def _prepare(self, durable: bool) -> None:
        execute = self._connection.execute
        if self._is_new() and self._is_writable:
            self._create()
        application, version = (execute(f"PRAGMA {p}").fetchone()[0] for p in ("application_id", "user_version"))
        if not self._is_new() and application != APPLICATION_ID:
            raise InputError(f"{self.path} is a database of another program; give another --home, or move it away")
        if version != SCHEMA_VERSION and version not in _MIGRATIONS:
            raise InputError(
                f"{self.path} has state version {version}, this program reads {SCHEMA_VERSION}; "
                "use the program that made it, or another --home"
            )
        if not self._is_writable:
            if version != SCHEMA_VERSION:
                raise InputError(
                    f"{self.path} has state version {version}, and cannot be brought up to date: read-only"
                )
            execute("PRAGMA query_only = TRUE")
            return
        execute("PRAGMA journal_mode = WAL")
        execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        execute("PRAGMA busy_timeout = 10000")
        execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        if version != SCHEMA_VERSION:
            self._migrate()

    def _is_new(self) -> bool:
        return not self._connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()

    def _create(self) -> None:
        """Write the schema, in one transaction, unless another process has done it: one at a time has the folder.

        SQLite's own locks do not do for this: two processes that switch to the write-ahead log at once refuse each
        other, however long they may wait.
        """
        execute = self._connection.execute
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if self._is_new():
                execute("PRAGMA journal_mode = WAL")
                execute("BEGIN IMMEDIATE")
                self._run_script(_SCHEMA)
                execute(f"PRAGMA application_id = {APPLICATION_ID}")
                execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                execute("COMMIT")
        finally:
            os.close(folder)

    def _migrate(self) -> None:
        """Bring an older file up to date, all or nothing; a process that came first has done it already."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        while (version := execute("PRAGMA user_version").fetchone()[0]) != SCHEMA_VERSION:
            self._run_script(_MIGRATIONS[version])
            execute(f"PRAGMA user_version = {version + 1}")
        execute("COMMIT")

    def _run_script(self, script: str) -> None:
        for statement in script.split(";\n"):
            if statement.strip():
                self._connection.execute(statement)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement. Raises HaltError for a damaged file and for a full disk, also while its rows are read."""
        try:
            return self._connection.cursor(_Cursor).execute(sql, parameters)
        except sqlite3.Error as error:
            raise _explained(error, self.path) from error

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> sqlite3.Cursor:
        """Run one statement for many rows; raises as ``execute`` does."""
        try:
            return self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise _explained(error, self.path) from error

    def latest_moment(self) -> datetime | None:
        """Return the latest time at which a task was done or claimed; None before the first."""
        done, claimed = self.execute(
            "SELECT (SELECT MAX(done_at) FROM tasks), (SELECT claimed_at FROM claims ORDER BY fence DESC LIMIT 1)"
        ).fetchone()
        moments = [datetime.fromtimestamp(done, UTC)] if done is not None else []
        moments += [datetime.fromisoformat(claimed)] if claimed is not None else []
        return max(moments, default=None)

    def before_commit(self, write: Callable[[], None]) -> None:
        """Call ``write`` at the end of every transaction, inside it: for what would often be deleted in the transaction
        that inserted it."""
        self._before_commit.append(write)

    def on_rollback(self, forget: Callable[[], None]) -> None:
        """Call ``forget`` when a transaction was undone: what memory holds may be ahead of the file then."""
        self._on_rollback.append(forget)

    def changed_elsewhere(self) -> int:
        """Return a number that changes when another process wrote to the file."""
        return int(self.execute("PRAGMA data_version").fetchone()[0])

    @property
    def in_transaction(self) -> int | None:
        """Return the number of the open transaction, in which no other process writes; None: there is none."""
        return self._transactions if self._depth else None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all that is written inside, or nothing of it. Inside another transaction: part of that one."""
        if self._depth:
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        self._depth = 1
        self._transactions += 1
        try:
            yield
            for write in self._before_commit:
                write()
            self.execute("COMMIT")
        except BaseException:
            self._undo()
            raise
        finally:
            self._depth = 0

    def _undo(self) -> None:
        if self._connection.in_transaction:
            # What made the transaction fail is told, not that a damaged file cannot be rolled back either.
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
        for forget in self._on_rollback:
            forget()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class _Connection(sqlite3.Connection):
    """A connection that knows its file."""

    path: Path


class _Cursor(sqlite3.Cursor):
    """Rows are read page by page: a damaged page is found here, and not when the statement begins."""

    __slots__ = ()

    def fetchone(self) -> Any:
        """The next row."""
        try:
            return _fetchone(self)
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def fetchall(self) -> list[Any]:
        """All rows."""
        try:
            return _fetchall(self)
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # a cursor of its own is not needed: no row is left
        """All rows, one after the other."""
        return iter(self.fetchall())

    def _explained(self, error: sqlite3.Error) -> Exception:
        assert isinstance(self.connection, _Connection)  # noqa: S101 - Database makes no other
        return _explained(error, self.connection.path)


_fetchone, _fetchall = sqlite3.Cursor.fetchone, sqlite3.Cursor.fetchall


def _connect(where: Path | str, *, is_uri: bool = False) -> _Connection:
    return sqlite3.connect(
        where, isolation_level=None, timeout=10, cached_statements=256, uri=is_uri, factory=_Connection
    )


def _connect_to_look(path: Path) -> _Connection:
    """Open a file that may not be written: as it is, with its log where somebody else drives the home, and from a copy
    in memory where a process that died has left a log behind, which SQLite cannot read without writing."""
    log, index = (path.with_name(f"{path.name}-{end}") for end in ("wal", "shm"))
    has_log = log.exists() and log.stat().st_size > 0
    if not has_log or index.exists():
        return _connect(f"file:{quote(str(path))}?{'mode=ro' if has_log else 'immutable=1'}", is_uri=True)
    with tempfile.TemporaryDirectory() as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder) / file.name)
        original, copy = _connect(Path(folder) / path.name), _connect(":memory:")
        original.backup(copy)
        original.close()
    return copy


def _explained(error: sqlite3.Error, path: Path) -> Exception:
    text = str(error)
    if "full" in text:
        return HaltError(f"{path}: the disk is full; free some space, then run the same command again")
    if "unable to open" in text or "readonly" in text:
        return InputError(f"{path}: {text}; check that the folder exists and can be written")
    if "locked" in text or "busy" in text:
        return HaltError(f"{path}: {text}; another process holds it, try again when that has ended")
    return HaltError(
        f"{path} is damaged ({text}): move it away, and {path.name}-wal and -shm beside it, then type again the "
        "`phasegate run` that began the run; what the tables hold already is found there"
    )
