"""What cannot be asked never passes: an output whose table has changed since it was adopted."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from phasegate.domain.state.run import RunStatus
from tests.world import START, World


def without_checks(document: dict[str, Any]) -> None:
    """Nothing but the proof looks at ``raw``."""
    for processor in document["phases"][1]["processors"]:
        processor["checks"] = []


def may_be_empty(document: dict[str, Any]) -> None:
    """``raw.a`` need hold nothing, so that its checks apply only where there are rows."""
    document["phases"][1]["processors"][0]["may_be_empty"] = "the source is thin"


@pytest.mark.parametrize("change", [without_checks, may_be_empty])
def test_an_adopted_output_that_cannot_be_asked_any_more_blocks(tmp_path: Path, change: Any) -> None:
    world = World(tmp_path, dates=2, change=change)
    assert world.run().status is RunStatus.COMPLETED
    with world.open() as embedded:
        world.begin(embedded, "again")
    with duckdb.connect(str(world.home.warehouse)) as connection:
        connection.execute("ALTER TABLE raw.a RENAME COLUMN d TO day")
    with world.open() as embedded:
        board = embedded.drive("again", stop=lambda: world.clock.now() > START + timedelta(hours=1))
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert board.groups["raw"].decode() == "bb"
    assert all("a: the output cannot be asked: " in str(board.bad[day]["raw/a"]) for day in world.days)
