"""The source archive: everything a function loads is in it, and it starts as Google's buildpack starts it."""

import os
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from phasegate.adapters.gcp.layout import FUNCTIONS
from tests.conftest import ROOT

STARTS = """
import sys
from functions_framework import create_app
answer = create_app(sys.argv[1]).test_client().get("/health")
assert answer.status_code == 200 and answer.json["service"] == sys.argv[1], answer.data
import os, phasegate
assert phasegate.__file__.startswith(os.environ["PYTHONPATH"] + "/phasegate/") and "tests" not in sys.modules
"""


PACKAGES = ("functions", "shared/phasegate")


def archived(file: str) -> bool:
    """Whether ``source.tf`` puts a file of the repository into the archive."""
    packages = any(
        fnmatch(file, f"{folder}/*.{ending}") for folder in PACKAGES for ending in ("py", "j2", "sql", "txt")
    )
    pipelines = any(fnmatch(file, f"pipelines/*.{ending}") for ending in ("py", "sql", "json"))
    return (packages or pipelines) and "__pycache__" not in file and not file.startswith("shared/phasegate/stack/")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive's content."""
    folder = tmp_path_factory.mktemp("workspace")
    for file in (each for top in (*PACKAGES, "pipelines") for each in (ROOT / top).rglob("*")):
        name = str(file.relative_to(ROOT))
        if file.is_file() and (archived(name) or name.endswith("pipeline.yaml")):
            inside = folder / name.removeprefix("shared/")
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, inside)
    (folder / "main.py").write_text((ROOT / "infra" / "source" / "main.py").read_text())
    return folder


def test_the_archive_takes_what_terraform_takes() -> None:
    text = (ROOT / "infra" / "terraform" / "source.tf").read_text()
    assert '"{functions,shared}/**/*.{py,j2,sql,txt}") : trimprefix(file, "shared/")' in text
    assert '"**/*.{py,sql,json}"' in text and '!startswith(file, "shared/phasegate/stack/")' in text


def test_no_file_that_the_packages_need_is_left_out() -> None:
    there = {f.suffix for folder in PACKAGES for f in (ROOT / folder).rglob("*") if f.is_file()}
    assert there - {".pyc"} <= {".py", ".j2", ".sql", ".sh", ".txt", ".lock"}, "a new kind of file: is it in source.tf?"


def start(name: str, folder: Path, **more: str) -> None:
    """Start a target as the buildpack does, with the archive alone on the path, and ask for its health."""
    environment = {
        **{key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "FUNCTION_TARGET")},
        "FUNCTION_TARGET": name,
        "PHASEGATE_PROJECT": "demo-project",
        "PYTHONPATH": str(folder),
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-c", STARTS, name], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [function.name for function in FUNCTIONS])
def test_every_function_starts_from_the_archive_and_says_who_it_is(name: str, unpacked: Path) -> None:
    start(name, unpacked)


def test_the_worker_starts_from_the_archive_with_the_modules_beside_it(unpacked: Path, source_folder: Path) -> None:
    start(
        "nba",
        unpacked,
        PHASEGATE_WORKER_FILE="pipelines/nba/nba_worker/main.py",
        PHASEGATE_NBA_SOURCE=str(source_folder),
        BIGQUERY_EMULATOR_HOST="127.0.0.1:9",
        STORAGE_EMULATOR_HOST="http://127.0.0.1:9",
    )
