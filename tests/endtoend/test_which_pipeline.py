"""The pipeline that a command takes when nobody names one: of the folder, then the one that the home used last."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endtoend.test_bad_input import SEASON, assert_refused
from tests.endtoend.test_command_line import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose home does not exist yet."""
    made = Site(tmp_path)
    yield made
    made.close()


def test_in_the_folder_of_a_pipeline_nobody_has_to_name_it(site: Site) -> None:
    answer = site("plan", "--source", "source", *SEASON, "--json")
    assert (answer.code, answer.document["pipeline"]) == (0, site.world.pipeline.pipeline)


def test_elsewhere_the_home_knows_the_one_that_it_was_used_with_last(site: Site) -> None:
    site.world.pipeline_file.rename(site.folder / "named.yaml")
    chosen = ("--source", "source", "--dates", "2024-01-01")
    assert site("run", "--pipeline", "named.yaml", *chosen).code == 0
    answer = site("run", *chosen, "--reprocess", "all", "--json")
    assert (answer.code, answer.document["status"]) == (0, "completed")


@pytest.mark.parametrize("command", ["plan", "run", "calendar", "preflight", "verify", "rollback"])
def test_where_nothing_tells_the_pipeline_it_is_asked_for_and_nothing_is_written(site: Site, command: str) -> None:
    site.world.pipeline_file.rename(site.folder / "named.yaml")
    assert_refused(site(command, "--source", "source", *SEASON), "name one with --pipeline FILE")
    assert not site.home.exists()


def test_a_stack_is_asked_for_its_pipeline_too(site: Site) -> None:
    site.world.pipeline_file.rename(site.folder / "named.yaml")
    assert_refused(site("stack", "up", "--source", "source"), "name one with --pipeline FILE")
