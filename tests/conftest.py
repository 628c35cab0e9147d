"""The source of games that tests run on: the real one where it is, else a made-up league."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workers.nba.sample import write_sample

ROOT = Path(__file__).parents[1]

FULL = os.environ.get("PHASEGATE_FULL") == "1"
"""Everything, which takes longer: every boundary of a run, fifty kills, two seasons, two weeks on a stack."""

pytest_plugins = ["tests.emulators", "tests.no_skips", "pytester"]


def real_source() -> Path | None:
    """The folder named by PHASEGATE_NBA_SOURCE, or shared/nba beside the project."""
    named = os.environ.get("PHASEGATE_NBA_SOURCE")
    folder = Path(named) if named else ROOT.parent / "shared" / "nba"
    return folder if (folder / "schedule.parquet").exists() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow files first, so that no process is left with one of them in the end."""
    slow = ("stack", "simulation", "endtoend")
    items.sort(key=lambda item: item.path.parent.name not in slow)


def pytest_report_header() -> str:
    """Say which games the tests run on."""
    games = real_source() or "a made-up league (set PHASEGATE_NBA_SOURCE to run on real games)"
    extent = "everything" if FULL else "every fourth crash, every third kill, one season (PHASEGATE_FULL=1 tests all)"
    return f"NBA source: {games}\nextent: {extent}"


@pytest.fixture(scope="session")
def source_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source folder that holds the seasons 2022-23 and 2023-24."""
    folder = real_source()
    if folder is None:
        folder = tmp_path_factory.mktemp("sample")
        write_sample(folder, seasons=["2022-23", "2023-24"])
    return folder


Command = Callable[..., subprocess.CompletedProcess[str]]


def run_command(*words: object, home: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Type a ``phasegate`` command."""
    return subprocess.run(
        [sys.executable, "-m", "shared.cli.main", "--home", str(home), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        check=False,
    )


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    """What a command printed with ``--json``."""
    return json.loads(done.stdout)
