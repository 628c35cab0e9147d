"""What preflight says of the home and the workers of embedded mode."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.home import Home, HomeLock
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.operations.preflight import Level
from phasegate.domain.spec.pipeline import select_phases
from phasegate.embedded_start import HomeStart
from phasegate.installation import EmbeddedInstallation
from phasegate.ports import ObjectStore, Warehouse
from phasegate.services.starting.start import start
from phasegate.worker import ProcessorResult, ResultStatus, WorkerService
from tests.world import World, batched


def levels(world: World, phases: str = "fetch..final") -> dict[str, tuple[Level, str]]:
    """Check -> level and detail."""
    found = EmbeddedInstallation(world.home, world.pipeline_file, world.source).inspect(
        world.pipeline, select_phases(world.pipeline, phases)
    )
    return {line.check: (line.level, line.detail) for line in found}


def test_a_new_home_is_sound(tmp_path: Path) -> None:
    world = World(tmp_path, dates=1)
    found = levels(world)
    assert {check for check, (level, _) in found.items() if level is Level.PASS} == {"phases", "workers", "home"}
    assert found["tables"] == (
        Level.WARN,
        "not checked: there is no warehouse yet, the workers make their tables at the start",
    )
    assert not world.home.root.exists()


def test_a_home_that_another_process_drives_fails_with_its_name(tmp_path: Path) -> None:
    world = World(tmp_path, dates=1)
    with HomeLock(Home(world.home.root)) as lock:
        lock.name_run("r")
        level, detail = levels(world)["home"]
    assert level is Level.FAIL
    assert detail.startswith("is in use by process ") and detail.endswith(", run r")


def test_a_warehouse_that_is_none_fails(tmp_path: Path) -> None:
    world = World(tmp_path, dates=1)
    world.home.root.mkdir(parents=True)
    world.home.warehouse.write_text("this is no database")
    found = levels(world)
    assert found["home"][0] is Level.FAIL and "tables" not in found


def with_factory(name: str) -> Callable[[dict[str, Any]], None]:
    """The worker is made by something else."""
    return lambda document: document["workers"]["world"].update(factory=name)


def build_service(source: Path, warehouse: Warehouse, objects: ObjectStore) -> WorkerService:
    """A factory of a worker that takes several dates at ``/work`` as a list, and a range of them at ``/range``."""
    service = WorkerService("world")
    service.route_batch("/work")(lambda request: {})
    service.route_range("/range", processors=["a", "b"])(lambda request: {})
    service.route("/alone")(lambda request: ProcessorResult(status=ResultStatus.SUCCESS))
    return service


@pytest.mark.parametrize(
    ("path", "batches", "takes"),
    [
        ("/work", "list", None),
        ("/work", "none", None),
        ("/range", "range", None),
        ("/work", "range", "list"),
        ("/range", "list", "range"),
        ("/alone", "list", "none"),
    ],
)
def test_a_worker_that_takes_batches_otherwise_than_the_pipeline_file_says_fails(
    tmp_path: Path, path: str, batches: str, takes: str | None
) -> None:
    def change(document: dict[str, Any]) -> None:
        factory = f"{__name__}:build_service"
        document["workers"]["world"].update(factory=factory, batches=batches)
        document["phases"][1]["dispatch"]["path"] = path

    found = levels(World(tmp_path, dates=1, change=change), "raw..raw")
    if takes is None:
        assert found["workers"] == (Level.PASS, "can be run here")
    else:
        detail = f"takes several dates at {path} as {takes}, the pipeline file has batches: {batches}"
        assert found["worker"] == (Level.FAIL, detail) and "workers" not in found


def test_a_worker_that_does_not_say_how_it_takes_batches_is_left_alone(tmp_path: Path) -> None:
    with batched(7):
        found = levels(World(tmp_path, dates=1))
    assert found["workers"] == (Level.PASS, "can be run here")


def test_a_start_is_refused_that_would_send_a_worker_batches_which_it_does_not_take(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["workers"]["world"].update(factory=f"{__name__}:build_service", batches="range")

    world = World(tmp_path, dates=1, change=change)
    request = RunRequest(Selection(seasons=("2023-24",)), str(world.pipeline_file), str(world.source))
    said = r"FAIL worker world: takes several dates at /work as list, .*correct workers\.world\.batches"
    with HomeStart(world.home, world.source, world.options) as environment:
        with pytest.raises(InputError, match=said):
            start(request, environment)
        assert environment.state is None or environment.state.runs() == []


def observed(document: dict[str, Any]) -> None:
    """An existing system starts the first phase."""
    fields = {"date": "day", "processor": "name", "status": "state"}
    observed = {"topic": "theirs", "fields": fields, "statuses": {"ok": "success"}}
    document["phases"][0]["dispatch"] = {"observed": observed}


@pytest.mark.parametrize(
    ("change", "check", "said"),
    [(with_factory("tests.nowhere:build"), "workers", "cannot load"), (observed, "phases", "topic 'theirs'")],
    ids=["no such factory", "an observed phase"],
)
def test_what_embedded_mode_cannot_run_fails(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], check: str, said: str
) -> None:
    level, detail = levels(World(tmp_path, dates=1, change=change))[check]
    assert (level, said in detail) == (Level.FAIL, True)
