"""The list of runs describes each in a few words, and needs little of what decides about them."""

from datetime import datetime
from typing import Any

from phasegate.domain.errors import UnreadableRun
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import DesiredState, Run, RunStatus, UnreadableDocument
from phasegate.ports import RunReader

UNREADABLE = "unreadable"
"""What stands in place of a status for a run that this version cannot read."""


def run_document(state: RunReader, run: Run) -> dict[str, Any]:
    """Describe a run in a few words: what ``runs --json`` lists, and what a kick-off is answered with."""
    board, _ = state.board(run.run_id)
    scope = state.scope(run.run_id)
    return {
        "run_id": run.run_id,
        "pipeline": run.pipeline,
        "status": current_status(run, board).value,
        "dates": len(scope.days),
        "first": scope.days[0].isoformat(),
        "last": scope.days[-1].isoformat(),
        "phases": [scope.phases[0], scope.phases[-1]],
        "created_at": utc_text(run.created_at),
        "why": run.why,
    }


def unreadable_document(run_id: str, reason: str) -> dict[str, Any]:
    """Describe a run that this version cannot read: ``run_document``'s place in a list, and ``status --json``."""
    return {"run_id": run_id, "status": UNREADABLE, "reason": reason}


def run_documents(state: RunReader) -> list[dict[str, Any]]:
    """Describe all runs, newest first, each read by itself."""
    return [
        unreadable_document(run.run_id, run.reason) if isinstance(run, UnreadableDocument) else _described(state, run)
        for run in state.every_run()
    ]


def _described(state: RunReader, run: Run) -> dict[str, Any]:
    try:
        return run_document(state, run)
    except UnreadableRun as error:
        return unreadable_document(run.run_id, str(error))


def current_status(run: Run, board: Board) -> RunStatus:
    """Return the status to show: a request that the conductor has not yet seen counts already."""
    if board.is_at_rest(run) and run.desired_state is not DesiredState.CANCELLED:
        return board.status
    return {
        DesiredState.RUNNING: RunStatus.RUNNING,
        DesiredState.PAUSED: RunStatus.PAUSED,
        DesiredState.DRAINING: RunStatus.DRAINING,
        DesiredState.CANCELLED: RunStatus.CANCELLED,
    }[run.desired_state]


def utc_text(moment: datetime) -> str:
    """Write a moment as JSON documents have it: UTC, to the second."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
