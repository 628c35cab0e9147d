"""One running stack for all tests that only use it (``tests.stack.running`` makes others); one Cloud Tasks server and
one target, in which every test has a queue and a path of its own.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud.tasks_v2 import CloudTasksClient

from tests.stack.line import Line, name_of
from tests.stack.running import RunningStack, running_stack
from tests.stack.target import Target, TasksServer, cloud_tasks, serving


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, source_folder: Path) -> Iterator[RunningStack]:
    """A stack of the NBA pipeline. A test that kills a process brings it back with ``up``."""
    with running_stack(tmp_path_factory.mktemp("stack"), source=source_folder) as made:
        yield made


@pytest.fixture(scope="session")
def cloud_tasks_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TasksServer]:
    """The server of the local stack."""
    with cloud_tasks(tmp_path_factory.mktemp("cloud-tasks")) as server:
        yield server


@pytest.fixture(scope="session")
def client(cloud_tasks_server: TasksServer) -> Iterator[CloudTasksClient]:
    """Google's own client of that server."""
    with cloud_tasks_server.client() as made:
        yield made


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """Where tasks are delivered."""
    with serving() as made:
        yield made


@pytest.fixture
def line(client: CloudTasksClient, target: Target, request: pytest.FixtureRequest) -> Line:
    """A queue for the test."""
    return Line(client, target, name_of(request))
