"""While threads have work, what settles is proved together, up to a second later; idle threads end the wait."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate import bootstrap
from phasegate.adapters.embedded import engine
from phasegate.adapters.embedded.executor import VirtualExecutor
from phasegate.domain.protocol.names import CONDUCTOR_QUEUE
from phasegate.domain.state.board import Board
from phasegate.ports import QueueTask
from tests.world import START, World

CALL = timedelta(milliseconds=20)


def all_at_once(document: dict[str, Any]) -> None:
    """All dates are under way at once, so that there is more work than threads."""
    for phase in document["phases"]:
        phase["limits"] = {}


class Passes:
    """A run on one thread, whose calls take 20 ms each, and when passes of the conductor begin."""

    def __init__(self, folder: Path) -> None:
        self.world = world = World(folder, dates=12, change=all_at_once)
        world.options = replace(
            world.options, executor=lambda execute, _: VirtualExecutor(execute, world.clock, lambda _: CALL, capacity=1)
        )
        self.began = set[datetime]()

    def drive(self, monkeypatch: pytest.MonkeyPatch) -> Board:
        """Drive the run to its rest."""
        control = bootstrap.Services.control

        def noted(services: bootstrap.Services, task: QueueTask) -> None:
            if task.queue == CONDUCTOR_QUEUE:
                self.began.add(self.world.clock.now())
            control(services, task)

        with monkeypatch.context() as patched, self.world.open() as embedded:
            patched.setattr(bootstrap.Services, "control", noted)
            self.world.begin(embedded, phases="fetch..raw")
            return embedded.drive("r")


def test_what_settles_within_a_second_is_proved_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, at_once = Passes(tmp_path / "waiting"), Passes(tmp_path / "at once")
    assert waiting.drive(monkeypatch).status.value == "completed"
    monkeypatch.setattr(engine, "CONTROL_EVERY", timedelta())
    assert at_once.drive(monkeypatch).status.value == "completed"
    assert len(waiting.began) < len(at_once.began) / 2
    assert waiting.world.tables() == at_once.world.tables()
    longer = (waiting.world.clock.now() - START) / (at_once.world.clock.now() - START)
    assert longer < 1.01, "the thread never waited for a pass"
