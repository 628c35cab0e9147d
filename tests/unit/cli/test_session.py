"""Which pipeline a command takes when nobody names one; and what commands that only show import."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from phasegate.cli.session import Session
from phasegate.cli.settings import Settings
from phasegate.domain.errors import InputError
from phasegate.services.operating.operators import cancel
from tests.world import World


class LastUsed:
    """A backend that knows which pipeline was used last, and nothing else."""

    def __init__(self, pipeline: Path | None) -> None:
        self._pipeline = pipeline

    def last_pipeline(self) -> Path | None:
        """The pipeline that was used last."""
        return self._pipeline


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PHASEGATE_PIPELINE", raising=False)
    return tmp_path


def session(last: str | None = None) -> Session:
    """A command's session in a home in which that pipeline was used last."""
    backend: Any = LastUsed(Path(last) if last else None)
    return Session(Settings.resolve(), lambda _: backend)


def test_a_flag_goes_before_the_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASEGATE_PIPELINE", "set.yaml")
    assert session().pipeline(Path("given.yaml")) == folder / "given.yaml"


def test_the_settings_go_before_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pipeline.yaml").touch()
    monkeypatch.setenv("PHASEGATE_PIPELINE", "set.yaml")
    assert session().pipeline(None) == folder / "set.yaml"


def test_the_current_folder_goes_before_what_was_used_last(folder: Path) -> None:
    (folder / "pipeline.yaml").touch()
    assert session("/elsewhere/last.yaml").pipeline(None) == folder / "pipeline.yaml"


def test_in_a_folder_without_a_pipeline_the_one_used_last_is_taken() -> None:
    assert session("/elsewhere/last.yaml").pipeline(None) == Path("/elsewhere/last.yaml")


def test_where_there_is_none_the_message_says_how_to_name_one() -> None:
    with pytest.raises(InputError, match="name one with --pipeline FILE"):
        session().pipeline(None)


def test_help_imports_neither_a_backend_nor_the_settings() -> None:
    heavy = "{'duckdb', 'google.cloud.firestore', 'phasegate.cli.settings', 'rich', 'sqlglot', 'phasegate.bootstrap'}"
    script = f"import sys, phasegate.cli.main; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


DRIVING = {"phasegate.bootstrap", "phasegate.embedded_start", "phasegate.cli.backends.driving"}
"""What opens a home to drive a run."""

TABLES = {"duckdb", "sqlglot"}
"""What reads tables, and the schedule of a source folder."""


@pytest.mark.parametrize(
    ("words", "is_cancelled", "unneeded"),
    [
        (["runs"], False, DRIVING | TABLES),
        (["failures", "r"], False, DRIVING | TABLES),
        (["status", "r"], False, DRIVING),
        (["explain", "r"], False, DRIVING),
        (["status", "r"], True, DRIVING | TABLES),
        (["explain", "r"], True, DRIVING | TABLES),
    ],
    ids=["runs", "failures", "status", "explain", "status of a cancelled run", "explain of a cancelled run"],
)
def test_a_command_that_only_shows_imports_nothing_that_drives_a_run(
    folder: Path, words: list[str], is_cancelled: bool, unneeded: set[str]
) -> None:
    """The schedule is read to tell in what it has changed: of a cancelled run nobody asks that."""
    world = World(folder, dates=1)
    with world.open() as embedded:
        world.begin(embedded)
        if is_cancelled:
            cancel(embedded.state, "r")
    script = f"""
import atexit, sys
from phasegate.cli.main import main
atexit.register(lambda: print(sorted({unneeded} & set(sys.modules))))
sys.argv[1:] = {["--home", str(world.home.root), *words]}
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *shown, imported = done.stdout.splitlines()
    assert (imported, bool(shown)) == ("[]", True), done.stderr
