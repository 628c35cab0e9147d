"""What a user's own services said to commit 8e42da0, and what it asked of them."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest

from phasegate import entrypoints, telemetry
from phasegate.adapters.embedded.tasks import SqliteTasks
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.bootstrap import Embedded
from phasegate.deployment import Deployment
from phasegate.domain.protocol.worker import NEWER_FIELDS
from phasegate.domain.state.run import RunStatus
from tests.fakes.in_process import _CONTROL, PIPELINE, UsersWorld
from tests.fakes.users_services import Oddities
from tests.functions.conftest import Sound
from tests.golden.laid import USERS_DAYS, Functions, exchanges_kept, golden, unpack
from tests.world import World

OBSERVED = golden("users/observed.json")


class Week(UsersWorld):
    """The user's world as it was left, waiting for what the raw processors say. ``calls``: the functions over it."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(unpack("users/folder", folder), USERS_DAYS, Oddities())
        self.clock.move_to(datetime.fromisoformat(OBSERVED["at"]))
        queues = {**self.pipeline.queues, **_CONTROL}
        backend = self.services(SqliteTasks(self.database, self.clock, queues, "r")).backend
        here = Deployment(CloudSettings(project="demo", pipeline=PIPELINE))
        here.__dict__.update(backend=backend, pipeline=self.pipeline)
        patch.setattr(telemetry, "configure", lambda service: None)
        patch.setattr(entrypoints, "deployment", lambda: here)
        self.calls = Functions(cast(World, self), cast(Embedded, None), backend, Sound())

    def say_all(self, times: int = 1) -> set[int]:
        """Deliver all that was said; the statuses of the answers."""
        return {self.calls.deliver(message)[0] for message in OBSERVED["messages"] for _ in range(times)}


@pytest.fixture
def week(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Week]:
    """The world, just after the scrapers."""
    world = Week(tmp_path, monkeypatch)
    yield world
    world.close()


def test_what_the_raw_processors_said_is_counted_once_and_the_run_goes_on_to_its_end(week: Week) -> None:
    assert week.say_all(times=2) == {200}
    report = week.drive()
    assert (report.status, report.tasks["succeeded"]) == (RunStatus.COMPLETED, 2 * 7)
    facts = week.state.dates("r", USERS_DAYS)
    assert {len(facts[day].tasks["phase_2_raw", "nbac_team_boxscore"]) for day in USERS_DAYS} == {1}


def test_a_stranger_is_set_aside_and_the_live_systems_traffic_is_not(week: Week) -> None:
    week.say_all()
    (record,) = week.state.quarantined("r")
    assert "unknown processor 'stranger' of phase_2_raw" in record.reason


def test_services_are_asked_what_they_were_asked_and_their_answers_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = exchanges_kept(tmp_path, monkeypatch)
    for exchange in asked:
        # The adapter leaves out what joined the protocol later, for services whose /health does not name it.
        for field in NEWER_FIELDS:
            exchange["request"].pop(field, None)
    drawn = sorted(exchange["request"]["fence"] for exchange in asked)
    for exchange in asked:
        # That version drew fences from 1 on, in the same order.
        exchange["request"]["fence"] = drawn.index(exchange["request"]["fence"]) + 1
    assert asked == golden("users/exchanges.json")
