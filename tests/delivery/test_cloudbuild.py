"""The Cloud Build file is one that Cloud Build takes, and its steps are there."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE, CHECK = ROOT / "cloudbuild.yaml", ROOT / "cloudbuild-check.yaml"


@pytest.fixture
def document() -> dict[str, Any]:
    """The delivery."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


@pytest.fixture
def check() -> dict[str, Any]:
    """The check."""
    found: dict[str, Any] = yaml.safe_load(CHECK.read_text())
    return found


def validated(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.cloudbuild", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("file", [FILE, CHECK], ids=["delivery", "check"])
def test_it_fits_cloud_builds_schema(file: Path) -> None:
    done = validated(file)
    assert done.returncode == 0, done.stdout


def test_a_value_that_cloud_build_does_not_know_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "cloudbuild.yaml").write_text(FILE.read_text().replace("CLOUD_LOGGING_ONLY", "SOMETIMES"))
    assert validated(tmp_path / "cloudbuild.yaml").returncode == 1


def test_steps_stand_in_the_order_of_delivery(document: dict[str, Any]) -> None:
    assert [step["id"] for step in document["steps"]] == ["terraform", "plan", "apply"]
    assert not any("waitFor" in step or "allowFailure" in step for step in document["steps"]), "one after the other"


def test_every_file_and_target_that_a_step_calls_is_there(document: dict[str, Any], check: dict[str, Any]) -> None:
    scripts = "\n".join(step["script"] for build in (document, check) for step in build["steps"])
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


def test_the_check_runs_as_an_account_that_may_do_nothing_and_delivery_installs_nothing_for_development(
    document: dict[str, Any], check: dict[str, Any]
) -> None:
    assert "serviceAccounts/phasegate-check@" in check["serviceAccount"]
    assert check["tags"] == ["phasegate-check"]
    scripts = [step["script"] for step in document["steps"]]
    scripts += [path.read_text() for path in (ROOT / "infra" / "delivery").glob("*.sh")]
    assert not [
        line for text in scripts for line in text.splitlines() if re.search(r"(^|&& )\s*(make|npm|npx)\s+[a-z]", line)
    ]
    installing = [line for text in scripts for line in text.replace("\\\n", " ").splitlines() if "pip install" in line]
    assert installing
    assert all("--require-hashes --no-deps --only-binary :all:" in line for line in installing)


def test_what_node_installs_is_locked_by_hash_and_runs_no_script() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert not re.search(r"\bnpm (install|i|exec)\b|\bnpx\b", makefile)
    assert all("--ignore-scripts" in line for line in makefile.splitlines() if "npm ci" in line)
    lock = json.loads((ROOT / "tests" / "report" / "axe" / "package-lock.json").read_text())
    assert all(each["integrity"].startswith("sha512-") for name, each in lock["packages"].items() if name)


def test_the_image_of_every_step_can_be_given_by_its_digest(document: dict[str, Any], check: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    for build in (document, check):
        for step in build["steps"]:
            name = re.fullmatch(r"\$\{(_[A-Z]+)\}", step["name"])
            assert name is not None and name[1] in build["substitutions"], step["name"]
            assert re.search(rf"--substitutions .*{name[1]}=(\$SDK|\S+@sha256:)", page), name[1]
