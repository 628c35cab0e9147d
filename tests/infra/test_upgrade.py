"""What an earlier version deployed is kept: a plan over its state moves and changes things, and destroys none."""

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.infra.conftest import STAND_IN, copy_tree
from tests.no_skips import lacking

STATE = ROOT / "tests" / "golden" / "8e42da0" / "terraform.tfstate.gz"
"""The state after an apply of 8e42da0 with ``environments/small.tfvars`` and the two groups below, ids made up by the
stand-in for the providers; only resources, no data."""

VARIABLES = ("operators_group=operators@example.com", "viewers_group=viewers@example.com")

TAKEN_BACK = {'google_bigquery_dataset_iam_member.this["worker-nba/nba_reference"]'}
"""Rights that later versions take back on purpose: a worker wrote the dataset that holds nothing but our own tables."""

CONTENT = "google_storage_bucket_object"
"""Its name holds a hash of the content: another content is another object."""


def planned_over_the_earlier_state(tree: Path) -> dict[str, str]:
    """Address -> what a plan does there (``create``, ``update``, ``move``, ``delete``, ``replace``)."""
    tool = os.environ.get("TFCHECK") or (str(STAND_IN) if STAND_IN.exists() else shutil.which("tfcheck"))
    if tool is None or shutil.which("terraform") is None:
        pytest.skip(lacking("terraform", "or the stand-in for its providers; name one with TFCHECK=PATH"))
    versions = tree / "infra" / "terraform" / "versions.tf"
    versions.write_text(versions.read_text().replace('backend "gcs" {}', ""))
    state = tree / "terraform.tfstate"
    state.write_bytes(gzip.decompress(STATE.read_bytes()))
    command = f"plan -json -input=false -refresh=false -lock=false -state={state}"
    variables = [f"-var={each}" for each in VARIABLES]
    done = subprocess.run(
        [tool, "--exec", command, str(versions.parent), "-var-file=environments/small.tfvars", *variables],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, [line for line in lines if line["@level"] == "error"] or done.stderr
    return {
        line["change"]["resource"]["addr"]: line["change"]["action"]
        for line in lines
        if line["type"] == "planned_change"
    }


def destroyed(planned: dict[str, str]) -> list[str]:
    return sorted(
        f"{action} {address}"
        for address, action in planned.items()
        if action in ("delete", "replace") and address not in TAKEN_BACK and not address.startswith(f"{CONTENT}.")
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return copy_tree(tmp_path / "tree")


def test_nothing_that_was_deployed_before_is_destroyed(tree: Path) -> None:
    assert destroyed(planned_over_the_earlier_state(tree)) == []


RENAMED = ('resource "google_monitoring_dashboard" "this"', 'resource "google_monitoring_dashboard" "overview"')
MOVED = """
moved {
  from = google_monitoring_dashboard.this
  to   = google_monitoring_dashboard.overview
}
"""


@pytest.mark.parametrize(
    ("block", "lost"),
    [("", ["delete google_monitoring_dashboard.this"]), (MOVED, [])],
    ids=["without a moved block", "with one"],
)
def test_a_renamed_resource_is_lost_unless_a_block_says_that_it_moved(tree: Path, block: str, lost: list[str]) -> None:
    file = tree / "infra" / "terraform" / "alerts.tf"
    text = file.read_text()
    assert RENAMED[0] in text
    file.write_text(text.replace(*RENAMED) + block)
    assert destroyed(planned_over_the_earlier_state(tree)) == lost
