"""The small world of ``tests/world.py`` behind HTTP, over BigQuery and Cloud Storage: real work for the stack."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from flask import Flask, request
from google.cloud.bigquery import LoadJobConfig, WriteDisposition
from werkzeug.serving import make_server

from phasegate.adapters.gcp import clients
from phasegate.adapters.gcp.bigquery.warehouse import BigQueryWarehouse
from phasegate.adapters.gcp.objects import GcsObjectStore
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.deployment import Deployment
from phasegate.domain.state.run import RunStatus
from phasegate.ports import State
from tests.stack.running import RunningStack, running_stack
from tests.world import TABLES, World, WorldWorker, definition

PATIENCE_SECONDS = 240.0


class WorldService:
    """The worker's HTTP server. calls: how often each attempt was asked for; delay: seconds that a call takes."""

    def __init__(self, delay: float) -> None:
        self.calls: Counter[tuple[str, str, str, int]] = Counter()
        self.delay: Callable[[Mapping[str, Any]], float] = lambda _: delay
        self.worker: WorldWorker | None = None
        self._lock = threading.Lock()
        app = Flask("world")
        app.add_url_rule("/work", view_func=self._work, methods=["POST"])
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _work(self) -> tuple[dict[str, Any], int]:
        body = request.get_json()
        with self._lock:
            self.calls[body["date"], body["phase"], body["processor"], body["attempt"]] += 1
        time.sleep(self.delay(body))
        assert self.worker is not None
        status, answer = self.worker.handle("/work", body)
        return answer, status

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()


class WorldOnTheStack:
    """A stack that serves the world, and what a test looks at."""

    def __init__(self, stack: RunningStack, world: World, service: WorldService, settings: CloudSettings) -> None:
        self.stack, self.world, self.service = stack, world, service
        self.deployment = Deployment(settings)
        self.state: State = self.deployment.backend.state
        self.released: dict[tuple[str, date, str, int], set[str]] = {}

    def kick_off(self, run_id: str, **more: object) -> None:
        """Begin a run over all dates."""
        import requests

        body = {"run_id": run_id, "season": "2023-24", **more}
        requests.post(self.stack.function_url("starter"), json=body, timeout=60).raise_for_status()

    @contextmanager
    def paused(self, queue: str) -> Iterator[None]:
        """A queue that somebody paused: it delivers nothing."""
        name = self._queue(queue)
        clients.tasks_client().pause_queue(name=name)
        try:
            yield
        finally:
            clients.tasks_client().resume_queue(name=name)

    def waiting(self, queue: str) -> int:
        """How many tasks of a queue are not done."""
        return len(list(clients.tasks_client().list_tasks(parent=self._queue(queue))))

    def _queue(self, queue: str) -> str:
        settings = self.deployment.settings
        return f"projects/{settings.project}/locations/{settings.region}/queues/{queue}"

    def look(self, run_id: str) -> RunStatus:
        """The run's status; notes every release that is seen on the way."""
        for day, facts in self.state.dates(run_id, self.world.days).items():
            for cell in facts.cells.values():
                for group, state in cell.groups.items():
                    self.released.setdefault((run_id, day, group, state.generation), set()).add(str(state.released_at))
        return self.state.board(run_id)[0].status

    def finish(self, run_id: str) -> RunStatus:
        """Wait for the end of a run."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not (status := self.look(run_id)).is_final:
            assert time.monotonic() < give_up, f"{run_id} is still {status}"
            time.sleep(0.5)
        return status

    def released_twice(self) -> list[tuple[str, date, str, int]]:
        """Lanes that were seen released at two moments for one generation."""
        return [release for release, moments in self.released.items() if len(moments) > 1]

    def tables(self) -> dict[str, list[tuple[str, str, int]]]:
        """Everything in the output tables but the fences, as ``World.tables`` gives it."""
        warehouse = self.deployment.backend.warehouse
        return {
            table: [
                (str(r["d"]), r["k"], r["v"]) for r in warehouse.query(f"SELECT d, k, v FROM `{table}` ORDER BY 1, 2")
            ]
            for table in TABLES.values()
        }


@contextmanager
def world_on_the_stack(
    folder: Path,
    *,
    dates: int = 3,
    delay: float = 0.0,
    change: Callable[[dict[str, Any]], None] = lambda document: None,
    sweep_every: float = 2.0,
) -> Iterator[WorldOnTheStack]:
    """A stack of its own for the world's pipeline, whose worker is served by this process."""
    world = World(folder / "world", dates=dates)
    service = WorldService(delay)
    document = definition()
    document["workers"] = {"world": {"url": service.url}}
    change(document)
    pipeline = folder / "world.yaml"
    pipeline.write_text(yaml.safe_dump(document, sort_keys=False))
    try:
        with (
            running_stack(folder / "home", pipeline=pipeline, sweep_every=sweep_every) as stack,
            pytest.MonkeyPatch.context() as patch,
        ):
            for name, value in stack.environment.items():
                patch.setenv(name, value)
            _forget_clients()
            settings = CloudSettings.from_environment()
            warehouse = BigQueryWarehouse(clients.bigquery_client(settings), settings, labels={"phasegate": "worker"})
            objects = GcsObjectStore(clients.storage_client(settings), settings.bucket)
            service.worker = WorldWorker(world.source, warehouse, objects)
            service.worker.prepare()
            _write_schedule(settings, world)
            yield WorldOnTheStack(stack, world, service, settings)
            _forget_clients()
    finally:
        service.close()


def _write_schedule(settings: CloudSettings, world: World) -> None:
    connection = duckdb.connect()
    rows = connection.execute(f"SELECT * FROM '{world.source / 'schedule.parquet'}'").fetchall()
    names = [column[0] for column in connection.description or ()]
    connection.close()
    lines = [{n: str(v) if isinstance(v, date) else v for n, v in zip(names, row, strict=True)} for row in rows]
    client = clients.bigquery_client(settings)
    client.query_and_wait(
        f"CREATE TABLE `{world.pipeline.calendar.table}` (season STRING, game_date DATE, home_team STRING,"
        " away_team STRING, game_status INT64)"
    )
    config = LoadJobConfig(write_disposition=WriteDisposition.WRITE_APPEND)
    client.load_table_from_json(lines, world.pipeline.calendar.table, job_config=config).result()


def _forget_clients() -> None:
    for made_once in vars(clients).values():
        if hasattr(made_once, "cache_clear"):
            made_once.cache_clear()


def expected_tables(folder: Path, dates: int = 3) -> dict[str, list[tuple[str, str, int]]]:
    """The tables of an undisturbed embedded run over the same dates."""
    world = World(folder / "embedded", dates=dates)
    assert world.run().status is RunStatus.COMPLETED
    return world.tables()
