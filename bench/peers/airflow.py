"""Airflow: ``DAG.test()`` per date, on SQLite.

- ``DAG.test()`` runs the date's tasks in this process, with the scheduler's own decisions and the metadata database
  (SQLite, with a write-ahead log). A scheduler with LocalExecutor runs each task in a process that asks an API server
  over HTTP, and took some ten times as long here.
- The tasks are Python functions (``@task``). An EmptyOperator is marked as done without being run, which would measure
  another thing.
- The folder of DAGs has this one only, as ``DAG.test()`` reads it anew for each date. Only errors are logged.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.peers.script import answer
from bench.shape import TASKS_A_DATE, days, task_needs

DAG_FILE = """
from bench.peers.airflow import idle_dag

dag = idle_dag()
"""


def at_midnight(day: str) -> datetime:
    """The logical date of a day."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def idle_dag() -> Any:
    """The tasks of a date as a DAG."""
    from airflow.sdk import DAG, task

    def idle() -> None:
        pass

    with DAG("idle", schedule=None, start_date=at_midnight(days(1)[0])) as dag:
        done = {}
        for name, needs in task_needs().items():
            done[name] = task(task_id=name)(idle)()
            for need in needs:
                done[need] >> done[name]
    return dag


def measure(dates: int) -> float:
    """Run W(dates) date by date; returns seconds."""
    with tempfile.TemporaryDirectory() as folder:
        file, dags = Path(folder) / "airflow.db", Path(folder) / "dags"
        dags.mkdir()
        (dags / "idle.py").write_text(DAG_FILE, encoding="utf-8")
        # Airflow reads its settings when it is imported.
        os.environ |= {
            "AIRFLOW_HOME": folder,
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{file}",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        }
        migrate = [Path(sys.executable).with_name("airflow"), "db", "migrate"]
        subprocess.run(migrate, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        dag = idle_dag()
        begun = time.perf_counter()
        states = {str(dag.test(logical_date=at_midnight(day)).state) for day in days(dates)}
        seconds = time.perf_counter() - begun
        assert states == {"success"}, states
        with closing(sqlite3.connect(file)) as kept:
            count = kept.execute("SELECT COUNT(*) FROM task_instance WHERE state = 'success'").fetchone()
        assert count == (dates * TASKS_A_DATE,), count
    return seconds


if __name__ == "__main__":
    answer("Airflow", version("apache-airflow"), "DAG.test() per date, SQLite", measure)
