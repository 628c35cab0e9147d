"""How many statements BigQuery is sent: the reference pipeline with all checks over real games, in batches and date by
date, its tables in the stand-in for BigQuery, its state and queues in embedded mode. The conductor is woken as seldom
as on a cloud, so that as much is proved at once.

``python -m bench.statements`` counts once, in a process of its own, and prints the statements as JSON, by kind.
"""

import argparse
import json
import os
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from google.cloud.bigquery import Client

from bench.bounds import Beside
from bench.ground import BATCH, Ground
from bench.source import without_batches
from phasegate.adapters.embedded.clock import SystemClock
from phasegate.adapters.embedded.home import Home
from phasegate.adapters.embedded.in_process import make_in_process
from phasegate.adapters.embedded.schedule_file import ScheduleFile
from phasegate.adapters.gcp.bigquery.warehouse import BigQueryWarehouse
from phasegate.adapters.gcp.clients import bigquery_client
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.bootstrap import Embedded, EmbeddedOptions
from phasegate.deployment import WAKE_BUCKET
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.plan import compile_plan
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import Run, RunStatus
from phasegate.services.reading.schedule import read_calendar
from phasegate.services.starting.planner import make_plan
from phasegate.stack.emulators import BIGQUERY, start_emulator

SEASON = "2023-24"


def statements(ground: Ground) -> None:
    """Statements of the same dates, in batches over date by date."""
    dates = ground.sizes.statement_dates
    words = ("--source", ground.source, "--dates", dates)
    single = without_batches(ground.today.pipeline, ground.folder / "date-by-date-in-bigquery")
    batched = Counter(ground.today.measure("bench.statements", *words).document)
    apart = Counter(ground.today.measure("bench.statements", *words, "--pipeline", single).document)
    told = f"BigQuery statements of {dates} dates in batches of {BATCH}"
    beside = Beside("date by date", apart.total())
    ground.bounds.share(told, batched.total(), "", beside, most=0.083)
    ground.bounds.details["statements"] = {"in batches": dict(batched), "date by date": dict(apart)}


class OnBigQuery(Embedded):
    """The embedded engine over tables in BigQuery."""

    def __init__(self, home: Home, pipeline: Pipeline, source: Path, pipeline_file: Path) -> None:
        options = EmbeddedOptions(wake_bucket=WAKE_BUCKET)
        super().__init__(home, pipeline, source, options, pipeline_file=pipeline_file)
        self._from = (pipeline_file, source)

    def __enter__(self) -> "OnBigQuery":
        """Open the home, and put another warehouse in the place of its own, for the workers as well."""
        super().__enter__()
        settings = CloudSettings.from_environment()
        warehouse = BigQueryWarehouse(bigquery_client(settings), settings, labels={})
        self.warehouse = warehouse  # type: ignore[assignment]
        self.workers = {
            name: make_in_process(name, spec.factory or "", *self._from, warehouse, self.objects)
            for name, spec in self.pipeline.workers.items()
        }
        return self


def count_statements(patch: pytest.MonkeyPatch) -> Counter[str]:
    """Count, as long as the patch lasts, what the adapter sends by Google's client: queries, statements that write, and
    load jobs. A dry run costs nothing and is not counted."""
    counted: Counter[str] = Counter()
    lock = threading.Lock()

    def counting(name: str, kind: str) -> None:
        method = getattr(Client, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            config = named.get("job_config")
            if not getattr(config, "dry_run", False):
                with lock:
                    counted[kind] += 1
            return method(*arguments, **named)

        patch.setattr(Client, name, wrapped)

    counting("query", "statements that write")
    counting("query_and_wait", "queries")
    counting("load_table_from_file", "load jobs")
    return counted


def drive(pipeline_file: Path, source: Path, dates: int, folder: Path, patch: pytest.MonkeyPatch) -> Counter[str]:
    """Backfill a season's first dates, and count what a run's tasks, proofs and checks take."""
    pipeline = load_pipeline(pipeline_file)
    calendar = read_calendar(pipeline.calendar, ScheduleFile(source, pipeline.calendar).query)
    days = Selection(seasons=(SEASON,)).resolve(calendar)[:dates]
    plan = make_plan(pipeline, calendar, Selection(dates=tuple(days)), profile="historical").plan
    with OnBigQuery(Home(folder / "home"), pipeline, source, pipeline_file) as embedded:
        run = Run(
            run_id="bench",
            pipeline=pipeline.pipeline,
            pipeline_file="",
            plan_hash=plan.hash,
            request_hash="",
            created_at=SystemClock().now(),
        )
        embedded.state.create_run(run, plan, Board.blank(run.run_id, compile_plan(plan), run.created_at))
        embedded.prepare(pipeline, plan.phases)
        counted = count_statements(patch)
        board = embedded.engine(run.run_id).drive()
    assert board.status is RunStatus.COMPLETED, board.status
    return counted


def main() -> None:
    """Count once."""
    parser = argparse.ArgumentParser(prog="python -m bench.statements", description=main.__doc__)
    parser.add_argument("--pipeline", type=Path, default=Path("pipelines/nba/pipeline.yaml"))
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--dates", type=int, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        server = start_emulator(BIGQUERY, Path(folder))
        try:
            server.wait_until_ready()
            os.environ.update({BIGQUERY.variable: BIGQUERY.setting(server.port), "PHASEGATE_PROJECT": "demo"})
            counted = drive(given.pipeline.resolve(), given.source, given.dates, Path(folder), patch)
        finally:
            server.stop()
    print(json.dumps(counted))


if __name__ == "__main__":
    main()
