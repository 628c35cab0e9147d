"""A run whose canary dates go first: what is claimed when, and what happens when one of them ends badly."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from phasegate.domain.state.run import RunStatus
from phasegate.report.explain import explain
from phasegate.report.plan import plan_text
from phasegate.services.operating import operators
from phasegate.services.starting.planner import PlanMade
from tests.world import START, World, drive

DATES = 12


def careful(document: dict[str, Any]) -> None:
    """A profile with a canary, and no limit on active dates."""
    document["phases"][0]["limits"] = {}
    document["profiles"] = {"careful": {"phases": "fetch..final", "canary": True}}


def test_no_other_date_starts_before_the_canary_dates_are_through(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES, change=careful)
    board, _ = drive(world, profile="careful")
    assert board.status is RunStatus.COMPLETED
    with world.open() as embedded:
        facts = embedded.state.dates("r", world.days)
    canary = [world.days[n] for n in (0, DATES // 2, DATES - 1)]
    windows = {day for n in (DATES // 2, DATES - 1) for day in world.days[n - 3 : n]}
    through = max(group.concluded_at for day in canary for group in facts[day].cells["final"].groups.values())
    for day in set(world.days) - windows - set(canary):
        assert all(group.released_at >= through for group in facts[day].cells["fetch"].groups.values())


def test_a_bad_canary_date_holds_back_the_rest_until_a_retry_brings_it_through(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES, change=careful)
    world.misbehave(**{f"shape__left__{DATES // 2}": ["fail:bug"]})
    board, _ = drive(world, profile="careful")
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    with world.open() as embedded:
        facts = embedded.state.dates("r", [world.days[1]])[world.days[1]]
        (root,) = explain(embedded.state, "r", None, None).roots
        assert (facts.tasks, root.day, root.processor) == ({}, world.days[DATES // 2], "left")
        assert (world.days[1], "fetch") in root.waiting
        operators.retry(embedded.state, world.clock, "r", dates=(), phase=None, processor=None, signature=None, why="")
        board = embedded.drive("r", stop=lambda: world.clock.now() > START + timedelta(hours=1))
    assert board.status is RunStatus.COMPLETED


def test_a_plan_shows_the_canary_and_what_it_costs(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES, change=careful)
    with world.open() as embedded:
        world.begin(embedded, profile="careful")
        text = plan_text(PlanMade(embedded.state.plan("r"), {}, {}), {})
    assert "Canary: 2024-01-01 (first, bootstrap), 2024-01-07 (middle), 2024-01-12 (last), before all others" in text
    assert "with the dates of their windows: 9 dates" in text
    assert "the calendar has no `canary_number`, which marks special dates" in text
