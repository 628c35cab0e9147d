"""Orchestration alone: W(D) is a run over D dates of a season's shape, whose workers do nothing. Beside it stands the
raw limit of SQLite with the same settings.

The shape stands in bench/shape.py.

``python -m bench.orchestration`` measures once, in a process of its own, and prints the pace as JSON; also over the
``phasegate`` of earlier commits, where dates do not travel together.
"""

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from bench.shape import FIRST_DAY, NEEDS, TASKS_A_DATE
from phasegate.adapters.embedded.clock import SystemClock
from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.home import Home
from phasegate.bootstrap import Embedded
from phasegate.domain.calendar.dates import Calendar, CalendarDate
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.plan import compile_plan
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import Run, RunStatus
from phasegate.services.starting.planner import make_plan

DATES = 200


class Pace(NamedTuple):
    """The pace of a measurement is what so many tasks took."""

    tasks: int
    """Tasks that came to their end."""
    seconds: float
    """Seconds on the wall."""
    cpu_seconds: float
    """Seconds of processor time, of all threads of this process."""

    @property
    def rate(self) -> float:
        """Return the tasks a second."""
        return self.tasks / self.seconds

    @property
    def cpu_microseconds(self) -> float:
        """Return the microseconds of processor time a task."""
        return 1e6 * self.cpu_seconds / self.tasks


class _StopWatch:
    """A watch that runs from when it is made."""

    def __init__(self) -> None:
        self._begun, self._cpu_begun = time.perf_counter(), time.process_time()

    def pace(self, tasks: int) -> Pace:
        """The pace of what was done since then."""
        return Pace(tasks, time.perf_counter() - self._begun, time.process_time() - self._cpu_begun)


class IdleWorker:
    """Answers success at once and writes nothing."""

    def prepare(self) -> None:
        """Nothing to set up."""

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Success for the processor that was asked for, on the date or on each of the dates."""
        answer = {"results": {body["processor"]: {"status": "success"}}}
        return 200, {"dates": {each["date"]: answer for each in body["dates"]}} if "dates" in body else answer


def build(*_: object) -> IdleWorker:
    """The factory that the pipeline below names."""
    return IdleWorker()


def idle_pipeline(batch: int) -> Pipeline:
    """The pipeline of W(D), with so many dates a call; with one, it is what earlier commits read too."""
    phases = [
        {
            "name": phase,
            "dispatch": {
                "worker": "idle",
                "path": "/run",
                "queue": "work",
                "timeout_seconds": 60,
            }
            | ({"batch": {"dates": batch}} if batch > 1 else {}),
            "gates": [{"check": "all_succeeded", "phase": before}] if before else [],
            "limits": {"active_dates": 40},
            "processors": [
                {"name": name, "output": {"kind": "none"}, "needs": list(needs)} for name, needs in needs_of.items()
            ],
        }
        for before, (phase, needs_of) in zip((None, *NEEDS), NEEDS.items(), strict=False)
    ]
    return Pipeline.model_validate(
        {
            "schema_version": 1,
            "pipeline": "idle",
            "timezone": "UTC",
            "history_table": "nba_reference.processor_run_history",
            "calendar": {
                "table": "s.schedule",
                "date_column": "d",
                "season_column": "season",
                "numbers": {"games": "COUNT(*)"},
            },
            "workers": {
                "idle": {"factory": "bench.orchestration:build"} | ({"batches": "list"} if batch > 1 else {}),
            },
            "queues": {"work": {"max_concurrent": 5000}},
            "phases": phases,
        }
    )


Drive = Callable[[], Board]
"""Drives a run to its end."""


def measure_orchestration(dates: int, batch: int, under: Callable[[Drive], Board] = lambda drive: drive()) -> Pace:
    """Drive W(dates) to its end in a new home, with so many dates a call. under: what calls the drive, a profiler."""
    pipeline = idle_pipeline(batch)
    calendar = Calendar.of(CalendarDate(FIRST_DAY + timedelta(days=n), "s", {"games": 1}, {}) for n in range(dates))
    plan = make_plan(pipeline, calendar, Selection(seasons=("s",))).plan
    with tempfile.TemporaryDirectory() as folder, Embedded(Home(Path(folder)), pipeline, None) as embedded:
        run = Run(
            run_id="bench",
            pipeline="idle",
            pipeline_file="",
            plan_hash=plan.hash,
            request_hash="",
            created_at=SystemClock().now(),
        )
        embedded.warehouse.apply_schema(HISTORY)
        embedded.state.create_run(run, plan, Board.blank(run.run_id, compile_plan(plan), run.created_at))
        engine = embedded.engine("bench")
        watch = _StopWatch()
        board = under(engine.drive)
        pace = watch.pace(dates * TASKS_A_DATE)
        assert board.status is RunStatus.COMPLETED, board.status
        assert engine.ended == pace.tasks
    return pace


def measure_raw(dates: int) -> Pace:
    """The raw limit: the same database settings, the rows that a task's start and end must write, and nothing else.

    One commit with the claim's row, one commit with the report's row, a task after the other.
    """
    report = (
        '{"status":"success","rows":null,"error_class":null,"message":"","fence":1,"generation":1,"inputs":[],'
        '"started_at":"2026-01-01T00:00:00.000000Z","finished_at":"2026-01-01T00:00:00.000000Z",'
        '"event_id":"bench/2020-01-01/raw/raw_1/1/1"}'
    )
    claim = (1, 1, "{}", "2026-01-01T00:00:00.000000+00:00", "2026-01-01T00:00:00.000000+00:00", "1-abcdef")
    days = [(FIRST_DAY + timedelta(days=n)).isoformat() for n in range(dates)]
    tasks = [(phase, name) for phase, needs_of in NEEDS.items() for name in needs_of]
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "state.sqlite")
        execute = database.execute
        watch = _StopWatch()
        for fence, (day, task) in enumerate(itertools.product(days, tasks), 1):
            key = ("bench", day, *task, 1)
            execute("BEGIN IMMEDIATE")
            execute("INSERT INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (fence, *key, *claim))
            execute("COMMIT")
            execute("BEGIN IMMEDIATE")
            execute("INSERT INTO facts VALUES (?, ?, ?, ?, ?, 'reported', ?)", (*key, report))
            execute("COMMIT")
        pace = watch.pace(dates * TASKS_A_DATE)
        database.close()
    return pace


HISTORY = (
    "CREATE TABLE IF NOT EXISTS `nba_reference.processor_run_history` (run_id STRING, data_date DATE, phase STRING,"
    " processor_name STRING, attempt INT64, status STRING, error_class STRING, message STRING, rows_written INT64,"
    " fence INT64, code_version STRING, started_at TIMESTAMP, finished_at TIMESTAMP, proved BOOL)"
)


def main() -> None:
    """Measure W(D) once."""
    parser = argparse.ArgumentParser(prog="python -m bench.orchestration", description=main.__doc__)
    parser.add_argument("--dates", type=int, default=DATES)
    parser.add_argument("--batch", type=int, default=1, help="dates a call")
    parser.add_argument("--raw", action="store_true", help="measure the raw limit of SQLite in its place")
    given = parser.parse_args()
    pace = measure_raw(given.dates) if given.raw else measure_orchestration(given.dates, given.batch)
    print(json.dumps(pace._asdict()))


if __name__ == "__main__":
    main()
