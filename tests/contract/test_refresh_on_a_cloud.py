"""A refresh over Firestore, with other processes that have kept the plan as it was."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from phasegate.adapters.gcp.clients import firestore_client
from phasegate.adapters.gcp.firestore.state import FirestoreState
from phasegate.bootstrap import Services
from phasegate.domain.messages.tasks import TaskPayload
from phasegate.domain.plan import FIRST
from phasegate.domain.state.run import RunStatus
from phasegate.services.operating.refresh import propose, refresh
from tests.catalogue.cloud import CloudWorld
from tests.world import write_source

pytestmark = pytest.mark.usefixtures("firestore_emulator", "dates_at_once")

A_WHILE = timedelta(minutes=3)


def rescheduled(cloud: CloudWorld, *games: int) -> None:
    """The source and its schedule have so many games on each of the dates; the conductor is asked to take it over."""
    write_source(cloud.world.source, {day: n for day, n in zip(cloud.days, games, strict=True) if n})
    clock = cloud.world.clock
    refresh(cloud.state, clock, propose(cloud.state, clock, "r", lambda _run, _plan: cloud.world.calendar()))
    cloud.backend.wake_conductor("r")


def other_process(cloud: CloudWorld) -> Services:
    """The services of a process that has read the first plan."""
    state = FirestoreState(firestore_client(cloud.settings))
    state.index("r", FIRST)
    return Services(replace(cloud.backend, state=state))


def test_a_finished_run_takes_over_what_the_schedule_says_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with CloudWorld(tmp_path, monkeypatch, dates=3) as cloud:
        cloud.begin()
        assert cloud.drive(A_WHILE).status is RunStatus.COMPLETED
        rescheduled(cloud, 2, 3, 2)
        assert cloud.drive(A_WHILE).status is RunStatus.COMPLETED
        rows = cloud.warehouse.query("SELECT d, COUNT(*) AS n FROM `raw.a` GROUP BY d ORDER BY d")
        assert [row["n"] for row in rows] == [4, 6, 4]
        assert cloud.state.index("r").calendar.by_day[cloud.days[1]].numbers == {"games": 3}


def test_a_process_that_has_kept_the_first_plan_starts_nothing_on_a_date_that_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CloudWorld(tmp_path, monkeypatch, dates=2) as cloud:
        cloud.begin()
        lost = cloud.days[1]
        cloud.drive(A_WHILE, stop=lambda: bool(cloud.state.dates("r", [lost])[lost].cells))
        other = other_process(cloud)
        rescheduled(cloud, 2, 0)
        cloud.services.conductor.conduct("r")
        assert other.reconciler.reconcile_days("r", [lost]).due == []
        waiting = TaskPayload(
            run_id="r", date=lost, phase="fetch", processor="a", attempt=1, generation=1, inputs={}, epoch=1
        )
        assert other.runner.claim([waiting]) == [None], "what waits in a queue calls nobody"
        found = cloud.drive(timedelta(minutes=30))
        assert found.status is RunStatus.COMPLETED
        assert {row["d"] for row in cloud.warehouse.query("SELECT d FROM `raw.a`")} == {cloud.days[0]}
