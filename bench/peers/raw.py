"""SQLite without any orchestrator: what a task's start and end must write, in two commits per task.

The settings are those of Phasegate's own database (write-ahead log, ``synchronous=NORMAL``), in one thread.
"""

import sqlite3

from bench.orchestration import measure_raw
from bench.peers.script import answer

if __name__ == "__main__":
    settings = "two commits per task, write-ahead log"
    answer("raw SQLite", sqlite3.sqlite_version, settings, lambda dates: measure_raw(dates).seconds)
