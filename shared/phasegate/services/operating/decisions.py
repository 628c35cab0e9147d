"""A person may let pass a blocked check (a waiver), or a phase that waits (an approval). Written into the run's
document."""

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from phasegate.domain.errors import InputError
from phasegate.domain.plan import Plan, PlanIndex
from phasegate.domain.protocol.written_dates import is_day, read_day, read_moment
from phasegate.domain.spec.checks import OWN_CHECKS, name_of
from phasegate.domain.spec.gates import ApprovalGate
from phasegate.domain.spec.pipeline import did_you_mean
from phasegate.domain.state.board import GOOD, Board, bytes_of
from phasegate.domain.state.run import MOST_WAIVED, Approval, Run, RunStatus, Waiver
from phasegate.ports import Clock, State
from phasegate.services.operating.operators import Ready, at_once, change
from phasegate.services.starting.alongside import require_alone_again


def approve(
    state: State,
    clock: Clock,
    run_id: str,
    phase: str,
    *,
    by: str,
    why: str,
    alongside: bool = False,
    ready: Ready = at_once,
) -> Run:
    """Let a phase go, for all dates of the run.

    alongside: also where an unfinished run works on the same. ready: called before the approval is written, and may
    refuse it. Raises InputError for a cancelled run, an unknown phase, one that no approval holds, one that was
    approved, or when a run that is over would go on beside such a run.
    """
    change(state, run_id, "approve", lambda _: {})
    plan = state.plan(run_id)
    _require_phase(plan, phase, "PHASE")
    if not any(isinstance(gate, ApprovalGate) for gate in plan.pipeline.phase(phase).gates):
        held = [p for p in plan.phases if any(isinstance(g, ApprovalGate) for g in plan.pipeline.phase(p).gates)]
        raise InputError(f"phase '{phase}' waits for no approval; those that do: {', '.join(held) or 'none'}")
    if not alongside:
        _require_alone(state, run_id, clock.now())
    approved = Approval(id=uuid.uuid4().hex[:12], phase=phase, by=_signed(by), why=why, at=clock.now())

    def add(run: Run) -> dict[str, object]:
        for there in run.approvals:
            if there.phase == phase:
                raise InputError(
                    f"phase '{phase}' of run '{run_id}' was approved by {there.by} at {there.at:%Y-%m-%d %H:%M} UTC"
                )
        return {"approvals": (*run.approvals, approved)}

    add(state.run(run_id))
    ready()
    return change(state, run_id, "approve", add)


def waive(
    state: State,
    clock: Clock,
    run_id: str,
    *,
    dates: Sequence[date],
    check: str,
    phase: str | None,
    processor: str | None,
    until: str,
    by: str,
    why: str,
    alongside: bool = False,
    ready: Ready = at_once,
) -> tuple[Run, Waiver]:
    """Let a blocked check pass on some dates, until an end; returns the run and the waiver.

    until: a date (its end, in the pipeline's time zone) or a date and time (there, unless it names a zone).
    alongside: also where an unfinished run works on the same. ready: called before the waiver is written, and may
    refuse it.
    Raises InputError for a cancelled or completed run, a date that is not the run's, an unknown name, a check that
    nothing in the scope has, an end that is past, without a reason, or when a run that is over would go on beside an
    unfinished one.
    """
    change(state, run_id, "waive a check of", lambda _: {})
    index, now = state.index(run_id), clock.now()
    plan = index.plan
    run, (board, _) = state.run(run_id), state.board(run_id)
    if board.is_over(run) and board.status is RunStatus.COMPLETED:
        raise InputError(f"run '{run_id}' is completed: there is nothing left to waive")
    days = tuple(sorted(set(dates)))
    for day in days:
        if day not in index.position:
            raise InputError(f"--date: {day} is not a date of run '{run_id}'")
    if not 0 < len(days) <= MOST_WAIVED:
        raise InputError(f"--date: give 1 to {MOST_WAIVED} dates a waiver, not {len(days)}")
    if not why.strip():
        raise InputError("--why: say why the check may pass; the reason stands in the report")
    end = moment(until, plan.pipeline.timezone)
    if end <= now:
        raise InputError(f"--until: '{until}' is past; a waiver needs an end that is still to come")
    if phase is not None:
        _require_phase(plan, phase, "--phase")
    canonical = _require_check(plan, check, phase, processor)
    if not alongside:
        _require_alone(state, run_id, clock.now())
    waiver = Waiver(
        id=uuid.uuid4().hex[:12],
        dates=days,
        check=check,
        phase=phase,
        processor=canonical,
        why=why,
        by=_signed(by),
        at=now,
        until=end,
    )
    ready()
    return change(state, run_id, "waive a check of", lambda r: {"waivers": (*r.waivers, waiver)}), waiver


def moment(text: str, timezone: str) -> datetime:
    """Return the UTC time of ``YYYY-MM-DD`` (the end of that day) or ``YYYY-MM-DDTHH:MM[:SS][zone]``. Raises
    InputError for any other form."""
    zone = ZoneInfo(timezone)
    try:
        if is_day(text):
            end_of_day = datetime.combine(read_day(text) + timedelta(days=1), time.min, zone)
            return end_of_day.astimezone(UTC)
        found = read_moment(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"--until: '{text}' is no date or time ({error}); write 2024-01-31, or 2024-01-31T18:00 for a time "
            f"in {timezone}"
        ) from error


def _require_phase(plan: Plan, phase: str, flag: str) -> None:
    if phase not in plan.phases:
        raise InputError(f"{flag}: unknown phase '{phase}'{did_you_mean(phase, plan.phases)}")


def _require_check(plan: Plan, check: str, phase: str | None, processor: str | None) -> str | None:
    """The canonical name of the processor. Raises InputError unless something in the scope is checked like that."""
    phases = [phase] if phase else list(plan.phases)
    registry = plan.pipeline.registry
    processors = {registry[p, processor] for p in phases if processor and (p, processor) in registry}
    if processor is not None and not processors:
        known = {name for (p, name) in registry if p in phases}
        raise InputError(f"--processor: unknown processor '{processor}'{did_you_mean(processor, known)}")
    checks = set(OWN_CHECKS) | {
        name_of(each)
        for p in phases
        for x in plan.pipeline.phase(p).processors
        if not processors or x.name in processors
        for each in plan.pipeline.phase(p).checks_of(x)
    }
    if check not in checks:
        where = f" of {processor or phase}" if processor or phase else ""
        raise InputError(f"--check: nothing{where} is checked by '{check}'{did_you_mean(check, checks)}")
    if len(processors) > 1:
        raise InputError(f"--processor: '{processor}' stands for several processors; say which with --phase")
    return processors.pop() if processors else None


def _require_alone(state: State, run_id: str, now: datetime) -> None:
    """Refuse to have a run that is over go on where an unfinished run works on the same: raises InputError."""
    board, _ = state.board(run_id)
    if board.is_over(state.run(run_id)):
        require_alone_again(state, run_id, lambda: _days_left(state.index(run_id), board), now)


def _days_left(index: PlanIndex, board: Board) -> list[date]:
    """The dates on which something is not done."""
    letters = {name: strip.translate(None, bytes_of(GOOD)) for name, strip in board.groups.items()}
    return [day for p, day in enumerate(index.days) if any(board.groups[n][p] in left for n, left in letters.items())]


def _signed(by: str) -> str:
    if not by.strip():
        raise InputError("--by: say who decides this")
    return by
