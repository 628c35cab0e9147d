"""A worker may change the current folder: everything lies where it was meant when the command was typed."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from phasegate.ports import ObjectStore, Warehouse
from tests.endtoend.test_command_line import Answer, Site
from tests.world import WorldWorker


class Wanderer(WorldWorker):
    """Goes to another folder whenever it is made, made ready or called."""

    def __init__(self, source: Path, warehouse: Warehouse, objects: ObjectStore) -> None:
        super().__init__(source, warehouse, objects)
        self._wander()

    def prepare(self) -> None:
        """Wander, then make ready."""
        self._wander()
        super().prepare()

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """One request."""
        self._wander()
        return super().handle(path, body)

    def _wander(self) -> None:
        folder = self._source.parent / "elsewhere"
        folder.mkdir(exist_ok=True)
        os.chdir(folder)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose worker changes the current folder."""
    made = Site(tmp_path, lambda document: document["workers"]["world"].update(factory=f"{__name__}:Wanderer"))
    yield made
    made.close()


def places(site: Site) -> set[str]:
    """What lies in the folder in which commands were typed, and in the worker's."""
    return {f.name for f in site.folder.iterdir()} | {
        f"elsewhere/{f.name}" for f in (site.folder / "elsewhere").iterdir()
    }


BESIDE = {"pipeline.yaml", "source", "elsewhere"}


def of_flag(site: Site) -> Answer:
    """The home as a flag."""
    return site.run("--json")


def of_environment(site: Site) -> Answer:
    """The home as a variable."""
    words = ("run", "--pipeline", "pipeline.yaml", "--source", "source", "--season", "2023-24", "--json")
    return site.call(*words, PHASEGATE_HOME="home")


def of_file(site: Site) -> Answer:
    """Home, pipeline and source in the configuration file."""
    (site.folder / "phasegate.toml").write_text('home = "home"\npipeline = "pipeline.yaml"\nsource = "source"\n')
    return site.call("run", "--season", "2023-24", "--json")


@pytest.mark.parametrize("run", [of_flag, of_environment, of_file])
def test_a_run_whose_worker_changes_the_folder_leaves_all_in_its_home(site: Site, run: Any) -> None:
    answer = run(site)
    assert (answer.code, answer.document["status"]) == (0, "completed"), answer.err
    assert Path(answer.document["report"]["page"]) == site.home / "reports" / answer.document["run_id"] / "report.html"
    assert {path.parts[0] for path in (f.relative_to(site.home) for f in site.home.rglob("*.jsonl"))} == {"objects"}
    assert places(site) - {"phasegate.toml"} == BESIDE | {"home"}


def test_a_run_that_was_started_or_taken_up_again_lies_in_its_home_as_well(site: Site) -> None:
    started = site.call(*site.selecting("start", "--season", "2023-24", "--run-id", "r"))
    assert (started.code, site("watch", "r").code) == (0, 0), started.err
    shutil.rmtree(site.home / "objects")
    assert site.call(*site.selecting("run", "--season", "2023-24", "--reprocess", "all")).code == 0
    assert places(site) == BESIDE | {"home"}
