"""A phase behind an approval waits until a person says go."""

from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.errors import InputError
from phasegate.domain.state.run import RunStatus
from phasegate.report.explain import explain
from phasegate.report.explanation import explanation_text
from phasegate.report.summary import next_command
from phasegate.services.operating.decisions import approve
from phasegate.services.operating.operators import pause, resume
from phasegate.services.reading.progress import progress_document
from tests.world import World


def approved(document: dict[str, Any]) -> None:
    """A person lets ``final`` go."""
    document["phases"][3]["gates"].append({"check": "approval"})


def let_go(world: World, **more: Any) -> None:
    """The approval."""
    with world.open() as embedded:
        approve(embedded.state, world.clock, "r", **({"phase": "final", "by": "ann", "why": "looked at it"} | more))


def test_the_run_waits_for_a_person_when_nothing_else_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, dates=3, change=approved)
    board = world.run()
    assert board.status is RunStatus.WAITING and board.status.exit_status == 3
    assert {name: strip.decode() for name, strip in board.groups.items() if name != "final"} == {
        "fetch": "ppp", "raw": "ppp", "shape.1": "ppp", "shape.2": "ppp",
    }  # fmt: skip
    assert board.groups["final"].decode() == "..."
    found = world.report()
    assert (found.status, found.by_people.awaited, next_command(found, "")) == (
        RunStatus.WAITING,
        ("final",),
        "phasegate approve r final",
    )


def test_explain_names_the_command(tmp_path: Path) -> None:
    world = World(tmp_path, dates=3, change=approved)
    world.run()
    with world.open() as embedded:
        whole, cell = (
            explanation_text(explain(embedded.state, "r", day, phase))
            for day, phase in ((None, None), (world.days[0], "final"))
        )
    assert "final is waiting for a person:" in whole and "-> phasegate approve r final" in whole
    assert "waits for approval: 2024-01-01 final (a person says go: phasegate approve r final)" in cell


def test_it_goes_on_to_the_end_once_a_person_says_go(tmp_path: Path) -> None:
    world = World(tmp_path, dates=3, change=approved)
    world.run()
    let_go(world)
    assert world.run().status is RunStatus.COMPLETED
    document: Any = progress_document(world.report())
    assert [(a["phase"], a["by"], a["why"]) for a in document["approvals"]] == [("final", "ann", "looked at it")]
    assert document["waits_for_approval"] == []


def test_an_approval_given_early_is_no_stop(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2, change=approved)
    with world.open() as embedded:
        world.begin(embedded)
    let_go(world)
    assert world.run().status is RunStatus.COMPLETED


def test_a_waiting_run_that_nobody_let_go_waits_on(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2, change=approved)
    world.run()
    assert world.run().status is RunStatus.WAITING


def test_where_other_edges_are_blocked_too_an_approval_is_not_what_is_missing(tmp_path: Path) -> None:
    world = World(tmp_path, dates=1, change=approved)
    world.misbehave(shape__left__0=["fail:bug"])
    board = world.run()
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert world.report().by_people.awaited == ()


def test_a_paused_run_does_not_wait_for_a_person(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2, change=approved)
    world.run()
    with world.open() as embedded:
        pause(embedded.state, "r")
    assert world.report().status is RunStatus.PAUSED
    with world.open() as embedded:
        resume(embedded.state, "r")
    assert world.report().status is RunStatus.WAITING


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"phase": "shape"}, "phase 'shape' waits for no approval; those that do: final"),
        ({"phase": "finale"}, "PHASE: unknown phase 'finale'; did you mean 'final'?"),
        ({"by": " "}, "--by: say who decides this"),
    ],
    ids=str,
)
def test_an_approval_of_nothing_is_refused(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    world = World(tmp_path, dates=1, change=approved)
    world.run()
    with pytest.raises(InputError) as caught:
        let_go(world, **more)
    assert message in str(caught.value)
    assert world.report().by_people.approvals == ()


def test_a_phase_is_approved_once(tmp_path: Path) -> None:
    world = World(tmp_path, dates=1, change=approved)
    world.run()
    let_go(world)
    with pytest.raises(InputError, match="phase 'final' of run 'r' was approved by ann at 2026-01-01"):
        let_go(world)


def test_nobody_is_asked_to_let_a_phase_go_that_the_run_leaves_out(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["phases"][0]["gates"] = [{"check": "approval"}]

    world = World(tmp_path, dates=1, change=change)
    assert world.run().status is RunStatus.WAITING
    let_go(world, phase="fetch")
    assert world.run().status is RunStatus.COMPLETED
    assert world.run("again", phases="raw..final", reprocess="all").status is RunStatus.COMPLETED
