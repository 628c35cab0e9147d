"""What an answer says that its rows were made with goes through event, listener and Firestore to the record."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.state.run import RunStatus
from phasegate.services.reading.prover import Prover
from phasegate.services.starting.environment import CloudEnvironment
from phasegate.services.starting.planner import PlanMade, make_plan
from tests.catalogue.cloud import CloudWorld
from tests.simulation.test_made_with import build, say

pytestmark = pytest.mark.usefixtures("firestore_emulator", "dates_at_once")

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


def sent(cloud: CloudWorld, processor: str) -> list[list[dict[str, Any]]]:
    """What each message about a processor said: a completion for each date of its call."""
    messages = [json.loads(text) for _, text in cloud.publisher.published]
    told = [message.get("completions", [message]) for message in messages]
    return [completions for completions in told if completions[0]["processor"] == processor]


def test_another_word_of_the_worker_makes_outdated_what_the_one_before_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dates_at_once: int
) -> None:
    monkeypatch.setattr("tests.catalogue.cloud.build", build)
    with CloudWorld(tmp_path, monkeypatch, dates=DATES) as cloud:
        say(cloud.world, left="v*2", ahead="a", **{f"left__{cloud.days[1]}": "2*v*2"})
        cloud.begin()
        assert cloud.drive(timedelta(hours=1)).status is RunStatus.COMPLETED
        facts = cloud.state.dates("r", cloud.days)
        kept = [facts[day].tasks["shape", "left"][-1].reported for day in cloud.days]
        assert [each.made_with for each in kept if each] == ["v*2", "2*v*2", "v*2"]
        left, right = sent(cloud, "left"), sent(cloud, "right")
        assert [len(message) for message in (*left, *right)] == ([1] * 2 * DATES if dates_at_once == 1 else [DATES] * 2)
        assert all(each["protocol_minor"] == 1 for message in left for each in message)
        assert not any({"made_with", "protocol_minor"} & each.keys() for message in right for each in message)
        say(cloud.world, left="2*v*2", ahead="a")
        outdated = planned(cloud).outdated
        assert {ref: list(days) for ref, days in outdated.items()} == {"shape/left": [cloud.days[0], cloud.days[2]]}
