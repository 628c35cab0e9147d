"""The example environments are what Terraform takes, and say what their comments say."""

import pytest

from tests.conftest import ROOT
from tests.infra.conftest import check, skip_where_something_is_missing

ENVIRONMENTS = ROOT / "infra" / "terraform" / "environments"
EXAMPLES = sorted(file.name for file in ENVIRONMENTS.glob("*.tfvars"))


def test_there_is_one_for_a_small_and_one_for_a_large_project() -> None:
    assert EXAMPLES == ["large.tfvars", "small.tfvars"]
    assert {file.name for file in ENVIRONMENTS.glob("*.tfbackend")} == {"large.gcs.tfbackend", "small.gcs.tfbackend"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_planned(name: str) -> None:
    done = check(ROOT, "terraform", "-filter=tests/example.tftest.hcl", f"-var-file=environments/{name}")
    skip_where_something_is_missing(done)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning: Value for undeclared variable" not in done.stdout
