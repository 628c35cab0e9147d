"""A statement that would read more than is allowed halts the run with the number and the remedy; nothing is a bug."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.bootstrap import Services
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import PhasegateError, ReadsTooMuch
from phasegate.domain.state.board import BoardLetter
from phasegate.domain.state.run import RunStatus
from phasegate.ports import Parameter, Row
from phasegate.report.explain import explain
from phasegate.services.operating import operators
from tests.fakes.in_process import NoTasks
from tests.world import World

WHY = "the statement would read more than PHASEGATE_MAX_BYTES_BILLED allows (10485760 bytes)"


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tables of which nothing may be read."""
    refused: list[str] = ["raw.b"]
    ask = DuckDbWarehouse.ask

    def limited(
        warehouse: DuckDbWarehouse, questions: Sequence[tuple[str, Mapping[str, Parameter]]]
    ) -> list[list[Row] | PhasegateError]:
        return [
            ReadsTooMuch(WHY) if any(table in sql for table in refused) else ask(warehouse, [(sql, parameters)])[0]
            for sql, parameters in questions
        ]

    monkeypatch.setattr(DuckDbWarehouse, "ask", limited)
    return refused


def test_a_worker_that_would_read_too_much_halts_the_run_and_it_goes_on_when_more_is_allowed(tmp_path: Path) -> None:
    world = World(tmp_path, dates=3)
    world.misbehave(raw__b__1=["status:402"])
    with world.open() as embedded:
        world.begin(embedded)
        board = embedded.drive("r")
        why = f"raw/b on {world.days[1]}: HTTP 402: no right to ask this service"
        assert (board.status, board.halted_because) == (RunStatus.HALTED, why)
        assert explain(embedded.state, "r", None, None).note == f"halted: {why}"
        assert set(board.bad) == {world.days[1]}
        everything: Any = {"dates": (), "phase": None, "processor": None, "signature": None}
        operators.retry(embedded.state, world.clock, "r", why="more is allowed", **everything)
        board = embedded.drive("r")
        attempts = [
            len(each) for facts in embedded.state.dates("r", world.days).values() for each in facts.tasks.values()
        ]
    assert (board.status, board.halted_because) == (RunStatus.COMPLETED, "")
    assert sorted(attempts)[-2:] == [1, 2], "the refused task, and nothing else, was made once more"


def test_a_halted_run_is_not_woken_by_its_own_halt(tmp_path: Path, limit: list[str]) -> None:
    limit[:] = ["shape.left_side"]
    world, tasks = World(tmp_path, dates=6), NoTasks()
    with world.open() as embedded:
        world.begin(embedded, reprocess="all", selection=Selection(dates=tuple(world.days[3:])))
        handlers: Any = embedded.engine("r")._handlers  # type: ignore[attr-defined]
        services = Services(replace(handlers.backend, tasks=tasks))
        board = services.conductor.conduct("r")
    assert (board.status, board.halted_because, board.outside) == (RunStatus.HALTED, WHY, None)
    assert [task.queue for task in tasks.created] == []


def test_the_run_halts_and_says_why_and_goes_on_when_more_is_allowed(tmp_path: Path, limit: list[str]) -> None:
    world = World(tmp_path, dates=3)
    with world.open() as embedded:
        world.begin(embedded, reprocess="all")
        board = embedded.drive("r")
        assert (board.status, board.halted_because, board.bad) == (RunStatus.HALTED, WHY, {})
        assert explain(embedded.state, "r", None, None).note == f"halted: {WHY}"
        limit.clear()
        everything: Any = {"dates": (), "phase": None, "processor": None, "signature": None}
        operators.retry(embedded.state, world.clock, "r", why="more is allowed", **everything)
        board = embedded.drive("r")
        facts = embedded.state.dates("r", world.days)
    assert (board.status, board.halted_because) == (RunStatus.COMPLETED, "")
    assert {letter for strip in board.groups.values() for letter in strip.decode()} <= {
        BoardLetter.PASSED,
        BoardLetter.SKIPPED,
    }
    assert {len(attempts) for each in facts.values() for attempts in each.tasks.values()} == {1}
