"""Many unfinished runs on a stack, one of which nobody can read: each of the others is swept."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from phasegate.domain.plan import compile_plan
from phasegate.domain.state.board import Board, BoardLetter
from phasegate.domain.state.facts import AttemptKey, Cell, GroupState
from phasegate.domain.state.run import DesiredState
from phasegate.ports import ClaimRequest, State
from tests.conftest import FULL
from tests.contract.spoiling import change_stored, newer_layout
from tests.stack.idle import write_idle_pipeline
from tests.stack.running import PATIENCE_SECONDS, connected, running_stack
from tests.unit.builders import dispatched, plan, run

RUNS = 200 if FULL else 100
UNREADABLE = "run-000"
"""The first in every order in which runs could be swept one after the other."""


def test_every_readable_run_is_swept_within_two_sweeps(tmp_path: Path) -> None:
    pipeline = write_idle_pipeline(tmp_path / "idle.yaml", "http://127.0.0.1:9")
    with running_stack(tmp_path / "home", pipeline=pipeline, sweep_every=3600) as stack, connected(stack) as there:
        state = there.backend.state
        waiting = {f"run-{number:03}" for number in range(RUNS)}
        for run_id in sorted(waiting):
            _with_a_dead_claim(state, run_id)
        change_stored(state, "run", UNREADABLE, newer_layout)
        waiting.discard(UNREADABLE)
        for minute in range(2):
            when = {"X-CloudScheduler-ScheduleTime": f"2026-01-01T00:0{minute}:00Z"}
            answer = requests.post(stack.function_url("sweeper"), json={}, headers=when, timeout=180)
            assert (answer.status_code, len(answer.json()["queued"])) == (200, RUNS)
        give_up = time.monotonic() + PATIENCE_SECONDS
        while waiting and time.monotonic() < give_up:
            waiting = {run_id for run_id in waiting if [heal.kind for heal in state.heals(run_id)] != ["lease"]}
        assert waiting == set()
        assert "cannot be read" in stack.processes["sweeper"].log.read_text()


def _with_a_dead_claim(state: State, run_id: str) -> None:
    """A paused run with an attempt whose lease ran out: what a sweep, and nothing else, ends."""
    frozen, long_ago = plan(dates=2), datetime.now(UTC) - timedelta(hours=1)
    index, day = compile_plan(frozen), frozen.days[0]
    made = run(run_id=run_id, desired_state=DesiredState.PAUSED, created_at=long_ago)
    assert state.create_run(made, frozen, Board.blank(run_id, index, long_ago))
    board, version = state.board(run_id)
    board.set_letter("fetch", 0, BoardLetter.RELEASED)
    cell = Cell(1, {"fetch": GroupState(1, long_ago)})
    assert state.commit(run_id, board, version, {(day, "fetch"): cell})
    key = AttemptKey(day, "fetch", "a", 1)
    state.record(run_id, [(key, dispatched(at=long_ago))])
    state.claim(run_id, [ClaimRequest(key, 1, 1, (), long_ago + timedelta(minutes=1))], long_ago)
