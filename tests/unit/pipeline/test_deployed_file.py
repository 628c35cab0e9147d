"""A deployment says which pipeline it serves; nobody guesses."""

from pathlib import Path

import pytest

from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.deployment import Deployment
from phasegate.domain.errors import InputError


def test_a_deployment_without_a_pipeline_file_says_what_to_set() -> None:
    settings = CloudSettings.from_environment({"PHASEGATE_PROJECT": "demo"})
    with pytest.raises(
        InputError, match=r"PHASEGATE_PIPELINE: is not set; give the path of the deployed pipeline file"
    ):
        _ = Deployment(settings).pipeline


def test_a_deployment_serves_the_file_that_is_set(tmp_path: Path) -> None:
    settings = CloudSettings.from_environment({"PHASEGATE_PROJECT": "demo", "PHASEGATE_PIPELINE": str(tmp_path / "x")})
    assert Deployment(settings).pipeline_file == tmp_path / "x"
