"""The Terraform configuration as tests see it: the tree it reads, ``infra/check`` over it, and what it would make."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.no_skips import lacking

STAND_IN = ROOT.parent / "shared" / "tools" / "terraform-offline" / "tfcheck"
MISSING = 2
DEPLOYED = "-filter=tests/deployed.tftest.hcl"
"""The one file of Terraform's tests that says what must hold of every deployment."""

Done = subprocess.CompletedProcess[str]


def copy_tree(to: Path) -> Path:
    """What the configuration reads, to be changed at will; of the code only what it looks into, for speed."""
    for folder in ("infra", "pipelines"):
        shutil.copytree(
            ROOT / folder, to / folder, ignore=shutil.ignore_patterns(".terraform*", ".build", "__pycache__")
        )
    for file in ("requirements.txt", "shared/phasegate/adapters/gcp/settings.py", "pipelines/nba/nba_worker/main.py"):
        (to / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, to / file)
    return to


def check(tree: Path, *words: str) -> Done:
    """``infra/check`` of a tree."""
    environment = dict(os.environ)
    if "TFCHECK" not in environment and STAND_IN.exists():
        environment["TFCHECK"] = str(STAND_IN)
    # Where the providers come from the registry, a copy of the tree does not fetch them anew.
    environment.setdefault("TF_PLUGIN_CACHE_DIR", str(ROOT / ".venv" / "terraform"))
    # Terraform reads every provider's schema anew each time: a third of that is the collection of its garbage.
    environment.setdefault("GOGC", "400")
    return subprocess.run(
        [str(tree / "infra" / "check"), *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=600,
    )


def skip_where_something_is_missing(done: Done) -> None:
    """Skip the test when the check says that Terraform, or where it takes its providers from, is not here."""
    if done.returncode == MISSING:
        pytest.skip(lacking("terraform", done.stderr.strip().splitlines()[-1]))


class Plan:
    """What one tree would make. ``after``: address -> arguments, as far as they are known before anything is there."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.after: dict[str, dict[str, Any]] = {
            change["address"]: change["change"]["after"] for change in document["resource_changes"]
        }
        self.outputs: dict[str, Any] = {
            name: change["after"] for name, change in document["output_changes"].items() if "after" in change
        }

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        """Key in ``for_each`` (or the whole address) -> arguments, of all resources of a type."""
        found = {}
        for address, after in self.after.items():
            if address.startswith(f"{kind}."):
                name, _, key = address.partition("[")
                found[json.loads(key[:-1]) if key.startswith('"') else name] = after
        return found


def plan_of(tree: Path) -> Plan:
    """The plan that Terraform's own test makes, which must pass; skips where Terraform or its providers are missing."""
    done = check(tree, "terraform", DEPLOYED, "-json", "-verbose")
    skip_where_something_is_missing(done)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    plans = [line["test_plan"] for line in lines if line["type"] == "test_plan"]
    said = "\n".join(line["@message"] for line in lines if line.get("@level") == "error")
    assert done.returncode == 0 and len(plans) == 1, f"{said}\n{done.stderr}{'' if lines else done.stdout}"
    return Plan(plans[0])


@pytest.fixture(scope="session")
def plan() -> Plan:
    """What the project's own configuration would make."""
    return plan_of(ROOT)


@pytest.fixture
def plan_of_changed(tmp_path: Path) -> Callable[[Callable[[Path], None]], Plan]:
    """What it would make after a change of the tree."""

    def changed(change: Callable[[Path], None]) -> Plan:
        tree = copy_tree(tmp_path / "tree")
        change(tree)
        return plan_of(tree)

    return changed
