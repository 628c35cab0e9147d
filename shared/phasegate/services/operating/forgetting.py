"""A person has runs that are over forgotten: their documents go, what they made stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from phasegate.domain.errors import InputError, UnknownRun, UnreadableRun
from phasegate.domain.state.board import ENDED, Board, bytes_of
from phasegate.domain.state.run import DesiredState, Run, RunStatus, UnreadableDocument
from phasegate.ports import State
from phasegate.services.reading.listing import current_status

MOST_DAYS = 36500
"""The longest time, in days, that a run may have ended ago to be asked for by it: a hundred years."""


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


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A run that would be forgotten, but for something in the way."""

    run_id: str
    """The run."""
    why: str
    """What is in the way, and what to do."""


def forgettable(state: State, now: datetime, run_id: str) -> Forgettable:
    """Return the run that is named.

    Raises InputError for an unknown run, one that cannot be read, and one that is not over or whose workers may still
    be writing.
    """
    run = state.run(run_id)
    board, _ = state.board(run_id)
    if why := _in_the_way(state, run, board, now):
        raise InputError(f"run '{run_id}' cannot be forgotten: {why}")
    return _described(run, board)


def all_forgettable(state: State, now: datetime, older_than_days: int) -> tuple[list[Forgettable], list[LeftOut]]:
    """Return all runs that ended at least so many days ago, oldest first, and those of them that must stay.

    Each run is read by itself: one that cannot be read is left out, whenever it ended, and the rest is not. Those that
    are not over are in neither list. Raises InputError for a number of days below 0 or above ``MOST_DAYS``.
    """
    if older_than_days < 0:
        raise InputError(f"--older-than: {older_than_days} is below 0; give a number of days")
    if older_than_days > MOST_DAYS:
        raise InputError(f"--older-than: {older_than_days} is above {MOST_DAYS}, a hundred years; give fewer days")
    before = now - timedelta(days=older_than_days)
    found: list[Forgettable] = []
    left_out: list[LeftOut] = []
    for run in state.every_run():
        try:
            if isinstance(run, UnreadableDocument):
                raise UnreadableRun(run.reason)
            board, _ = state.board(run.run_id)
            each = _described(run, board)
            if not each.status.is_final or each.ended_at > before:
                continue
            if why := _in_the_way(state, run, board, now):
                left_out.append(LeftOut(run.run_id, why))
            else:
                found.append(each)
        except (UnreadableRun, UnknownRun) as error:
            left_out.append(LeftOut(run.run_id, str(error)))
    return sorted(found, key=lambda each: (each.ended_at, each.run_id)), left_out


def close(state: State, now: datetime, runs: Sequence[Forgettable]) -> tuple[list[Forgettable], list[LeftOut]]:
    """Cancel these runs, so that a retry that comes before they are forgotten is refused and starts nothing.

    Returns those that can be forgotten now, and those that must stay because of what came meanwhile: none is cancelled
    that was seen to have to stay.
    """
    closed: list[Forgettable] = []
    left_out: list[LeftOut] = []
    for each in runs:
        try:
            why = _close_one(state, now, each.run_id)
        except InputError as error:
            why = str(error)
        if why:
            left_out.append(LeftOut(each.run_id, why))
        else:
            closed.append(each)
    return closed, left_out


def forget(state: State, now: datetime, closed: Sequence[Forgettable]) -> None:
    """Forget runs that were closed. Whoever dies in between does the rest when the same is asked again."""
    for each in closed:
        state.forget_run(each.run_id, now)


def _close_one(state: State, now: datetime, run_id: str) -> str:
    """Cancel a run, or say why it must stay."""
    seen = state.run(run_id)
    board, _ = state.board(run_id)
    if why := _in_the_way(state, seen, board, now):
        return why
    state.scope(run_id)  # What cannot be read whole is not forgotten: the dates whose rows it made are kept.

    def closed(run: Run) -> Run:
        if run != seen:
            raise InputError("somebody changes it at this moment; look at it, then try again")
        if run.desired_state is DesiredState.CANCELLED:
            return run
        return run.model_copy(update={"desired_state": DesiredState.CANCELLED, "epoch": run.epoch + 1})

    # A task that a halted run has in a queue may have been claimed since; from here on none can be.
    why = _in_the_way(state, state.change_run(run_id, closed), board, now)
    return f"it was cancelled, but {why}" if why else ""


def _in_the_way(state: State, run: Run, board: Board, now: datetime) -> str:
    """Why a run cannot be forgotten; empty: it can.

    Also a run that halted, or whose retry was taken back, may have workers that go on: whatever its status, the claims
    of what has not ended say so. Of a run that has ended everywhere nothing is asked.
    """
    status = current_status(run, board)
    if not status.is_final:
        return f"it is {status.value}; end it first with: phasegate cancel {run.run_id}"
    if all(not strip.translate(None, bytes_of(ENDED)) for strip in board.groups.values()):
        return ""
    index = state.index(run.run_id)
    # A retry takes releases back under workers that are at work: then they may be on any date.
    days = index.days if run.retries else board.open_days(index)
    until = max((claim.lease_until for claim in state.open_claims(run.run_id, days)), default=now)
    return f"its workers may be writing until {until:%Y-%m-%d %H:%M:%S} UTC; try again then" if until > now else ""


def _described(run: Run, board: Board) -> Forgettable:
    dates = len(next(iter(board.groups.values()), b""))
    return Forgettable(run.run_id, current_status(run, board), dates, board.finished_at or board.started_at)
