"""A run that is driven once; every test gets a copy of its home to spoil."""

import shutil
from pathlib import Path

import pytest

from tests.report.verifying import Finished


@pytest.fixture(scope="session")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a finished run."""
    made = Finished(tmp_path_factory.mktemp("driven"))
    made.run()
    return made.world.home.root


@pytest.fixture
def home(driven: Path, tmp_path: Path) -> Finished:
    """A finished run of one's own."""
    shutil.copytree(driven, tmp_path / "home")
    return Finished(tmp_path)
