"""Dagster: a job of the date's tasks as ops, partitioned by day; one run per date by the in-process executor.

- Runs are executed in this process, op after op. Runs that are launched start a process each, and by default one more
  for each op.
- One run per date is a partition's run. One run over all dates is somewhat faster up to some twenty dates, and slower
  beyond: its time grows faster than the number of its ops.
- Runs and events are kept in the SQLite files of ``DAGSTER_HOME``, Dagster's default, with a write-ahead log. Events
  written in batches (``DAGSTER_EVENT_BATCH_SIZE``) and one event log for all runs made no difference.
- Ops hand over nothing (``Nothing``), so that no input or output is stored. Only errors are logged to the console.
"""

import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import dagster

from bench.peers.script import answer
from bench.shape import FIRST_DAY, TASKS_A_DATE, days, task_needs

NEEDS = task_needs()


def idle_op(name: str) -> dagster.OpDefinition:
    """An op that does nothing, and waits for what the task of this name needs."""

    @dagster.op(
        name=name, ins={need: dagster.In(dagster.Nothing) for need in NEEDS[name]}, out=dagster.Out(dagster.Nothing)
    )
    def idle() -> None:
        pass

    return idle


@dagster.graph
def one_date() -> None:
    """The tasks of a date."""
    done = {}
    for name, needs in NEEDS.items():
        done[name] = idle_op(name)(**{need: done[need] for need in needs})


def measure(dates: int) -> float:
    """Run W(dates) date by date; returns seconds."""
    job = one_date.to_job(
        executor_def=dagster.in_process_executor,
        partitions_def=dagster.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat()),
        config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        with dagster.DagsterInstance.from_config(folder) as instance:
            begun = time.perf_counter()
            results = [job.execute_in_process(instance=instance, partition_key=day) for day in days(dates)]
            seconds = time.perf_counter() - begun
            assert instance.get_runs_count() == dates
            steps = sum(len(instance.get_run_step_stats(result.run_id)) for result in results)
            assert steps == dates * TASKS_A_DATE and all(result.success for result in results)
    return seconds


if __name__ == "__main__":
    settings = "in-process executor, one run per date, SQLite"
    answer("Dagster", version("dagster"), settings, measure)
