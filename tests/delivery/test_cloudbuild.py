"""The Cloud Build file is one that Cloud Build takes, and its steps are there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "cloudbuild.yaml"


@pytest.fixture
def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def validated(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.cloudbuild", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_fits_cloud_builds_schema() -> None:
    done = validated(FILE)
    assert done.returncode == 0, done.stdout


def test_a_value_that_cloud_build_does_not_know_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "cloudbuild.yaml").write_text(FILE.read_text().replace("CLOUD_LOGGING_ONLY", "SOMETIMES"))
    assert validated(tmp_path / "cloudbuild.yaml").returncode == 1


def test_steps_stand_in_the_order_of_delivery(document: dict[str, Any]) -> None:
    assert [step["id"] for step in document["steps"]] == ["terraform", "check", "plan", "apply"]
    assert not any("waitFor" in step or "allowFailure" in step for step in document["steps"]), "one after the other"


def test_every_file_and_target_that_a_step_calls_is_there(document: dict[str, Any]) -> None:
    scripts = "\n".join(step["script"] for step in document["steps"])
    called = re.findall(r"infra/delivery/[\w.]+", scripts)
    assert called
    for name in called:
        assert (ROOT / name).is_file(), name
    targets = re.search(r"make (.+)", scripts)
    assert targets is not None
    makefile = (ROOT / "Makefile").read_text()
    for target in targets[1].split():
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_substitution_that_a_script_reads_is_given(document: dict[str, Any]) -> None:
    read = set()
    for path in (ROOT / "infra" / "delivery").glob("*.sh"):
        read |= set(re.findall(r"\$\{?(_[A-Z_]+)", path.read_text()))
    assert read <= document["substitutions"].keys()
    assert document["options"]["automapSubstitutions"] is True, "else scripts see none of them"


def test_delivery_runs_as_an_account_of_its_own_and_not_as_the_projects_default(document: dict[str, Any]) -> None:
    assert "serviceAccounts/phasegate-delivery@" in document["serviceAccount"]
