"""DBOS: one workflow per date, one step per task, on SQLite with a write-ahead log.

- SQLite is the store that DBOS takes by default, and the fastest without a server. DBOS leaves it at a rollback journal
  with a full sync for each commit; the write-ahead log and ``synchronous=NORMAL`` are Phasegate's settings, and about
  four times as fast here.
- The steps of a date are called one after the other, and so are the workflows. SQLite has one writer: workflows in
  threads, and steps gathered by asyncio, wait for each other's locks and were slower.
"""

import sqlite3
import tempfile
import time
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import sqlalchemy
from dbos import DBOS, DBOSConfig

from bench.peers.script import answer
from bench.shape import TASKS_A_DATE, days, task_needs

NAMES = tuple(task_needs())


@sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
def use_write_ahead_log(connection: sqlite3.Connection, _: object) -> None:
    """Set a new connection as Phasegate sets its own."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


@DBOS.step()
def idle(day: str, name: str) -> None:
    """Do nothing for a task of a day."""


@DBOS.workflow()
def run_date(day: str) -> None:
    """Run the tasks of a day in an order in which each comes after what it needs."""
    for name in NAMES:
        idle(day, name)


def measure(dates: int) -> float:
    """Run W(dates) date by date; returns seconds."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dbos.sqlite"
        DBOS(config=DBOSConfig(name="idle", system_database_url=f"sqlite:///{file}", log_level="ERROR"))
        DBOS.launch()
        begun = time.perf_counter()
        for day in days(dates):
            run_date(day)
        seconds = time.perf_counter() - begun
        with closing(sqlite3.connect(file)) as kept:
            assert kept.execute("SELECT COUNT(*) FROM operation_outputs").fetchone() == (dates * TASKS_A_DATE,)
            assert kept.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        DBOS.destroy()
    return seconds


if __name__ == "__main__":
    settings = "one workflow per date, one step per task, SQLite with write-ahead log"
    answer("DBOS", version("dbos"), settings, measure)
