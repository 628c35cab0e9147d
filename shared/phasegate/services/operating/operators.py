"""A person pauses, drains, resumes, cancels, retries or limits a run. Each writes intent into the run's document; the
handlers act on it."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from phasegate.domain.decisions.edges import Blockage
from phasegate.domain.decisions.retry import reach, reopen, retry_targets
from phasegate.domain.errors import InputError
from phasegate.domain.plan import PlanIndex
from phasegate.domain.spec.pipeline import did_you_mean
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import AttemptKey
from phasegate.domain.state.run import DesiredState, RetryIntent, Run, RunStatus
from phasegate.ports import Claim, Clock, RunReader, RunWriter, State
from phasegate.services.operating.generations import Generation, keep
from phasegate.services.starting.alongside import require_alone_again

Ready = Callable[[], None]
"""Called when nothing speaks against a change with which a run goes on, before it is written: what it raises refuses
the change."""


def at_once() -> None:
    """Nothing has to be made ready."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The answer to a cancel names what may still be under way."""

    run: Run
    """The run as the cancel left it."""

    open_claims: tuple[AttemptKey, ...]
    """The attempts that were claimed and not ended when the cancel was committed."""


def pause(state: RunWriter, run_id: str) -> Run:
    """Start nothing more until ``resume``; what runs, ends."""
    return _set_desired(state, run_id, "pause", DesiredState.PAUSED)


def drain(state: RunWriter, run_id: str) -> Run:
    """Start nothing more, and let the driving process end when what runs has ended."""
    return _set_desired(state, run_id, "drain", DesiredState.DRAINING)


def resume(state: RunWriter, run_id: str, ready: Ready = at_once) -> Run:
    """Go on after ``pause`` or ``drain``. ready: see ``Ready``."""
    return _set_desired(state, run_id, "resume", DesiredState.RUNNING, ready)


def cancel(state: State, run_id: str) -> Cancelled:
    """End the run for good: nothing is started after this. Returns the claims that were open at its commit.

    A run that halted may be cancelled too: what it has in queues would be started still.
    """
    if state.board(run_id)[0].status is not RunStatus.HALTED:
        _refuse_finished(state, run_id, "cancel")
    run = change(state, run_id, "cancel", lambda r: {"desired_state": DesiredState.CANCELLED, "epoch": r.epoch + 1})
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
    alongside: bool = False,
    accept_empty: bool = False,
    mended: Generation | None = None,
    ready: Ready = at_once,
) -> list[tuple[date, str]]:
    """Ask for failed and blocked work again; returns the (date, ``phase/processor``) pairs that it is about.

    What the run reads from outside itself is judged anew, so that dates filled meanwhile no longer block. A paused
    run goes on.

    alongside: also where an unfinished run works on the same. accept_empty: what is retried may leave nothing where
    rows stand; dates, processor and reason are named then. mended: the generation of the plan by which the run goes on
    from now on, as its pipeline file was mended; then nothing need have failed. ready: see ``Ready``. Raises InputError
    for a cancelled run, unknown names, dates that are not the run's, when nothing matches, or when a run that is over
    would go on beside such a run.
    """
    change(state, run_id, "retry", lambda _: {})
    index = state.index(run_id)
    plan = index.plan
    if phase is not None and phase not in plan.phases:
        raise InputError(f"--phase: unknown phase '{phase}'{did_you_mean(phase, plan.phases)}")
    known = {name for (_, name) in plan.pipeline.registry}
    if processor is not None and processor not in known:
        raise InputError(f"--processor: unknown processor '{processor}'{did_you_mean(processor, known)}")
    for day in dates:
        if day not in index.position:
            raise InputError(f"--date: {day} is not a date of run '{run_id}'")
    if accept_empty and not (dates and processor and why.strip()):
        raise InputError("--accept-empty deletes rows for good: name --date, --processor and --why as well")
    intent = RetryIntent(
        id=uuid.uuid4().hex[:12],
        dates=dates,
        phase=phase,
        processor=processor,
        signature=signature,
        accept_empty=accept_empty,
        why=why,
        at=clock.now(),
    )
    board, _ = state.board(run_id)
    targets = retry_targets(board, plan, intent)
    is_narrowed = bool(dates or phase or processor or signature)
    if not targets and (is_narrowed or not (board.outside or board.halted_because or mended)):
        raise InputError(f"run '{run_id}': nothing failed or blocked matches; see: phasegate explain {run_id}")
    if not alongside and board.is_over(state.run(run_id)):
        days = index.days if mended else _days_retried(index, board, targets)
        require_alone_again(state, run_id, lambda: days, clock.now())
    ready()
    referring = keep(state, clock, run_id, mended, why) if mended else None

    def add(run: Run) -> dict[str, object]:
        also = referring(run) if referring else {}
        return {**also, "retries": (*run.retries, intent), "desired_state": DesiredState.RUNNING}

    change(state, run_id, "retry", add)
    return targets


def _days_retried(index: PlanIndex, board: Board, targets: Sequence[tuple[date, str]]) -> list[date]:
    """The dates on which something can be started when these targets are retried."""
    after = board.copy()
    reopen(index, after, reach(index, board, targets))
    blockage, begun = Blockage(index, after), frozenset(after.open_days(index))
    return [day for position, day in enumerate(index.days) if day in begun or not blockage.is_stuck(position)]


def set_limit(state: RunWriter, run_id: str, phase: str, active_dates: int) -> Run:
    """Let so many dates be active in a phase from now on; those that are already, go on.

    Raises InputError for an unknown phase, one that is released with another (whose limit counts), or a number below 1.
    """
    if active_dates < 1:
        raise InputError(f"--active-dates: {active_dates} is below 1; to start nothing more: phasegate pause {run_id}")
    plan = state.plan(run_id)
    if phase not in plan.phases:
        raise InputError(f"--phase: unknown phase '{phase}'{did_you_mean(phase, plan.phases)}")
    if (leader := plan.pipeline.phase(phase).released_with) in plan.phases:
        raise InputError(f"--phase: {phase} is released with {leader}, whose limit counts for both; set that")
    _refuse_finished(state, run_id, "change")
    return change(state, run_id, "change", lambda r: {"active_dates": {**r.active_dates, phase: active_dates}})


def _set_desired(state: RunWriter, run_id: str, verb: str, desired: DesiredState, ready: Ready = at_once) -> Run:
    _refuse_finished(state, run_id, verb)
    ready()
    return change(state, run_id, verb, lambda _: {"desired_state": desired})


def change(state: RunWriter, run_id: str, verb: str, update: Callable[[Run], dict[str, object]]) -> Run:
    """Change the run's document; a cancelled run stays cancelled, whoever came first. Raises InputError for one."""

    def changed(run: Run) -> Run:
        if run.desired_state is DesiredState.CANCELLED:
            raise InputError(
                f"cannot {verb} run '{run_id}': it was cancelled; what begins a new one: phasegate explain {run_id}"
            )
        return run.model_copy(update=update(run))

    return state.change_run(run_id, changed)


def _refuse_finished(state: RunReader, run_id: str, verb: str) -> None:
    run = state.run(run_id)
    board, _ = state.board(run_id)
    if run.desired_state is not DesiredState.CANCELLED and board.is_over(run):
        if board.status is RunStatus.HALTED:
            raise InputError(
                f"cannot {verb} run '{run_id}': it halted ({board.halted_because}); mend that, then: "
                f"phasegate retry {run_id}"
            )
        raise InputError(f"cannot {verb} run '{run_id}': it has finished ({board.status.value})")
