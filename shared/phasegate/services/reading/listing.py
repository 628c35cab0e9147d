"""The list of runs describes each in a few words, and needs little of what decides about them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from phasegate.domain.state.board import Board
from phasegate.domain.state.listed import ListedRun
from phasegate.domain.state.run import DesiredState, Run, RunStatus, UnreadableDocument

UNREADABLE = "unreadable"
"""What stands in place of a status for a run that this version cannot read."""


def run_document(listed: ListedRun) -> dict[str, Any]:
    """Describe a run in a few words: what ``runs --json`` lists, and what a kick-off is answered with."""
    run, scope = listed.run, listed.scope
    return {
        "run_id": run.run_id,
        "pipeline": run.pipeline,
        "status": current_status(run, listed.board).value,
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


def run_documents(runs: Iterable[ListedRun | UnreadableDocument]) -> list[dict[str, Any]]:
    """Describe runs, in their order."""
    return [
        run_document(each) if isinstance(each, ListedRun) else unreadable_document(each.run_id, each.reason)
        for each in runs
    ]


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
