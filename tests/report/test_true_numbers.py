"""Numbers and words about a run that is not complete: they agree with each other and with how it ended."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import RunStatus
from phasegate.report.explain import Explanation, explain
from phasegate.report.explanation import explanation_text
from phasegate.report.summary import Summary, summarise, summary_document, summary_text
from phasegate.services.operating import operators
from phasegate.services.operating.decisions import approve
from phasegate.services.reading.counts import count_run
from tests.report.verifying import Finished, kinds, with_report
from tests.world import World

Document = dict[str, Any]


def summary(world: World) -> Summary:
    """What the run leaves, now."""
    with world.open() as embedded:
        return summarise(embedded.state, embedded.warehouse, "r", world.clock.now())


def explained(world: World, day: int | None = None, phase: str | None = None) -> Explanation:
    """Why a cell, or all of the run, is not done."""
    with world.open() as embedded:
        return explain(embedded.state, "r", None if day is None else world.days[day], phase)


def board_of(world: World) -> Board:
    """Where the run stands."""
    with world.open() as embedded:
        return embedded.state.board("r")[0]


# A check of its own blocks the last phase


@pytest.fixture
def blocked(tmp_path: Path) -> World:
    """One date of a run over two phases, of which the last is blocked by its own check."""
    world = World(tmp_path, dates=1)
    data = world.data()
    data["b"][str(world.days[0])].pop()
    world.rewrite(data)
    board = world.run(phases="fetch..raw")
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    return world


def test_what_a_check_of_its_own_blocks_is_not_counted_as_done(blocked: World) -> None:
    found = summary(blocked)
    assert (found.report.tasks["expected"], found.report.tasks["succeeded"], found.report.tasks["blocked"]) == (4, 3, 1)
    assert found.report.missing == ((blocked.days[0], "raw/b"),)
    text = summary_text(found)
    assert "3 of 4 tasks done" in text
    assert "2024-01-01 raw: b" in text


def test_the_summary_names_what_blocks_it_and_what_to_type(blocked: World) -> None:
    lines = summary_text(summary(blocked)).splitlines()
    at = lines.index("why, and what to do:")
    assert [line.strip() for line in lines[at + 1 : at + 4]] == [
        "2024-01-01 raw is blocked:",
        "b: 3 of 4 rows",
        "-> mend the source, then: phasegate retry r --date 2024-01-01 --phase raw",
    ]


def test_each_check_that_blocks_is_named_by_its_name(blocked: World) -> None:
    (cell,) = summary_document(summary(blocked))["blocked"]
    assert [reason["check"] for reason in cell["reasons"]] == ["rows", "entities"]
    assert cell["reasons"][0]["detail"] == "b: 3 of 4 rows"


def test_explain_counts_it_the_same_way(blocked: World) -> None:
    (cell,) = explained(blocked, 0, "raw").cells
    assert cell.state == "blocked"
    assert {name: status for name, status, _ in cell.tasks} == {"a": "succeeded", "b": "blocked"}
    assert len(cell.reasons) == 2


# Roots behind a phase that is released together with another


def test_explain_names_the_root_behind_a_phase_that_is_released_with_another(tmp_path: Path) -> None:
    world = World(tmp_path, dates=3)
    world.misbehave(fetch__a__1=["fail:bug"])
    world.run()
    for phase, state in (("raw", "failed"), ("shape", "blocked"), ("final", "blocked")):
        found = explained(world, 1, phase)
        assert (found.note, [cell.state for cell in found.cells]) == ("", [state]), phase
        assert [(root.day, root.phase, root.processor) for root in found.roots] == [(world.days[1], "fetch", "a")]
    (root,) = explained(world).roots
    assert {phase for day, phase in root.waiting if day == world.days[1]} == {"raw", "shape", "final"}
    assert "nothing failed" not in explanation_text(explained(world, 1, "shape"))


def test_explain_says_of_a_cell_that_passed_that_nothing_is_wrong_with_it(tmp_path: Path) -> None:
    world = World(tmp_path, dates=3)
    world.misbehave(fetch__a__2=["fail:bug"])
    world.run()
    found = explained(world, 0, "raw")
    assert (found.note, found.roots) == ("nothing failed and nothing is blocked", ())


@pytest.mark.parametrize("scope", ["run", "season"])
def test_explain_names_the_root_behind_a_barrier(tmp_path: Path, scope: str) -> None:
    def walled(document: Document) -> None:
        document["phases"][3]["gates"] = [{"check": "barrier", "phase": "shape", "scope": scope}]

    world = World(tmp_path, dates=3, change=walled)
    world.misbehave(shape__left__1=["fail:bug"])
    world.run()
    found = explained(world, 2, "final")
    assert [(root.day, root.phase, root.processor) for root in found.roots] == [(world.days[1], "shape", "left")]
    assert {root.kind for root in explained(world).roots} == {"failed"}, "nothing lies outside the run"


# What was skipped


def test_as_many_dates_are_skipped_with_a_reason_as_the_table_says(tmp_path: Path) -> None:
    def alone(document: Document) -> None:
        document["phases"][3]["processors"][1] = {**document["phases"][3]["processors"][1], "bootstrap": True}

    world = World(tmp_path, dates=4, change=alone)
    world.misbehave(shape__left__1=["fail:bug"])
    world.run()
    found = summary(world)
    assert found.report.phases["final"]["skipped"] == 1
    assert [sum(reasons.values()) for reasons in found.skipped.values()] == [1]
    text = summary_text(found)
    assert "skipped: final, 1 dates: " in text


def test_nothing_is_said_to_be_skipped_that_never_came_to_its_end(tmp_path: Path) -> None:
    def alone(document: Document) -> None:
        document["phases"][3]["processors"][1] = {**document["phases"][3]["processors"][1], "bootstrap": True}

    world = World(tmp_path, dates=2, change=alone)
    world.misbehave(shape__left__0=["fail:bug"])
    world.run()
    found = summary(world)
    assert (found.report.phases["final"]["skipped"], found.skipped) == (0, {})


# How long it took


NIGHT = timedelta(hours=9)


def retried_after_a_night(folder: Path) -> tuple[World, Summary, Summary]:
    """A run that ended badly and was retried the next morning; what it left in the evening, and then."""
    world = World(folder, dates=3)
    world.misbehave(raw__a__1=["fail:bug"])
    world.run()
    evening = summary(world)
    world.clock.move_to(world.clock.now() + NIGHT)
    world.misbehave()
    with world.open() as embedded:
        nothing: dict[str, Any] = {"dates": (), "phase": None, "processor": None, "signature": None, "why": ""}
        operators.retry(embedded.state, world.clock, "r", **nothing)
        assert embedded.drive("r").status is RunStatus.COMPLETED
    return world, evening, summary(world)


def test_the_night_between_an_end_and_a_retry_is_no_time_of_the_run(tmp_path: Path) -> None:
    world, evening, morning = retried_after_a_night(tmp_path)
    assert evening.seconds < morning.seconds < 60
    assert summary_document(morning)["seconds"] == round(morning.seconds, 1)
    board = board_of(world)
    assert board.rested_seconds == pytest.approx(NIGHT.total_seconds(), abs=1)
    assert board.finished_at is not None and board.finished_at - board.started_at > NIGHT


def test_what_is_still_to_come_is_reckoned_without_that_night(tmp_path: Path) -> None:
    world = World(tmp_path, dates=4)
    world.misbehave(raw__a__1=["fail:bug"])
    world.run()
    world.clock.move_to(world.clock.now() + NIGHT)
    world.misbehave()
    with world.open() as embedded:
        nothing: dict[str, Any] = {"dates": (), "phase": None, "processor": None, "signature": None, "why": ""}
        operators.retry(embedded.state, world.clock, "r", **nothing)
        seen: list[float | None] = []
        embedded.drive(
            "r", progress=lambda _: seen.append(count_run(embedded.state, "r", world.clock.now()).eta_seconds)
        )
    told = [eta for eta in seen if eta is not None]
    assert told and max(told) < 60


def test_a_run_that_was_held_or_waited_for_a_person_is_reckoned_without_that(tmp_path: Path) -> None:
    def approved(document: Document) -> None:
        document["phases"][3]["gates"].append({"check": "approval"})

    world = World(tmp_path, dates=2, change=approved)
    assert world.run().status is RunStatus.WAITING
    world.clock.move_to(world.clock.now() + NIGHT)
    assert summary(world).seconds < 60
    with world.open() as embedded:
        approve(embedded.state, world.clock, "r", "final", by="ann", why="seen")
        assert embedded.drive("r").status is RunStatus.COMPLETED
    assert summary(world).seconds < 60


@pytest.mark.parametrize("is_atomic", [True, False])
def test_a_run_whose_process_was_ended_is_reckoned_without_the_time_in_which_nobody_drove_it(
    tmp_path: Path, is_atomic: bool
) -> None:
    world = World(tmp_path, dates=6, atomic_turns=is_atomic)
    turns = iter(range(100))
    with world.open() as embedded:
        world.begin(embedded)
        assert embedded.drive("r", stop=lambda: next(turns) > 3).status is RunStatus.RUNNING
    world.clock.move_to(world.clock.now() + NIGHT)
    with world.open() as embedded:
        assert embedded.drive("r").status is RunStatus.COMPLETED
    assert summary(world).seconds < 60
    assert board_of(world).rested_seconds == pytest.approx(NIGHT.total_seconds(), abs=1)


def test_a_board_of_an_earlier_version_knows_of_no_rest_and_of_its_end(tmp_path: Path) -> None:
    world = World(tmp_path, dates=1)
    document = world.run().to_document()
    del document["resting_since"], document["rested_seconds"]
    board = Board.from_document(document)
    assert board.finished_at is not None
    board.come_to(RunStatus.RUNNING, board.finished_at + NIGHT)
    assert (board.rested_seconds, board.finished_at) == (NIGHT.total_seconds(), None)


def test_the_report_reckons_the_pace_without_the_night(tmp_path: Path) -> None:
    home = Finished(tmp_path)
    home.world.misbehave(raw__a__1=["fail:bug"])
    home.run()
    home.world.clock.move_to(home.world.clock.now() + NIGHT)
    home.world.misbehave()
    with home.world.open() as embedded:
        nothing: dict[str, Any] = {"dates": (), "phase": None, "processor": None, "signature": None, "why": ""}
        operators.retry(embedded.state, home.world.clock, "r", **nothing)
        embedded.drive("r")
    pace = home.verify().report.pace
    assert pace is not None
    assert pace.rested_seconds == pytest.approx(NIGHT.total_seconds(), abs=1)
    assert pace.per_second == pytest.approx(pace.attempts / (pace.wall_seconds - pace.rested_seconds), abs=0.001)


# What needs nothing


def test_dates_that_need_nothing_are_no_finding_when_something_else_held_them_back(tmp_path: Path) -> None:
    def silent(document: Document) -> None:
        with_report(document)
        note = document["phases"][3]["processors"][1]
        document["phases"][3]["processors"][1] = {**note, "bootstrap": True}

    home = Finished(tmp_path, silent)
    home.world.misbehave(shape__left__0=["fail:bug"])
    home.run()
    report = home.verify().report
    first = [(line.phase, line.processor) for line in report.findings if line.date == home.days[0]]
    assert ("shape", "left") in first and "final" not in {phase for phase, _ in first}
    assert report.heat_map.phases["final"][0] == "e"
    assert not report.agrees


def test_where_nothing_else_says_why_a_run_is_not_complete_its_dates_that_need_nothing_do(tmp_path: Path) -> None:
    def silent(document: Document) -> None:
        with_report(document)
        note = document["phases"][3]["processors"][1]
        document["phases"][3]["processors"][1] = {**note, "bootstrap": True}

    home = Finished(tmp_path, silent)
    home.run(phases="fetch..shape")
    with home.world.open() as embedded:
        bootstrap = Selection(dates=tuple(home.days[:2]))
        home.world.begin(embedded, "s", phases="final", selection=bootstrap, reprocess="all")
        operators.cancel(embedded.state, "s")
        embedded.drive("s")
    report = home.verify("s").report
    assert kinds(report) == {("not_done", str(day), f"final/{x}") for day in home.days[:2] for x in ("total", "note")}
    assert not report.agrees
