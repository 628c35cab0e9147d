"""A run goes on by a later generation of its plan: what the schedule says now is taken over, and nothing else."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.bootstrap import Embedded
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.errors import InputError
from phasegate.domain.plan import Plan
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import Run, RunStatus
from phasegate.ports import Claim
from phasegate.services.operating.operators import cancel, pause, resume
from phasegate.services.operating.refresh import Proposal, propose, refresh
from phasegate.services.reading.progress import report
from tests.world import TABLES, World, WorldWorker, write_source

ATTEMPTS = "SELECT day, phase, processor FROM claims WHERE run_id = 'r' ORDER BY fence"
GROUPS = {"fetch", "raw", "shape.1", "shape.2", "final"}


def games(world: World, **other: int) -> None:
    """The source and the schedule anew: two games a date, or as many as ``d3=1`` says of the date with this number;
    without any the date is gone."""
    wanted = {day: other.get(f"d{n}", 2) for n, day in enumerate(world.days)}
    write_source(world.source, {day: count or 2 for day, count in wanted.items()})
    values = world.data()
    write_source(world.source, {day: count for day, count in wanted.items() if count})
    # What is left of the source keeps its values, whichever dates there are.
    world.rewrite({**world.data(), "a": values["a"], "b": values["b"]})


def proposed(world: World, embedded: Embedded) -> Proposal:
    """What a refresh of the run ``r`` would take over."""

    def calendar_of(_run: Run, _plan: Plan) -> Calendar:
        return world.calendar()

    return propose(embedded.state, world.clock, "r", calendar_of)


def refreshed(world: World) -> tuple[Board, list[tuple[date, str]]]:
    """Refresh the run ``r`` and drive it to its end: its board, and the tasks that were called for it."""
    with world.open() as embedded:
        before = len(embedded.database.execute(ATTEMPTS).fetchall())
        refresh(embedded.state, world.clock, proposed(world, embedded))
        board = embedded.drive("r")
        called = embedded.database.execute(ATTEMPTS).fetchall()[before:]
    return board, [(date.fromisoformat(day), f"{phase}/{processor}") for day, phase, processor in called]


def letters(board: Board, position: int) -> Mapping[str, str]:
    """The letters of a date."""
    return {name: chr(strip[position]) for name, strip in board.groups.items()}


def clean(folder: Path, **other: int) -> dict[str, list[tuple[str, str, int]]]:
    """The tables of a run that was planned with the schedule as it is in the end."""
    world = World(folder)
    games(world, **other)
    assert world.run().status is RunStatus.COMPLETED
    return world.tables()


def test_other_numbers_of_a_date_are_taken_over_and_it_is_made_again_with_all_that_looks_back_on_it(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "w")
    assert world.run().status is RunStatus.COMPLETED
    games(world, d2=1)
    board, called = refreshed(world)
    assert (board.status, board.plan[:5]) == (RunStatus.COMPLETED, "0002-")
    d = world.days
    of_date = ["fetch/a", "fetch/b", "raw/a", "raw/b", "shape/left", "shape/right", "shape/ahead", "final/total"]
    behind = {(day, "shape/ahead") for day in d[3:6]} | {(day, "final/total") for day in d[3:6]}
    notes = {(day, "final/note") for day in d[2:6]}
    assert set(called) == {(d[2], ref) for ref in of_date} | behind | notes
    assert len(called) == len(set(called))
    assert world.tables() == clean(tmp_path / "c", d2=1)


def test_a_run_that_waits_for_wrong_numbers_comes_through_once_they_are_mended(tmp_path: Path) -> None:
    world = World(tmp_path)
    games(world, d3=3)
    data = world.data()
    games(world)
    right = world.data()
    games(world, d3=3)
    world.rewrite({**right, "games": data["games"]})
    assert world.run().status is RunStatus.COMPLETED_WITH_FAILURES, "a phantom game"
    games(world)
    board, _ = refreshed(world)
    assert board.status is RunStatus.COMPLETED


def test_a_date_that_the_schedule_lost_needs_nothing_and_is_in_no_window_any_more(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.misbehave(fetch__a__2=["fail:bug"], fetch__b__2=["fail:bug"])
    assert world.run().status is RunStatus.COMPLETED_WITH_FAILURES
    games(world, d2=0)
    board, called = refreshed(world)
    assert board.status is RunStatus.COMPLETED
    assert letters(board, 2) == dict.fromkeys(GROUPS, "k"), "rightly empty"
    assert world.days[2] not in {day for day, _ in called}
    with world.open() as embedded:
        found = report(embedded.state, "r", world.clock.now())
    assert found.missing == ()


def test_rows_on_a_date_that_the_schedule_lost_are_a_finding(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.run().status is RunStatus.COMPLETED
    games(world, d2=0)
    board, called = refreshed(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert "0 rows are right here" in str(board.bad[world.days[2]]["raw/a"])
    assert world.days[2] not in {day for day, _ in called}


def test_what_looked_back_on_a_date_that_the_schedule_lost_is_made_again_without_it(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    assert world.run().status is RunStatus.COMPLETED
    games(world, d2=0)
    with world.open() as embedded:
        for table in TABLES.values():
            embedded.warehouse.delete_dates(table, "d", [world.days[2]])
    board, called = refreshed(world)
    assert board.status is RunStatus.COMPLETED
    behind = {(day, f"{phase}") for day in world.days[3:6] for phase in ("shape/ahead", "final/total", "final/note")}
    assert set(called) == behind
    assert world.tables() == clean(tmp_path / "c", d2=0)


def test_a_task_that_is_due_by_the_new_numbers_is_called_and_asked_for_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sometimes(document: dict[str, Any]) -> None:
        (ahead,) = [p for p in document["phases"][2]["processors"] if p["name"] == "ahead"]
        ahead["checks"] = [{"check": "rows", "exactly": "games - 2"}]

    bodies: list[Mapping[str, Any]] = []
    handle = WorldWorker.handle

    def noting(worker: WorldWorker, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        bodies.append(body)
        return handle(worker, path, body)

    monkeypatch.setattr(WorldWorker, "handle", noting)
    world = World(tmp_path, change=sometimes)
    assert world.run().status is RunStatus.COMPLETED
    assert "ahead" not in {body["processor"] for body in bodies}, "two games a date: nothing is due"
    games(world, d2=3)
    board, called = refreshed(world)
    assert board.status is RunStatus.COMPLETED
    assert [day for day, ref in called if ref == "shape/ahead"] == [world.days[2]]
    (body,) = [body for body in bodies if body["processor"] == "ahead"]
    assert not body.get("may_be_empty"), "rows are due"
    games(world)
    board, _ = refreshed(world)
    assert "0 rows are right here" in str(board.bad[world.days[2]]["shape/ahead"]), "and now they are not any more"


def test_a_date_that_comes_back_is_made_after_all(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.misbehave(fetch__a__2=["fail:bug"], fetch__b__2=["fail:bug"])
    world.run()
    games(world, d2=0)
    assert refreshed(world)[0].status is RunStatus.COMPLETED
    games(world)
    board, _ = refreshed(world)
    assert (board.status, board.plan[:5]) == (RunStatus.COMPLETED, "0003-")
    assert world.tables() == clean(tmp_path / "c")


def test_what_is_under_way_on_a_date_that_is_lost_is_waited_for_and_what_waits_calls_nobody(tmp_path: Path) -> None:
    world = World(tmp_path, duration=lambda _: timedelta(seconds=1))
    with world.open() as embedded:
        world.begin(embedded)
        at_work: list[Claim] = []

        def meanwhile() -> bool:
            if not at_work and (found := embedded.state.open_claims("r", [world.days[2]])):
                at_work.extend(found)
                games(world, d2=0)
                refresh(embedded.state, world.clock, proposed(world, embedded))
            return False

        board = embedded.drive("r", stop=meanwhile)
        facts = embedded.state.dates("r", [world.days[2]])[world.days[2]]
    assert {claim.key.phase for claim in at_work} == {"fetch"}
    assert all(facts.attempt("fetch", claim.key.processor, 1).reported is not None for claim in at_work)
    assert {phase for phase, _ in facts.tasks} == {"fetch"}, "nobody is called once the date is gone"
    assert (board.status, letters(board, 2)) == (RunStatus.COMPLETED, dict.fromkeys(GROUPS, "k"))


def test_rows_that_come_late_on_a_date_that_is_lost_are_seen(tmp_path: Path) -> None:
    world = World(tmp_path, duration=lambda _: timedelta(seconds=1))
    with world.open() as embedded:
        world.begin(embedded)
        at_work: list[Claim] = []

        def meanwhile() -> bool:
            claims = embedded.state.open_claims("r", [world.days[2]])
            if not at_work and (found := [claim for claim in claims if claim.key.ref == "raw/a"]):
                at_work.extend(found)
                games(world, d2=0)
                refresh(embedded.state, world.clock, proposed(world, embedded))
            return False

        board = embedded.drive("r", stop=meanwhile)
    assert at_work
    assert "0 rows are right here, the table holds 4" in str(board.bad[world.days[2]]["raw/a"])
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES


def test_a_run_that_is_half_done_goes_on_by_the_new_numbers(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    with world.open() as embedded:
        world.begin(embedded)
        embedded.drive(
            "r", stop=_until(embedded, "SELECT 1 FROM claims WHERE day = ? AND phase = 'final'", world.days[2])
        )
        pause(embedded.state, "r")
        games(world, d1=1, d5=3)
        refresh(embedded.state, world.clock, proposed(world, embedded))
        resume(embedded.state, "r")
        assert embedded.drive("r").status is RunStatus.COMPLETED
    assert world.tables() == clean(tmp_path / "c", d1=1, d5=3)


def test_a_run_that_was_cancelled_or_has_nothing_to_take_over_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run()
    with world.open() as embedded:
        before = embedded.state.run("r")
        with pytest.raises(InputError, match="the schedule has not changed for it; there is nothing to refresh"):
            proposed(world, embedded)
        games(world, d2=1)
        found = proposed(world, embedded)
        assert embedded.state.run("r") == before
        refresh(embedded.state, world.clock, found)
        with pytest.raises(InputError, match="refreshed by somebody else meanwhile"):
            refresh(embedded.state, world.clock, found)
        cancel(embedded.state, "r")
        with pytest.raises(InputError, match="cannot refresh run 'r': it was cancelled"):
            proposed(world, embedded)


def _until(embedded: Embedded, sql: str, day: date) -> Any:
    """Until a query about a date has an answer."""
    return lambda: embedded.database.execute(sql, (day.isoformat(),)).fetchone() is not None
