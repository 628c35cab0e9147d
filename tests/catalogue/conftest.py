"""What runs the rows that need emulators."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from phasegate.adapters.gcp.clients import tasks_client
from phasegate.stack.emulators import CLOUD_TASKS, HOST
from tests.catalogue.deployed import CLOUD_TASKS_REST
from tests.catalogue.rows import Act, Row
from tests.stack.target import TasksServer, cloud_tasks


@pytest.fixture(scope="session")
def cloud_tasks_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TasksServer]:
    """The Cloud Tasks server of the local stack."""
    with cloud_tasks(tmp_path_factory.mktemp("cloud-tasks")) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv(CLOUD_TASKS_REST, f"http://{HOST}:{server.rest_port}")
        patch.setenv(CLOUD_TASKS.variable, CLOUD_TASKS.setting(server.process.port))
        tasks_client.cache_clear()
        yield server
        tasks_client.cache_clear()


@pytest.fixture
def act(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Act:
    """Runs the scenario of a row; skips where an emulator is not installed."""

    def run_scenario(row: Row) -> None:
        for emulator in row.needs:
            request.getfixturevalue(emulator)
        row.scenario(tmp_path, monkeypatch)

    return run_scenario
