"""Time does not go back: what is due stays due, also when the machine's clock is set back."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from phasegate.adapters.embedded.clock import SteadyClock, VirtualClock
from phasegate.adapters.embedded.state import SqliteState
from phasegate.bootstrap import Embedded, EmbeddedOptions
from phasegate.domain.decisions.reconcile import reconcile
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import AttemptKey, Cell, Dispatched, Proved
from phasegate.domain.state.run import Run, RunStatus
from phasegate.ports import QueueTask
from phasegate.report.explain import explain
from phasegate.services.running.dispatcher import Dispatcher
from tests.commands import type_command
from tests.unit.builders import NOW, Day, failed
from tests.world import START, World

TEN_MINUTES = timedelta(minutes=10)


class Machine:
    """A machine's two clocks."""

    def __init__(self) -> None:
        self.wall, self.seconds = NOW, 0.0

    def clock(self, reached: datetime | None = None) -> SteadyClock:
        """A steady clock on this machine."""
        return SteadyClock(reached, lambda: self.wall, lambda: self.seconds)


def test_the_clock_goes_on_at_its_pace_when_the_machines_is_set_back_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall -= TEN_MINUTES
    with caplog.at_level(logging.WARNING):
        assert clock.now() == NOW
        machine.seconds += 5
        assert clock.now() == NOW + timedelta(seconds=5)
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
        "the clock of this machine is 600 s behind the time that is recorded"
    ]


def test_the_clock_follows_the_machines_when_that_goes_ahead() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += TEN_MINUTES
    assert clock.now() == NOW + TEN_MINUTES


def test_after_a_restart_the_clock_goes_on_from_what_is_recorded() -> None:
    assert Machine().clock(NOW + TEN_MINUTES).now() == NOW + TEN_MINUTES


def test_a_run_that_was_begun_by_a_clock_that_was_ahead_goes_on_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, dates=3)
    world.clock.move_to(datetime.now(UTC) + timedelta(days=3))
    with world.open() as embedded:
        world.begin(embedded)
        turns = iter(range(10_000))
        board = embedded.drive("r", stop=lambda: next(turns) > 4)
        assert board.status is RunStatus.RUNNING
    give_up = time.monotonic() + 60
    with Embedded(world.home, world.pipeline, world.source, EmbeddedOptions()) as embedded:
        note = explain(embedded.state, "r", None, None, datetime.now(UTC)).note
        assert (
            "the clock of this machine is 259," in note
            and "set this clock right if it is wrong; if the record is" in note
        )
        board = embedded.drive("r", stop=lambda: time.monotonic() > give_up)
    assert board.status is RunStatus.COMPLETED


def test_a_run_in_a_home_whose_record_is_ahead_has_one_clock_and_its_log_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    ahead = datetime.now(UTC) + timedelta(days=700)
    world.clock.move_to(ahead)
    with world.open() as embedded:
        world.begin(embedded, run_id="first")
        embedded.drive("first")
    here = ("--home", world.home.root)
    typed = (*here, "run", "--pipeline", tmp_path / "pipeline.yaml", "--source", world.source)
    again = type_command(*typed, "--season", "2023-24", "--reprocess", "all", "--run-id", "r", "--json")
    assert again.returncode == 0, again.stderr
    assert 0 <= json.loads(again.stdout)["seconds"] < 600
    assert "behind the time that is recorded; it goes on from there: set this clock right if it is wrong; if the " in (
        world.home.log_of("r").read_text()
    )
    found = json.loads(type_command(*here, "forget", "--older-than", "0", "--json").stdout)
    assert {each["run_id"] for each in found["runs"]} == {"first", "r"}
    assert min(each["ended_at"] for each in found["runs"]) >= ahead.isoformat()[:19]


def test_a_further_attempt_waits_no_longer_than_its_backoff_whoever_said_when_the_last_one_ended() -> None:
    day = Day().release("fetch").note("fetch/a", 1, failed(ErrorClass.TRANSIENT, at=NOW + TEN_MINUTES))
    due = next(due for due in reconcile(day.facts, day.index).due if due.key.processor == "a")
    assert due.not_before is not None and due.not_before > NOW + TEN_MINUTES
    starts = due.starts_at(NOW)
    assert starts is not None and NOW < starts <= NOW + timedelta(seconds=1)
    assert due._replace(not_before=None).starts_at(NOW) is None


def test_what_is_dispatched_again_starts_no_later_than_its_backoff_from_now() -> None:
    day = Day().release("fetch").note("fetch/a", 1, failed(ErrorClass.TRANSIENT, at=NOW + TEN_MINUTES))
    due = next(due for due in reconcile(day.facts, day.index).due if due.key.processor == "a")
    queued, facts = list[QueueTask](), list[tuple[AttemptKey, Dispatched]]()
    backend: Any = SimpleNamespace(
        clock=VirtualClock(NOW),
        tasks=SimpleNamespace(create=queued.extend),
        state=SimpleNamespace(record=lambda _, added: facts.extend(added)),
    )
    run = Run(run_id="r", pipeline="p", pipeline_file="", plan_hash="", request_hash="", created_at=NOW)
    Dispatcher(backend).dispatch(run, [due])
    starts = [task.not_before for task in queued] + [fact.not_before for _, fact in facts]
    assert len(starts) == 2
    assert all(at is not None and NOW < at <= NOW + timedelta(seconds=1) for at in starts)


class Ticking(VirtualClock):
    """A clock that goes on by a millisecond whenever somebody looks at it."""

    def now(self) -> datetime:
        self.move_to(super().now() + timedelta(milliseconds=1))
        return super().now()


def test_a_pass_of_the_conductor_has_one_now_however_often_the_clock_goes_on_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, dates=3)
    world.clock = Ticking(START)
    world.options = replace(world.options, clock=world.clock)
    commit, known, written = SqliteState.commit, set[datetime](), list[set[datetime]]()

    def noting(
        state: SqliteState,
        run_id: str,
        board: Board,
        version: int,
        cells: Mapping[tuple[date, str], Cell],
        proofs: Sequence[tuple[AttemptKey, Proved]] = (),
    ) -> bool:
        groups = [group for cell in cells.values() for group in cell.groups.values()]
        moments = {proof.at for _, proof in proofs} | {group.released_at for group in groups}
        moments |= {at for at in (*(group.concluded_at for group in groups), board.finished_at) if at is not None}
        written.append(moments - known)
        known.update(moments)
        return commit(state, run_id, board, version, cells, proofs)

    monkeypatch.setattr(SqliteState, "commit", noting)
    with world.open() as embedded:
        world.begin(embedded)
        assert embedded.drive("r").status is RunStatus.COMPLETED
    assert {len(moments) for moments in written} <= {0, 1}
    assert sum(map(len, written)) > 5
