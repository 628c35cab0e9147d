"""Begins a run: writes it once, whoever asks and how often."""

import hashlib
import json
from typing import Any

from shared.domain.board import Board
from shared.domain.errors import InputError
from shared.domain.plan import Plan
from shared.domain.run import Run, Wanted
from shared.ports import Clock, State


def request_hash(request: dict[str, Any]) -> str:
    """A short name for what was asked: the same command finds its unfinished run again by it."""
    text = json.dumps(request, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def unfinished_run(state: State, asked: str) -> Run | None:
    """The newest run of the same request that has not come to its end."""
    for run in state.runs():
        if run.request_hash == asked and run.wanted is not Wanted.CANCELLED:
            board, _ = state.board(run.run_id)
            if not board.is_over(run):
                return run
    return None


def start_run(state: State, clock: Clock, run: Run, plan: Plan) -> Run:
    """Write the run, its plan and a blank board. The same run id twice is the same run.

    Raises InputError when the id belongs to a run of another request.
    """
    if not state.create_run(run, plan, Board.blank(run.run_id, plan.index, clock.now())):
        there = state.run(run.run_id)
        if there.request_hash != run.request_hash:
            raise InputError(
                f"run '{run.run_id}' exists and was asked for differently (other dates, phases or pipeline file); "
                "give another --run-id, or leave it out"
            )
        return there
    return run
