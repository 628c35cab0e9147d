"""A worker that is refused to the runner for a while: the rights of a new deployment need minutes to spread."""

from datetime import timedelta
from pathlib import Path

import pytest

from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.state.run import RunStatus
from tests.world import World, drive


def attempts(world: World) -> list[tuple[int | None, timedelta]]:
    """Of the task that is refused: the status of each attempt, and when it began after the one before had ended."""
    with world.open() as home:
        found = [a.reported for a in home.state.dates("r", world.days[:1])[world.days[0]].tasks["raw", "a"]]
    reports = [report for report in found if report is not None]
    before = [reports[0].started_at, *(report.finished_at for report in reports)]
    return [(r.http_status, r.started_at - at) for r, at in zip(reports, before, strict=False)]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_that_passes_within_five_minutes_fails_nothing(tmp_path: Path, status: int) -> None:
    world = World(tmp_path, dates=2)
    world.misbehave(raw__a__0=[f"status:{status}", f"status:{status}"])
    _, found = drive(world)
    assert found.status is RunStatus.COMPLETED
    (_, first), (_, second), (_, third) = attempts(world)
    assert first == timedelta(0)
    assert timedelta(minutes=1) <= second < timedelta(minutes=1, seconds=5)
    assert timedelta(minutes=4) <= third < timedelta(minutes=4, seconds=5)
    assert [each for each, _ in attempts(world)] == [status, status, None]


def test_a_refusal_that_lasts_ends_the_task_as_a_bug_with_the_status(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    world.misbehave(raw__a__0=["status:403"] * 9)
    _, found = drive(world)
    assert found.status is RunStatus.COMPLETED_WITH_FAILURES
    (failed,) = found.failures
    assert (failed.attempt, failed.failure.error_class) == (3, ErrorClass.BUG)
    assert failed.failure.message == "HTTP 403: no right to ask this service"


def test_refusals_cost_none_of_the_phases_own_tries(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    world.misbehave(raw__a__0=["status:403", "fail:transient", "status:403", "fail:transient"])
    _, found = drive(world)
    assert found.status is RunStatus.COMPLETED
