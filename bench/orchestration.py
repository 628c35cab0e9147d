"""Orchestration alone: workers that do nothing, against the raw limit of SQLite with the same settings."""

import tempfile
import time
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

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

DATES, PHASES, PROCESSORS = 500, 4, 8


class IdleWorker:
    """Answers success at once and writes nothing."""

    def prepare(self) -> None:
        """Nothing to set up."""

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Success for the processor that was asked for."""
        return 200, {"results": {body["processor"]: {"status": "success"}}}


def build(*_: object) -> IdleWorker:
    """The factory that the pipeline below names."""
    return IdleWorker()


def idle_pipeline() -> Pipeline:
    """Four phases of eight processors, each phase behind the one before."""
    phases = [
        {
            "name": f"phase_{p}",
            "dispatch": {"worker": "idle", "path": "/run", "queue": "work"},
            "gates": [{"check": "all_succeeded", "phase": f"phase_{p - 1}"}] if p > 1 else [],
            "limits": {"active_dates": 40},
            "processors": [{"name": f"p{p}_{n}", "output": {"kind": "none"}} for n in range(PROCESSORS)],
        }
        for p in range(1, PHASES + 1)
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
            "workers": {"idle": {"factory": "bench.orchestration:build"}},
            "queues": {"work": {"max_concurrent": 5000}},
            "phases": phases,
        }
    )


def measure_orchestration(dates: int = DATES) -> tuple[int, float]:
    """Drive a run of idle tasks to its end in a new home; returns (tasks, seconds)."""
    pipeline = idle_pipeline()
    first = date(2020, 1, 1)
    calendar = Calendar.of(CalendarDate(first + timedelta(days=n), "s", {"games": 1}, {}) for n in range(dates))
    selection = Selection(seasons=("s",))
    plan = make_plan(
        pipeline,
        calendar,
        selection,
    ).plan
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
        begun = time.perf_counter()
        board = engine.drive()
        seconds = time.perf_counter() - begun
        assert board.status is RunStatus.COMPLETED, board.status
        assert engine.ended == dates * PHASES * PROCESSORS
    return dates * PHASES * PROCESSORS, seconds


def measure_raw(tasks: int = DATES * PHASES * PROCESSORS) -> tuple[int, float]:
    """The raw limit: the same database settings, the rows that a task's start and end must write, and nothing else.

    One commit with the claim's row, one commit with the report's row, a task after the other; returns (tasks, seconds).
    """
    report = (
        '{"status":"success","rows":null,"error_class":null,"message":"","fence":1,"generation":1,"inputs":[],'
        '"started_at":"2026-01-01T00:00:00.000000Z","finished_at":"2026-01-01T00:00:00.000000Z",'
        '"event_id":"bench/2020-01-01/phase_1/p1_1/1/1"}'
    )
    claim = (1, 1, "{}", "2026-01-01T00:00:00.000000+00:00", "2026-01-01T00:00:00.000000+00:00", "1-abcdef")
    days = [(date(2020, 1, 1) + timedelta(days=n)).isoformat() for n in range(tasks // (PHASES * PROCESSORS) + 1)]
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "state.sqlite")
        execute = database.execute
        begun = time.perf_counter()
        for n in range(tasks):
            day, phase = days[n // (PHASES * PROCESSORS)], f"phase_{n // PROCESSORS % PHASES + 1}"
            key = ("bench", day, phase, f"p{n % PROCESSORS}", 1)
            execute("BEGIN IMMEDIATE")
            execute("INSERT INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (n + 1, *key, *claim))
            execute("COMMIT")
            execute("BEGIN IMMEDIATE")
            execute("INSERT INTO facts VALUES (?, ?, ?, ?, ?, 'reported', ?)", (*key, report))
            execute("COMMIT")
        seconds = time.perf_counter() - begun
        database.close()
    return tasks, seconds


HISTORY = (
    "CREATE TABLE IF NOT EXISTS `nba_reference.processor_run_history` (run_id STRING, data_date DATE, phase STRING,"
    " processor_name STRING, attempt INT64, status STRING, error_class STRING, message STRING, rows_written INT64,"
    " fence INT64, code_version STRING, started_at TIMESTAMP, finished_at TIMESTAMP, proved BOOL)"
)
