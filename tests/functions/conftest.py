"""Each function behind functions-framework, over the embedded ports: what HTTP sees, with no emulator."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import functions_framework
import pytest
from flask.testing import FlaskClient

from phasegate import entrypoints, telemetry
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.bootstrap import Embedded
from phasegate.deployment import Deployment
from phasegate.domain.operations.preflight import PreflightLine
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.services.backend import Backend
from tests.world import World

FUNCTIONS = Path(__file__).parents[2] / "functions"
SIGNATURES = {"listener": "cloudevent"}


class Sound:
    """An installation in which nothing is wrong but what a test puts here."""

    def __init__(self) -> None:
        self.lines: list[PreflightLine] = []

    def inspect(self, pipeline: Pipeline, phases: Sequence[str]) -> list[PreflightLine]:
        """See the port."""
        return self.lines


class Calls:
    """The functions of one deployment, called as a client would."""

    def __init__(self, world: World, embedded: Embedded, backend: Backend, installation: Sound) -> None:
        self.world, self.embedded, self.backend, self.installation = world, embedded, backend, installation
        self._clients: dict[str, FlaskClient] = {}

    def client(self, name: str) -> FlaskClient:
        """A function's own server."""
        if name not in self._clients:
            source = str(FUNCTIONS / name / "main.py")
            app = functions_framework.create_app(name, source, SIGNATURES.get(name, "http"))
            self._clients[name] = app.test_client()
        return self._clients[name]

    def post(
        self, name: str, body: object, headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, Any]:
        """(status, JSON body) of a request; a body that is no text is sent as JSON."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        answer = self.client(name).open("/", method=method, data=data, headers=sent)
        return answer.status_code, answer.get_json(silent=True)

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that the state holds but quarantine: what a refused request must not change."""
        tables = ("runs", "plans", "boards", "facts", "cells", "touches", "claims", "tasks", "events", "heals")
        return {t: self.embedded.database.execute(f"SELECT * FROM {t}").fetchall() for t in tables}


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """Functions over a world with the run ``r`` of three dates, whose first wake-up waits."""
    monkeypatch.setattr(telemetry, "configure", lambda service: None)
    world = World(tmp_path, dates=3)
    with world.open() as embedded:
        embedded.prepare(world.pipeline, world.pipeline.phase_names)
        schedule = world.source / "schedule.parquet"
        read = duckdb.read_parquet(str(schedule))
        embedded.warehouse.lay_out({"raw.schedule": dict(zip(read.columns, map(str, read.types), strict=True))})
        places = ", ".join("?" for _ in read.columns)
        embedded.warehouse._connection.executemany(f"INSERT INTO raw.schedule VALUES ({places})", read.fetchall())
        world.begin(embedded)
        backend: Backend = embedded.engine("r")._handlers.backend  # type: ignore[attr-defined]
        here = Deployment(CloudSettings(project="demo", pipeline=world.pipeline_file))
        here.__dict__.update(backend=backend, pipeline=world.pipeline, installation=(sound := Sound()))
        monkeypatch.setattr(entrypoints, "deployment", lambda: here)
        yield Calls(world, embedded, backend, sound)


def released(calls: Calls) -> None:
    """Let the conductor release the first release groups, and the dispatcher dispatch them."""
    assert calls.post("conductor", {"run_id": "r"}) == (200, {"status": "running"})
    assert calls.post("dispatcher", {"run_id": "r", "dates": [str(d) for d in calls.world.days]})[0] == 200


def task(calls: Calls, processor: str = "a", **changes: object) -> dict[str, object]:
    """What the queue delivers to the runner for a first attempt on the first date."""
    return {
        "run_id": "r",
        "date": str(calls.world.days[0]),
        "phase": "fetch",
        "processor": processor,
        "attempt": 1,
        "generation": 1,
        "inputs": {},
        "epoch": 1,
        **changes,
    }


def completion(calls: Calls, fence: int, **changes: object) -> dict[str, object]:
    """A completion event of that task."""
    now = calls.world.clock.now()
    return {
        "event_id": "e1",
        "run_id": "r",
        "date": str(calls.world.days[0]),
        "phase": "fetch",
        "processor": "a",
        "attempt": 1,
        "fence": fence,
        "status": "success",
        "started_at": now.isoformat(),
        "finished_at": (now + timedelta(seconds=1)).isoformat(),
        **changes,
    }
