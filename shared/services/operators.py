"""What a person may do to a run. Each writes intent into the run's document; the handlers act on it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from shared.domain.board import Board
from shared.domain.errors import InputError
from shared.domain.facts import AttemptKey
from shared.domain.pipeline import did_you_mean
from shared.domain.run import RetryIntent, Run, RunStatus, Wanted
from shared.ports import Claim, Clock, State
from shared.services.conductor import retry_targets


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The answer to a cancel: the run, and the claims that were open when it was committed."""

    run: Run
    open_claims: tuple[AttemptKey, ...]


def pause(state: State, run_id: str) -> Run:
    """Start nothing more until ``resume``; what runs, ends."""
    return _want(state, run_id, Wanted.PAUSED)


def drain(state: State, run_id: str) -> Run:
    """Start nothing more, and let the driving process end when what runs has ended."""
    return _want(state, run_id, Wanted.DRAINING)


def resume(state: State, run_id: str) -> Run:
    """Go on after ``pause`` or ``drain``."""
    return _want(state, run_id, Wanted.RUNNING)


def cancel(state: State, run_id: str) -> Cancelled:
    """End the run for good: nothing is started after this. Returns the claims that were open at its commit."""

    def change(run: Run) -> Run:
        return run.model_copy(update={"wanted": Wanted.CANCELLED, "epoch": run.epoch + 1})

    _refuse_finished(state, run_id, "cancel")
    run = state.change_run(run_id, change)
    claims: Sequence[Claim] = state.open_claims(run_id)
    return Cancelled(run, tuple(claim.key for claim in claims))


def retry(
    state: State,
    clock: Clock,
    run_id: str,
    *,
    dates: tuple[date, ...],
    phase: str | None,
    processor: str | None,
    signature: str | None,
    why: str,
) -> list[tuple[date, str]]:
    """Ask for failed and blocked work again; returns the (date, ``phase/processor``) pairs that it is about.

    What the run reads from outside itself is judged anew, so that dates filled meanwhile no longer block.

    Raises InputError for a cancelled run, unknown names, dates that are not the run's, or when nothing matches.
    """
    run, plan = state.run(run_id), state.plan(run_id)
    if run.wanted is Wanted.CANCELLED:
        raise InputError(f"run '{run_id}' was cancelled; start a new run with --reprocess failed")
    if phase is not None and phase not in plan.phases:
        raise InputError(f"--phase: unknown phase '{phase}'{did_you_mean(phase, plan.phases)}")
    known = {name for (_, name) in plan.pipeline.registry}
    if processor is not None and processor not in known:
        raise InputError(f"--processor: unknown processor '{processor}'{did_you_mean(processor, known)}")
    for day in dates:
        if day not in plan.index.position:
            raise InputError(f"--date: {day} is not a date of run '{run_id}'")
    intent = RetryIntent(
        id=uuid.uuid4().hex[:12],
        dates=dates,
        phase=phase,
        processor=processor,
        signature=signature,
        why=why,
        at=clock.now(),
    )
    board, _ = state.board(run_id)
    targets = retry_targets(board, plan, intent)
    if not targets and not board.outside:
        raise InputError(f"run '{run_id}': nothing failed or blocked matches; see: phasegate explain {run_id}")
    state.change_run(run_id, lambda r: r.model_copy(update={"retries": (*r.retries, intent), "wanted": Wanted.RUNNING}))
    return targets


def _want(state: State, run_id: str, wanted: Wanted) -> Run:
    _refuse_finished(state, run_id, {Wanted.RUNNING: "resume", Wanted.PAUSED: "pause"}.get(wanted, "drain"))
    return state.change_run(run_id, lambda run: run.model_copy(update={"wanted": wanted}))


def _refuse_finished(state: State, run_id: str, verb: str) -> Board:
    run = state.run(run_id)
    if run.wanted is Wanted.CANCELLED:
        raise InputError(f"cannot {verb} run '{run_id}': it was cancelled")
    board, _ = state.board(run_id)
    if board.is_over(run) and board.status is not RunStatus.HALTED:
        raise InputError(f"cannot {verb} run '{run_id}': it has finished ({board.status.value})")
    return board
