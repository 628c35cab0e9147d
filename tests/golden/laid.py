"""The golden data, laid out in a folder of a test's own."""

import base64
import hashlib
import json
import os
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from phasegate import entrypoints, telemetry
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.deployment import Deployment
from phasegate.services.backend import Backend
from tests.commands import ROOT, type_command
from tests.fakes.in_process import UsersWorld
from tests.fakes.users_services import Oddities, OneService
from tests.functions.conftest import Calls, Sound
from tests.world import World

DATA = Path(__file__).parent / "8e42da0"
PLACE = Path("/tmp/phasegate-golden")  # noqa: S108 - a name in stored documents; no test writes there
"""Where the data was made: its runs name sources and pipeline files below this folder."""


USERS_DAYS = [date(2024, 1, 15), date(2024, 1, 16)]
"""The dates that the user's own services work on."""


def golden(name: str) -> Any:
    """The content of a JSON file of the data."""
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def unpack(archive: str, folder: Path, data: Path = DATA) -> Path:
    """Unpack ``archive.tar.gz`` of the data into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(data / f"{archive}.tar.gz") as packed:
        packed.extractall(folder)  # noqa: S202 - our own; Python 3.11 takes a filter from its fourth patch on
    return folder


def identity_of(request: Mapping[str, Any], pipeline: Mapping[str, Any]) -> str:
    """The ``request_hash`` that commit 8e42da0 gave to a request for a pipeline.

    request: a ``request`` of ``requests.json``. pipeline: the whole model with its defaults, by alias.
    """
    text = json.dumps({**request, "pipeline": pipeline}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def move_to(site: Path, home: Path, requests: Mapping[str, Any], pipeline: Mapping[str, Any]) -> None:
    """Have a home's runs name their sources and pipeline files below ``site``, as if they had been begun there.

    requests: what was asked for, by run, as it is in ``requests.json``.
    """
    with closing(sqlite3.connect(home / "state.sqlite")) as connection, connection:
        for run_id, text in connection.execute("SELECT run_id, doc FROM runs").fetchall():
            document, asked = json.loads(text), requests[run_id]
            begun = PLACE / asked["site"]
            assert document["request_hash"] == identity_of(asked["request"], pipeline)
            for key in ("source", "pipeline_file"):
                document[key] = str(site / Path(document[key]).relative_to(begun))
            document["request_hash"] = identity_of({**asked["request"], "source": document["source"]}, pipeline)
            connection.execute("UPDATE runs SET doc = ? WHERE run_id = ?", (json.dumps(document), run_id))


class Site:
    """A folder in which somebody types ``phasegate`` commands for one of its homes."""

    def __init__(self, folder: Path, home: str) -> None:
        self.folder, self.home = folder, folder / home

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a command, without any setting."""
        given = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(self.folder)])}
        return type_command("--home", self.home.name, *words, folder=self.folder, environment=given)

    def asked(self, *words: str) -> Any:
        """What a command answers with ``--json``, whatever its exit status."""
        done = self(*words, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def runs(self) -> list[str]:
        """The ids of the home's runs, as stored."""
        with closing(sqlite3.connect(self.home / "state.sqlite")) as connection:
            return [run_id for (run_id,) in connection.execute("SELECT run_id FROM runs ORDER BY run_id")]


def nba_site(folder: Path, home: str) -> Site:
    """The reference pipeline with its source and the home ``finished`` or ``interrupted``."""
    (folder / "pipeline.yaml").write_bytes((DATA / "nba" / "pipeline.yaml").read_bytes())
    unpack("nba/source", folder / "source")
    unpack(f"nba/{home}", folder / home)
    requests = {run: asked for run, asked in golden("requests.json").items() if asked["home"] == home}
    move_to(folder, folder / home, requests, golden("documents/nba-pipeline.json"))
    return Site(folder, home)


def takings_site(folder: Path) -> Site:
    """Somebody's own pipeline with its service, its sources and a home with a run for each kind of request."""
    for name in ("pipeline.yaml", "takings_service.py"):
        (folder / name).write_bytes((DATA / "takings" / name).read_bytes())
    unpack("takings/sources", folder)
    unpack("takings/home", folder / "home")
    requests = {run: asked for run, asked in golden("requests.json").items() if asked["site"] == "takings"}
    move_to(folder, folder / "home", requests, golden("documents/takings-pipeline.json"))
    return Site(folder, "home")


class Functions(Calls):
    """The functions over a stored home, and what is delivered to them as it was recorded."""

    def deliver(self, message: Mapping[str, Any]) -> tuple[int, Any]:
        """Send a recorded request; (status, JSON body) of the answer."""
        answer = self.client(message["function"]).open(
            message.get("path", "/"),
            method="POST",
            data=message["body"],
            headers={"Content-Type": "application/json", **message.get("headers", {})},
        )
        return answer.status_code, answer.get_json(silent=True)


@contextmanager
def functions_over(folder: Path, at: datetime, patch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """The functions over the small world's folder, whose home holds the run ``r``.

    ``deployed.yaml`` there is the deployed pipeline; it is that moment.
    """
    patch.setattr(telemetry, "configure", lambda service: None)
    world = World(folder, dates=3)
    world.clock.move_to(at)
    with world.open() as embedded:
        backend: Backend = embedded.engine("r")._handlers.backend  # type: ignore[attr-defined]
        here = Deployment(CloudSettings(project="demo", pipeline=folder / "deployed.yaml"))
        pipeline = load_pipeline(folder / "deployed.yaml")
        here.__dict__.update(backend=backend, pipeline=pipeline, installation=(sound := Sound()))
        patch.setattr(entrypoints, "deployment", lambda: here)
        yield Functions(world, embedded, backend, sound)


def exchanges_kept(folder: Path, patch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """All that a user's own services are asked and answer over their dates, one of which has a failure; in order."""
    handle = OneService.handle
    found: list[dict[str, Any]] = []

    def noting(self: OneService, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        status, answer = handle(self, path, body)
        found.append({"worker": self._name, "path": path, "request": dict(body), "status": status, "answer": answer})
        return status, answer

    patch.setattr(OneService, "handle", noting)
    oddities = Oddities(analytics={("team_offense_game_summary", USERS_DAYS[1]): "bug"})
    world = UsersWorld(folder, USERS_DAYS, oddities)
    world.begin()
    world.drive()
    world.close()
    return sorted(found, key=lambda each: (each["path"], each["request"]["correlation_id"]))


def plain_json(value: Any) -> Any:
    """A Firestore value as JSON: ``{"$time": …}`` is a timestamp, ``{"$bytes": …}`` bytes in base64."""
    if isinstance(value, dict):
        return {name: plain_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain_json(each) for each in value]
    if isinstance(value, datetime):
        return {"$time": value.astimezone(UTC).isoformat(timespec="microseconds")}
    return {"$bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def from_json(value: Any) -> Any:
    """What ``plain_json`` was given."""
    if isinstance(value, list):
        return [from_json(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"$time"}:
        return datetime.fromisoformat(value["$time"])
    if set(value) == {"$bytes"}:
        return base64.b64decode(value["$bytes"])
    return {name: from_json(each) for name, each in value.items()}
