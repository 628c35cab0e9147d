"""Prefect: one flow over all dates, its tasks submitted to a thread pool, with the local server that Prefect starts.

- The server is the ephemeral one, a process that the first flow starts, with the SQLite file of ``PREFECT_HOME``, which
  has a write-ahead log. It is started by a flow of one task before the clock.
- One flow runs all dates: each flow makes requests of its own. The futures that a task waits for give it its order.
- No results are kept, no cache keys computed, no parameters validated; logs are not sent to the server.
- Prefect records the states of tasks after the fact: when the flow has ended, the server may have entered less than a
  tenth of them, and a process that ends then leaves the others out for good
  (``findings/prefect-task-runs-of-an-ephemeral-server.sh``). Seconds are until the last task's state is in the
  database, as with the other peers, where a task has not ended before that. A flow per date is mostly recorded when it
  ends, and was slower all the same.
"""

import os
import sqlite3
import tempfile
import time
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from bench.peers.script import answer
from bench.shape import TASKS_A_DATE, days, task_needs

THREADS = 8
RECORDED_AFTER_SECONDS = 600.0
"""How long the server may take, after the flow has ended, until the state of each task is recorded."""


def recorded(file: Path) -> int:
    """How many task runs the server's database has as completed."""
    with closing(sqlite3.connect(file)) as kept:
        count: int = kept.execute("SELECT COUNT(*) FROM task_run WHERE state_type = 'COMPLETED'").fetchone()[0]
    return count


def measure(dates: int) -> float:
    """Run W(dates) in one flow; returns seconds."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Prefect reads its settings when it is imported.
        os.environ |= {
            "PREFECT_HOME": folder,
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
        }
        from prefect import flow, task
        from prefect.cache_policies import NO_CACHE
        from prefect.task_runners import ThreadPoolTaskRunner

        @task(cache_policy=NO_CACHE, persist_result=False)
        def idle(day: str, name: str) -> None:
            pass

        @flow(persist_result=False)
        def warm_up() -> None:
            idle("", "")

        @flow(task_runner=ThreadPoolTaskRunner(THREADS), persist_result=False, validate_parameters=False)
        def all_dates() -> None:
            submitted = []
            for day in days(dates):
                done = {}
                for name, needs in task_needs().items():
                    done[name] = idle.submit(day, name, wait_for=[done[need] for need in needs])
                submitted += done.values()
            for future in submitted:
                future.result()

        file, tasks = Path(folder) / "prefect.db", dates * TASKS_A_DATE
        warm_up()
        while recorded(file) < 1:
            time.sleep(0.05)
        begun = time.perf_counter()
        all_dates()
        ended = time.perf_counter()
        while recorded(file) < 1 + tasks:
            assert time.perf_counter() < ended + RECORDED_AFTER_SECONDS, f"{recorded(file) - 1} of {tasks} are recorded"
            time.sleep(0.05)
        return time.perf_counter() - begun


if __name__ == "__main__":
    settings = f"one flow, {THREADS} threads, ephemeral server on SQLite, until states are recorded"
    answer("Prefect", version("prefect"), settings, measure)
