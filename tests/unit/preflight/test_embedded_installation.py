"""What preflight says of the home and the workers of embedded mode."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.home import Home, HomeLock
from phasegate.domain.operations.preflight import Level
from phasegate.installation import EmbeddedInstallation
from tests.world import World


def levels(world: World) -> dict[str, tuple[Level, str]]:
    """Check -> level and detail."""
    found = EmbeddedInstallation(world.home, world.pipeline_file, world.source).inspect(
        world.pipeline, world.pipeline.phase_names
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
