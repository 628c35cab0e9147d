"""A run that commit e9e2529 left behind with an open circuit breaker goes on, and its signature is understood."""

from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.errors import InputError
from phasegate.domain.state.run import RunStatus
from phasegate.domain.state.unsound import Blocked
from phasegate.report.explain import Explanation, explain
from phasegate.services.operating import operators
from tests.golden.laid import DATA, unpack
from tests.world import World

FORMER = "bug:left:Traceback (most recent call last):"
"""What that commit printed in the command that lets the circuit breaker go."""


def change(document: dict[str, Any]) -> None:
    """The pipeline as the run was begun with it."""
    document["phases"][2]["failure"]["circuit_breaker"] = 3
    document["phases"][2]["limits"] = {"active_dates": 2}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The world of the run, whose worker is mended by now."""
    unpack("braked", tmp_path, DATA.parent / "e9e2529")
    return World(tmp_path, change=change)


def retry(world: World, **which: str) -> RunStatus:
    """Ask for failed work again, and go on to the end."""
    asked: dict[str, Any] = {"dates": (), "phase": None, "processor": None, "signature": None, "why": ""}
    with world.open() as embedded:
        operators.retry(embedded.state, world.clock, "r", **{**asked, **which})
        return embedded.drive("r").status


def explained(world: World) -> Explanation:
    """Why the run is not done."""
    with world.open() as embedded:
        return explain(embedded.state, "r", None, None)


def test_the_command_that_was_printed_runs_what_failed_and_all_that_waited(world: World) -> None:
    assert retry(world, signature=FORMER) is RunStatus.COMPLETED_WITH_FAILURES
    (root,) = explained(world).roots
    assert (root.day, root.processor, root.kind) == (world.days[0], "b", "blocked")


def test_explain_prints_that_command_until_something_of_the_processor_is_known_anew(world: World) -> None:
    details = [root.detail for root in explained(world).roots if root.processor == "left"]
    assert "4 dates failed alike" in details[0]
    assert any(root.remedy.endswith(f"--signature '{FORMER}'") for root in explained(world).roots)


def test_what_a_check_blocked_is_retried_although_its_name_was_not_kept(world: World) -> None:
    with world.open() as embedded:
        board, _ = embedded.state.board("r")
    assert board.bad[world.days[0]]["raw/b"] == Blocked("b: 3 of 4 rows")
    data = world.data()
    data["b"][str(world.days[0])].append({"d": str(world.days[0]), "k": "T3", "v": 3})
    world.rewrite(data)
    assert retry(world) is RunStatus.COMPLETED


def test_a_signature_of_neither_version_is_refused(world: World) -> None:
    with pytest.raises(InputError, match="nothing failed or blocked matches"):
        retry(world, signature="bug:left:Traceback")
