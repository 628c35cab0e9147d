"""A person has runs that are over forgotten: their documents go, what they made stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from phasegate.domain.errors import InputError
from phasegate.domain.state.run import DesiredState, Run, RunStatus
from phasegate.ports import State
from phasegate.services.reading.listing import current_status


@dataclass(frozen=True, slots=True)
class Forgettable:
    """A run that is over, and may be forgotten."""

    run_id: str
    """The run."""
    status: RunStatus
    """How it ended."""
    dates: int
    """How many dates it had."""
    ended_at: datetime
    """When it came to its end, UTC; of a cancelled run that never did, when it was begun."""


def forgettable(state: State, now: datetime, run_id: str | None, older_than_days: int | None) -> list[Forgettable]:
    """Return the run that is named, or all that ended so many days ago, oldest first.

    Raises InputError when neither or both are given, for an unknown run, and for one that is not over or whose workers
    may still be writing.
    """
    if (run_id is None) == (older_than_days is None):
        raise InputError("say which: a run, or --older-than DAYS")
    if run_id is not None:
        run = state.run(run_id)
        if why := _in_the_way(state, run, now):
            raise InputError(f"run '{run_id}' cannot be forgotten: {why}")
        return [_described(state, run)]
    if older_than_days is None or older_than_days < 0:
        raise InputError(f"--older-than: {older_than_days} is below 0; give a number of days")
    before = now - timedelta(days=older_than_days)
    found = [_described(state, run) for run in state.runs() if not _in_the_way(state, run, now)]
    return sorted((each for each in found if each.ended_at <= before), key=lambda each: (each.ended_at, each.run_id))


def forget(state: State, now: datetime, runs: Sequence[Forgettable]) -> None:
    """Forget these runs. Whoever dies in between does the rest when the same is asked again.

    Each is cancelled first, so that a retry that comes meanwhile is refused and starts nothing.
    """
    for each in runs:
        state.change_run(each.run_id, _closed)
        if why := _in_the_way(state, state.run(each.run_id), now):
            raise InputError(f"run '{each.run_id}' cannot be forgotten: {why}")
        state.forget_run(each.run_id, now)


def _closed(run: Run) -> Run:
    if run.desired_state is DesiredState.CANCELLED:
        return run
    return run.model_copy(update={"desired_state": DesiredState.CANCELLED, "epoch": run.epoch + 1})


def _in_the_way(state: State, run: Run, now: datetime) -> str:
    """Why a run cannot be forgotten; empty: it can."""
    board, _ = state.board(run.run_id)
    if not current_status(run, board).is_final:
        return f"it is {current_status(run, board).value}; end it first with: phasegate cancel {run.run_id}"
    if run.desired_state is not DesiredState.CANCELLED:
        return ""
    until = max((claim.lease_until for claim in state.open_claims(run.run_id)), default=now)
    return f"its workers may be writing until {until:%Y-%m-%d %H:%M:%S} UTC; try again then" if until > now else ""


def _described(state: State, run: Run) -> Forgettable:
    board, _ = state.board(run.run_id)
    dates = len(next(iter(board.groups.values()), b""))
    return Forgettable(run.run_id, current_status(run, board), dates, board.finished_at or board.started_at)
