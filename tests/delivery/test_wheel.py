"""The wheel: it holds the package under its own name and nothing else, and works where no clone is."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from phasegate import __version__
from tests.conftest import ROOT
from tests.endtoend.test_own_pipeline import FILES, RUN

OF_A_CLONE = ("PHASEGATE_", "PYTHONPATH", "VIRTUAL_ENV")
"""Beginnings of the variables that would lead an installed package back here."""


def call(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program with nothing of this process' environment that could stand in for what the wheel lacks."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OF_A_CLONE)}
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def pip(*words: str | Path, cwd: Path) -> None:
    done = call(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *words, cwd=cwd)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as pip builds it, by the setuptools of the lock, from a copy: a build leaves folders behind."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", built, source, cwd=built)
    (made,) = built.glob("*.whl")
    return made


def tracked() -> list[str]:
    """What a wheel is built from."""
    listed = ("pyproject.toml", "requirements.txt", "requirements-dev.txt", "README.md", "LICENSE")
    package = (ROOT / "shared" / "phasegate").rglob("*")
    return [*listed, *(str(f.relative_to(ROOT)) for f in package if f.is_file() and "__pycache__" not in f.parts)]


def test_nothing_else_is_installed_at_top_level(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"phasegate", *(top for top in tops if top.endswith(".dist-info"))}
    kinds = {Path(name).suffix for name in names if name.startswith("phasegate/")}
    assert {".py", ".j2"} <= kinds


@pytest.fixture(scope="module")
def phasegate(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, from the wheel and the deployed lock in an environment that was empty."""
    folder = tmp_path_factory.mktemp("environment")
    made = call(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    assert made.returncode == 0, made.stderr
    python = folder / "bin" / "python"
    locked = ("--quiet", "--require-hashes", "--no-deps", "-r", ROOT / "requirements.lock")
    done = call(Path(sys.executable).with_name("uv"), "pip", "install", *locked, "--python", python, cwd=folder)
    assert done.returncode == 0, done.stderr
    # What is imported is compiled then: that is a small part.
    pip("--python", python, "install", "--no-compile", "--no-deps", wheel, cwd=folder)
    pip("--python", python, "check", cwd=folder)
    return folder / "bin" / "phasegate"


def test_it_says_what_it_can_do_and_what_a_pipeline_file_holds(phasegate: Path, tmp_path: Path) -> None:
    shown = call(phasegate, "--help", cwd=tmp_path)
    assert (shown.returncode, "explain" in shown.stdout) == (0, True), shown.stderr
    schema = call(phasegate, "schema", cwd=tmp_path)
    assert (schema.returncode, '"properties"' in schema.stdout) == (0, True), schema.stderr


def test_it_runs_a_users_own_pipeline(phasegate: Path, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    made = call(phasegate, "sample", "source", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    done = call(phasegate, "run", *RUN, cwd=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "6 of 6 tasks done" in done.stdout + done.stderr


def test_the_changelog_has_its_version_with_a_line_on_platforms() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    found = re.search(rf"^## {re.escape(__version__)}\n\nPlatforms: .*Python 3\.\d+", text, re.MULTILINE)
    assert found is not None
