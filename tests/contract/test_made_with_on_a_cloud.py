"""What an answer says that its rows were made with goes through event, listener and Firestore to the record."""

from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.state.run import RunStatus
from phasegate.services.reading.prover import Prover
from phasegate.services.starting.environment import CloudEnvironment
from phasegate.services.starting.planner import PlanMade, make_plan
from tests.catalogue.cloud import CloudWorld
from tests.simulation.test_made_with import build, say

pytestmark = pytest.mark.usefixtures("firestore_emulator")

DATES = 3


def planned(cloud: CloudWorld) -> PlanMade:
    """What a start would do that asks the worker as the starter does."""
    environment = CloudEnvironment(cloud.backend, Mock(), Mock())
    return make_plan(
        cloud.world.pipeline,
        cloud.world.calendar(),
        Selection(seasons=("2023-24",)),
        reprocess="missing",
        prover=Prover(cloud.warehouse, cloud.objects),
        ask_workers=environment.ask_workers,
    )


def test_another_word_of_the_worker_makes_outdated_what_the_one_before_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.catalogue.cloud.build", build)
    with CloudWorld(tmp_path, monkeypatch, dates=DATES) as cloud:
        say(cloud.world, left="v*2", ahead="a", **{f"left__{cloud.days[1]}": "2*v*2"})
        cloud.begin()
        assert cloud.drive(timedelta(hours=1)).status is RunStatus.COMPLETED
        facts = cloud.state.dates("r", cloud.days)
        kept = [facts[day].tasks["shape", "left"][-1].reported for day in cloud.days]
        assert [each.made_with for each in kept if each] == ["v*2", "2*v*2", "v*2"]
        sent = [text for _, text in cloud.publisher.published if '"processor":"left"' in text]
        assert all('"protocol_minor":1' in text for text in sent) and len(sent) == DATES
        unsaid = [text for _, text in cloud.publisher.published if '"processor":"right"' in text]
        assert not any("made_with" in text or "protocol_minor" in text for text in unsaid) and len(unsaid) == DATES
        say(cloud.world, left="2*v*2", ahead="a")
        outdated = planned(cloud).outdated
        assert {ref: list(days) for ref, days in outdated.items()} == {"shape/left": [cloud.days[0], cloud.days[2]]}
