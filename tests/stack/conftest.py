"""Stacks for all tests that leave them as they were (``tests.stack.running`` makes others), of the reference pipeline
and of the small world; one Cloud Tasks server and one target, in which every test has a queue and a path of its own.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from google.cloud.tasks_v2 import CloudTasksClient

from tests.commands import also_import
from tests.conftest import FULL, NBA_PIPELINE
from tests.stack.line import Line, name_of
from tests.stack.running import RunningStack, running_stack
from tests.stack.target import Target, TasksServer, cloud_tasks, serving
from tests.stack.world_service import WorldOnTheStack, world_on_the_stack

BOOTSTRAP = timedelta(days=7)


@pytest.fixture(scope="session", autouse=True)
def _commands_for_a_deployment() -> None:
    also_import("tests.stack.warm")


@pytest.fixture(scope="session")
def games(source_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The games of few dates: the season's first until each team has played, and two after the bootstrap days.

    All of them, and so the whole example of ``stack up``, keep BigQuery's stand-in busy for minutes.
    """
    if FULL:
        return source_folder
    folder = tmp_path_factory.mktemp("games")
    schedule = source_folder / "schedule.parquet"
    played = duckdb.sql(
        f"""SELECT game_date, list_distinct(flatten(list([home_team, away_team]))) AS teams
        FROM '{schedule}' WHERE season = '2023-24' GROUP BY 1 ORDER BY 1"""
    ).fetchall()
    everybody = {team for _, teams in played for team in teams}
    chosen, waiting = [], set(everybody)
    for day, teams in played:
        if waiting:
            chosen.append(day)
            waiting -= set(teams)
    assert chosen[-1] < played[0][0] + BOOTSTRAP
    chosen += [day for day, _ in played if day >= played[0][0] + BOOTSTRAP][:2]
    listed = ", ".join(f"'{day}'" for day in chosen)
    for file in source_folder.glob("*.parquet"):
        duckdb.sql(f"COPY (FROM '{file}' WHERE game_date IN ({listed})) TO '{folder / file.name}'")
    return folder


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, games: Path) -> Iterator[RunningStack]:
    """A stack of the NBA pipeline. A test that kills a process brings it back with ``up``."""
    with running_stack(tmp_path_factory.mktemp("stack"), pipeline=NBA_PIPELINE, source=games) as made:
        yield made


@pytest.fixture(scope="session")
def world_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorldOnTheStack]:
    """The small world on a stack; what fails in it is not tried again. A test mends what it damages."""

    def at_once(document: dict[str, Any]) -> None:
        for phase in document["phases"]:
            phase["failure"]["retries"] = 0

    with world_on_the_stack(tmp_path_factory.mktemp("world-stack"), change=at_once) as there:
        yield there


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
