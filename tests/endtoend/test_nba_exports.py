"""The league goes to its exports: each date has its files, and the index lists them as they are, whoever was killed."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands import type_command, without_settings
from tests.conftest import NBA_PIPELINE, ROOT, as_json, run_command

SELECTED = ("--from", "2023-10-24", "--to", "2023-11-02")
DAYS = (*(f"2023-10-{day}" for day in range(24, 32)), "2023-11-01", "2023-11-02")
AFTER_BOOTSTRAP = "2023-10-31"
"""From here on there are predictions; the learned system has too few games on all of these dates."""
KINDS = ("players", "results", "systems")


@pytest.fixture(scope="module")
def exported(source_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which ten dates went through all phases."""
    home = tmp_path_factory.mktemp("exported") / "home"
    words = ("run", "--pipeline", NBA_PIPELINE, "--source", source_folder, *SELECTED, "--profile", "full")
    done = run_command(*words, "--run-id", "all", "--json", home=home)
    assert done.returncode == 0, done.stderr + done.stdout
    assert (as_json(done)["status"], as_json(done)["report"]["agrees"]) == ("completed", True)
    return home


@pytest.fixture
def unexported(exported: Path, source_folder: Path, tmp_path: Path) -> tuple[Path, list[str]]:
    """A copy of this home without its exports, and the command that makes them."""
    home = tmp_path / "home"
    shutil.copytree(exported, home)
    shutil.rmtree(home / "objects" / "v1")
    words = ("run", "--pipeline", NBA_PIPELINE, "--source", source_folder, *SELECTED, "--phases", "6..6")
    return home, [str(word) for word in ("--home", home, *words, "--run-id", "again")]


def files_of(home: Path) -> dict[str, bytes]:
    """All exports, and the index, by name."""
    objects = home / "objects"
    return {path.relative_to(objects).as_posix(): path.read_bytes() for path in (objects / "v1").rglob("*.json")}


def listed_in(files: dict[str, bytes]) -> dict[str, str]:
    """What the index lists: the hash of each file, by name."""
    exports: dict[str, Any] = json.loads(files["v1/index.json"])["exports"]
    return {entry["path"]: entry["sha256"] for of_kind in exports.values() for entry in of_kind.values()}


def test_each_date_has_its_exports_and_the_index_lists_them(exported: Path) -> None:
    files = files_of(exported)
    names = {f"v1/{kind}/{day}.json" for kind in KINDS for day in DAYS}
    assert files.keys() == {*names, "v1/index.json"}
    assert listed_in(files) == {name: hashlib.sha256(files[name]).hexdigest() for name in names}
    for day in DAYS:
        predicted = day >= AFTER_BOOTSTRAP
        results, players = (json.loads(files[f"v1/{kind}/{day}.json"]) for kind in ("results", "players"))
        assert bool(results["games"]) and bool(results["players"]) and bool(results["predictions"]) == predicted, day
        assert all((player["prediction"] is not None) == predicted for player in players["players"]), day
        systems = {row["system_id"] for row in json.loads(files[f"v1/systems/{day}.json"])["systems"]}
        assert ("ensemble_v1" in systems) == predicted, day


@pytest.mark.parametrize("number", [1, 13, 25])
def test_after_a_kill_the_same_command_leaves_files_and_index_as_without_it(
    exported: Path, unexported: tuple[Path, list[str]], number: int
) -> None:
    home, words = unexported
    process = subprocess.Popen(
        [sys.executable, "-m", "phasegate.cli.main", *words],
        cwd=ROOT,
        env=without_settings(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and len(files_of(home)) < number:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = type_command(*words)
    assert again.returncode == 0, again.stderr + again.stdout
    assert files_of(home) == files_of(exported)


def test_an_export_folder_without_permission_fails_once_and_a_retry_after_it_is_mended_publishes(
    exported: Path, unexported: tuple[Path, list[str]]
) -> None:
    home, words = unexported
    folder = home / "objects" / "v1"
    folder.mkdir(mode=0o555)
    refused = type_command(*words, "--json", as_root=False)
    assert refused.returncode == 1, refused.stderr + refused.stdout
    tasks = as_json(refused)["tasks"]
    assert (tasks["failed"], tasks["succeeded"]) == (len(KINDS) * len(DAYS), 0)
    said = run_command("explain", "again", home=home).stdout
    assert f"v1/results/{DAYS[0]}.json may not be read or written: Permission denied. Give the worker the right" in said
    folder.chmod(0o755)
    mended = run_command("retry", "again", home=home)
    assert mended.returncode == 0, mended.stderr + mended.stdout
    assert files_of(home) == files_of(exported)
