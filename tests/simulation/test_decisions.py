"""Decisions in corners: what is concluded, released, retried and asked again when several things go wrong at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import HaltError, InputError, TransientError
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import RetryIntent, RunStatus
from phasegate.ports import Parameter, Row
from phasegate.report.explain import explain
from phasegate.services.operating import operators
from phasegate.services.reading.progress import report
from phasegate.services.reading.prover import Prover
from phasegate.services.running.conductor import Conductor
from tests.world import START, World, WorldWorker, drive

Document = dict[str, Any]
SOON = timedelta(minutes=30)


def attempts(world: World, phase: str, processor: str, day: int) -> int:
    """How often a task was claimed."""
    with world.open() as embedded:
        rows = embedded.database.execute(
            "SELECT COUNT(*) FROM claims WHERE phase = ? AND processor = ? AND day = ?",
            (phase, processor, str(world.days[day])),
        )
        return int(rows.fetchone()[0])


def test_rows_of_an_earlier_run_do_not_prove_a_worker_that_wrote_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    drive(world)
    world.misbehave(raw__a__1=["lie"] * 9)
    board, found = drive(world, "again", reprocess="all")
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert [f.failure.message for f in found.failures] == [
        "the table holds 4 rows, of an earlier attempt: this one wrote none"
    ]


def test_a_lane_is_not_concluded_while_what_it_was_made_from_in_another_lane_may_still_be_disproved(
    tmp_path: Path,
) -> None:
    def ahead_needs_left(document: Document) -> None:
        document["phases"][2]["processors"][2]["needs"] = ["left"]

    def slow_right(call: Any) -> timedelta:
        return timedelta(seconds=30 if call.task.processor == "right" else 1)

    world = World(tmp_path, dates=2, change=ahead_needs_left, duration=slow_right)
    world.misbehave(shape__left__0=["lie"])
    board, found = drive(world)
    assert board.status is RunStatus.COMPLETED
    assert found.tasks["queued"] == found.tasks["pending"] == 0
    assert attempts(world, "shape", "ahead", 0) == 2, "made again from the attempt of left that holds"


def test_a_processor_is_never_released_before_what_it_needs_can_be(tmp_path: Path) -> None:
    def right_needs_ahead(document: Document) -> None:
        document["phases"][2]["processors"][1]["needs"] = ["left", "ahead"]

    world = World(tmp_path, dates=4, change=right_needs_ahead)
    world.misbehave(raw__a__0=["fail:unrecoverable"])
    board, _ = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES, "it comes to an end"


def test_a_table_that_cannot_be_asked_for_a_while_is_asked_again_and_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, dates=2)
    query = DuckDbWarehouse.query
    is_away = [True]

    def away(self: DuckDbWarehouse, sql: str, parameters: dict[str, Parameter] | None = None) -> Sequence[Row]:
        if is_away[0] and "raw.b" in sql and "COUNT" in sql:
            raise TransientError("quota")
        return query(self, sql, parameters)

    monkeypatch.setattr(DuckDbWarehouse, "query", away)
    board, _ = drive(world, within=timedelta(minutes=2))
    assert board.status is RunStatus.RUNNING
    with world.open() as embedded:
        why = explain(embedded.state, "r", None, None)
    assert any("a, b could not be asked: quota" in root.detail for root in why.roots), "asked together"
    is_away[0] = False
    board, _ = drive(world)
    assert board.status is RunStatus.COMPLETED


def test_a_check_that_can_never_be_asked_blocks_and_says_so(tmp_path: Path) -> None:
    def wrong_column(document: Document) -> None:
        document["phases"][1]["processors"][0]["checks"][1]["key"] = "no_such_column"

    world = World(tmp_path, dates=2, change=wrong_column)
    board, found = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert any("the check cannot be asked" in r.detail for cell in found.blocked for r in cell.reasons)


def test_work_that_was_built_on_a_blocked_table_is_made_again_by_the_next_run(tmp_path: Path) -> None:
    world = World(tmp_path, dates=3)
    drive(world)
    data = world.data()
    data["a"][str(world.days[1])][0]["v"] = 1000
    world.rewrite(data)
    world.misbehave(raw__a__1=["short"])
    drive(world, "again", selection=Selection(dates=(world.days[1],)), reprocess="all", phases="1..2")
    world.misbehave()
    board, _ = drive(world, "third")
    assert board.status is RunStatus.COMPLETED
    left = {(d, k): v for d, k, v in world.tables()["shape.left_side"]}
    assert left[str(world.days[1]), "T0"] == 2000


def test_a_cancelled_run_gets_its_end_and_no_command_brings_it_back(tmp_path: Path) -> None:
    world = World(tmp_path, dates=4)
    with world.open() as embedded:
        world.begin(embedded)
        embedded.drive("r", stop=lambda: world.clock.now() > START + timedelta(milliseconds=60))
        operators.cancel(embedded.state, "r")
        board = embedded.drive("r")
        before = embedded.database.execute("SELECT COUNT(*) FROM claims").fetchone()
        assert board.status is RunStatus.CANCELLED and board.finished_at is not None
        with pytest.raises(InputError, match="was cancelled"):
            operators.resume(embedded.state, "r")
        embedded.drive("r")
        assert embedded.database.execute("SELECT COUNT(*) FROM claims").fetchone() == before


def test_a_retry_goes_back_to_the_source_of_what_was_wrong_and_to_no_other(tmp_path: Path) -> None:
    world = World(tmp_path, dates=3)
    world.misbehave(raw__a__1=["short"])
    board, _ = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    with world.open() as embedded:
        operators.retry(
            embedded.state,
            world.clock,
            "r",
            dates=(),
            phase=None,
            processor=None,
            signature=None,
            why="mended",
        )
        board = embedded.drive("r", stop=lambda: world.clock.now() > START + SOON)
        assert board.status is RunStatus.COMPLETED
    assert attempts(world, "fetch", "a", 1) == 2, "back to the source"
    assert attempts(world, "fetch", "b", 1) == 1, "and only to the source of what was wrong"


def test_many_dates_that_wait_for_each_other_are_explained_without_recursion(tmp_path: Path) -> None:
    def chain(document: Document) -> None:
        shape = document["phases"][2]
        shape["processors"] = [p for p in shape["processors"] if p["name"] != "right"]
        shape["gates"].append({"check": "lookback", "for": ["left"], "processors": ["ahead"], "dates": 1})
        document["phases"] = document["phases"][:3]
        document["phases"][0]["limits"] = {}

    world = World(tmp_path, dates=1200, games=1, change=chain)
    with world.open() as embedded:
        world.begin(embedded)
        found = report(embedded.state, "r", world.clock.now())
    assert found.tasks["expected"] == 6 * 1200


def test_what_lies_outside_the_run_and_cannot_be_asked_is_asked_again_later_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, dates=5)
    drive(world, "before", selection=Selection(dates=tuple(world.days[:3])))
    query, soundness = DuckDbWarehouse.query, Prover.soundness
    asked: list[datetime] = []

    def away(self: DuckDbWarehouse, sql: str, parameters: dict[str, Parameter] | None = None) -> Sequence[Row]:
        if world.clock.now() < end and "COUNT" in sql and "shape.left_side" in sql:
            raise TransientError("quota")
        return query(self, sql, parameters)

    def asking(self: Prover, *about: Any) -> Any:
        asked.append(world.clock.now())
        return soundness(self, *about)

    end = world.clock.now() + timedelta(seconds=20)
    monkeypatch.setattr(DuckDbWarehouse, "query", away)
    monkeypatch.setattr(Prover, "soundness", asking)
    board, _ = drive(world, "after", selection=Selection(dates=tuple(world.days[3:])))
    assert (board.status, board.outside, board.outside_unasked) == (RunStatus.COMPLETED, {}, None)
    waits = [(after - before).total_seconds() for before, after in pairwise(asked)]
    assert waits == pytest.approx([2, 4, 8, 16], abs=0.2), "and by nothing else that wakes the conductor meanwhile"


def test_work_that_was_asked_for_anew_while_it_was_queued_is_not_run(tmp_path: Path) -> None:
    world = World(tmp_path, dates=1)
    day = world.days[0]
    with world.open() as embedded:
        world.begin(embedded)
        services: Any = embedded.engine("r")._handlers
        services.conductor.conduct("r")
        services.reconciler.reconcile_days("r", [day])
        queued = services.backend.tasks.lease(["fetches"], 10)
        intent = RetryIntent(id="i", at=world.clock.now())
        embedded.state.change_run("r", lambda run: run.model_copy(update={"retries": (intent,)}))
        board, version = embedded.state.board("r")
        cell = embedded.state.dates("r", [day])[day].cells["fetch"]
        asked_anew = replace(cell, generation=2, redo={"a": 2})
        assert embedded.state.commit("r", board, version, {(day, "fetch"): asked_anew})
        calls = {call.task.processor for call in services.claim(queued) if call}
        attempt = embedded.state.dates("r", [day])[day].tasks["fetch", "a"][0]
    assert calls == {"b"}
    assert attempt.abandoned is not None


def test_a_round_of_the_conductor_that_fails_for_a_while_is_delivered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conduct, failures = Conductor.conduct, [TransientError("busy"), TransientError("busy")]

    def busy(self: Conductor, run_id: str) -> Board:
        if failures:
            raise failures.pop()
        return conduct(self, run_id)

    monkeypatch.setattr(Conductor, "conduct", busy)
    world = World(tmp_path, dates=2)
    board, _ = drive(world, within=timedelta(seconds=15))
    assert board.status is RunStatus.COMPLETED, "before the next sweep"
    assert failures == []


def test_explain_says_that_what_lies_outside_gave_no_answer_and_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, dates=5)
    drive(world, "before", selection=Selection(dates=tuple(world.days[:3])))
    query = DuckDbWarehouse.query

    def away(self: DuckDbWarehouse, sql: str, parameters: dict[str, Parameter] | None = None) -> Sequence[Row]:
        if "COUNT" in sql and "shape.left_side" in sql:
            raise TransientError("the quota of the day is used up")
        return query(self, sql, parameters)

    monkeypatch.setattr(DuckDbWarehouse, "query", away)
    drive(world, "after", timedelta(seconds=10), selection=Selection(dates=tuple(world.days[3:])))
    with world.open() as embedded:
        roots = explain(embedded.state, "after", None, None).roots
    (root,) = (root for root in roots if root.processor == "a table outside the run")
    assert root.kind == "waiting for an answer"
    assert "quota of the day" in root.detail
    assert root.remedy.startswith("asked again by itself (try ")


def test_a_full_disk_under_a_worker_halts_the_run_and_costs_no_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: WorldWorker, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        raise HaltError("the disk is full")

    world = World(tmp_path, dates=2)
    with monkeypatch.context() as patched, world.open() as embedded:
        patched.setattr(WorldWorker, "handle", full)
        world.begin(embedded)
        with pytest.raises(HaltError, match="the disk is full"):
            embedded.drive("r")
        assert not [
            attempt
            for facts in embedded.state.dates("r", world.days).values()
            for attempts in facts.tasks.values()
            for attempt in attempts
            if attempt.reported is not None
        ]
    with world.open() as embedded:
        assert embedded.drive("r").status is RunStatus.COMPLETED
