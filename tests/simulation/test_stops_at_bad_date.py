"""A run that stops at bad dates: one date at a time through all phases, then the ramp; and what a bad date stops."""

import random
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.state.run import RunStatus
from phasegate.report.explain import explain
from phasegate.report.plan import plan_text
from phasegate.report.summary import summarise
from phasegate.services.operating import operators
from phasegate.services.operating.decisions import waive
from phasegate.services.reading.progress import progress_document
from phasegate.services.starting.planner import PlanMade
from tests.simulation.lives import LONGEST
from tests.world import START, World, drive, reading

pytestmark = pytest.mark.usefixtures("dates_at_once")

DATES = 12
ALONE = 5
"""Dates that go alone, before the ramp."""


def current(document: dict[str, Any]) -> None:
    """A profile like ``current`` of the reference pipeline, and no other limit on active dates."""
    document["phases"][0]["limits"] = {}
    ramp = [{"active_dates": 1, "until_finished": ALONE}, {"active_dates": 4}]
    document["profiles"] = {"current": {"phases": "fetch..final", "ramp": ramp, "stops_at_bad_date": True}}


def made(folder: Path, seed: int = 0, dates: int = DATES) -> World:
    """A world whose workers take times that are drawn from a seed."""
    drawn = random.Random(seed)
    duration = lambda _: timedelta(milliseconds=drawn.choice((1, 10, 200, 3000)))  # noqa: E731
    return World(folder, dates=dates, change=current, duration=duration)


def attempts(world: World) -> dict[date, tuple[datetime, datetime]]:
    """When the first attempt of each date started, and the last one ended, as the history table has it."""
    with reading(world.home.warehouse) as connection:
        found = connection.execute(
            "SELECT data_date, MIN(started_at), MAX(finished_at) FROM ref.history GROUP BY 1 ORDER BY 1"
        ).fetchall()
    return {day: (first, last) for day, first, last in found}


def overlapping(history: Mapping[date, tuple[datetime, datetime]]) -> list[date]:
    """The dates of which an attempt started before the date before had ended all its phases."""
    days = sorted(history)
    return [day for before, day in pairwise(days) if history[day][0] < history[before][1]]


@pytest.mark.parametrize("seed", range(2))
def test_the_history_shows_one_date_at_a_time_and_then_the_ramp(tmp_path: Path, seed: int) -> None:
    world = made(tmp_path, seed)
    world.misbehave(raw__a__1=["fail:transient"], shape__left__3=["lie"], final__total__4=["raise"])
    board, _ = drive(world, profile="current")
    history = attempts(world)
    assert (board.status, list(history)) == (RunStatus.COMPLETED, world.days)
    assert set(overlapping(history)) <= set(world.days[ALONE + 1 :]), "each of the first five goes alone"
    assert history[world.days[ALONE]][0] >= history[world.days[ALONE - 1]][1]
    assert overlapping(history) != [], "then several at once"


@pytest.mark.parametrize("bad", [2, 8])
def test_a_planted_bad_date_stops_the_run_there_and_is_the_root_of_every_date_behind_it(
    tmp_path: Path, bad: int
) -> None:
    world = made(tmp_path)
    data = world.data()
    del data["a"][str(world.days[bad])][0]
    world.rewrite(data)
    board, progress = drive(world, profile="current")
    history = attempts(world)
    assert (board.status, board.status.exit_status) == (RunStatus.COMPLETED_WITH_FAILURES, 1)
    behind = [day for day in world.days if day not in history]
    assert behind == world.days[len(history) :], "no date enters behind one that has not"
    assert len(history) == bad + 1 if bad < ALONE else bad < len(history) < DATES, "those in flight ended"
    with world.open() as embedded:
        roots = explain(embedded.state, "r", None, None).roots
        summary = summarise(embedded.state, embedded.warehouse, "r", world.clock.now())
    assert roots == summary.roots
    (root,) = roots
    assert (root.day, root.phase, root.processor, root.kind) == (world.days[bad], "raw", "a", "blocked")
    assert "3 of 4 rows" in root.detail
    assert {(day, phase) for day in behind for phase in ("fetch", "raw", "shape", "final")} <= set(root.waiting)
    command = f"phasegate retry r --date {world.days[bad]} --phase raw"
    assert root.remedy == f"mend the source, then: {command}"
    phases: Any = progress_document(progress)["phases"]
    assert phases["fetch"]["blocked"] == len(behind)


def test_when_a_retry_frees_the_date_the_rest_follows_and_no_other_date_is_called_again(tmp_path: Path) -> None:
    world = made(tmp_path)
    data = world.data()
    spoiled = {**data, "a": {**data["a"], str(world.days[2]): data["a"][str(world.days[2])][:-1]}}
    world.rewrite(spoiled)
    drive(world, profile="current")
    world.rewrite(data)
    with world.open() as embedded:
        operators.retry(
            embedded.state,
            world.clock,
            "r",
            dates=(world.days[2],),
            phase="raw",
            processor=None,
            signature=None,
            why="",
        )
        board = embedded.drive("r", stop=lambda: world.clock.now() > START + LONGEST)
        facts = embedded.state.dates("r", world.days)
    assert board.status is RunStatus.COMPLETED
    tries = {day: len(facts[day].tasks["shape", "left"]) for day in world.days}
    assert set(tries.values()) == {1}
    assert overlapping(attempts(world))[:1] == [world.days[ALONE + 1]], "the date that was bad is one of the five"


def test_a_waiver_frees_the_date_too(tmp_path: Path) -> None:
    world = made(tmp_path, dates=ALONE)
    world.misbehave(shape__right__2=["short"])
    board, _ = drive(world, profile="current")
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    with world.open() as embedded:
        waive(
            embedded.state,
            world.clock,
            "r",
            dates=[world.days[2]],
            check="rows",
            phase="shape",
            processor="right",
            until="2099-01-01",
            by="ann",
            why="the source is right",
        )
        board = embedded.drive("r", stop=lambda: world.clock.now() > START + LONGEST)
    assert (board.status, list(attempts(world))) == (RunStatus.COMPLETED, world.days)


def test_a_plan_says_that_it_stops_at_bad_dates(tmp_path: Path) -> None:
    world = made(tmp_path)
    with world.open() as embedded:
        world.begin(embedded, profile="current")
        plan = embedded.state.plan("r")
    assert "one that ends badly lets no later date in until somebody frees it" in plan_text(PlanMade(plan, {}, {}), {})
