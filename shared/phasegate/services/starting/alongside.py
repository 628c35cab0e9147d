"""Two runs that are not over do not work on the same date of the same processor, unless somebody insists.

Nobody has a lock. A run is looked for before one is written, and once more afterwards: of two that began at the same
moment one sees the other at least, and the later, as the store took them, withdraws before it is woken.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain

from phasegate.domain.errors import InputError, UnreadableRun
from phasegate.domain.plan import Plan, WorkLetter
from phasegate.domain.state.run import DesiredState, Run
from phasegate.ports import RunReader, RunWriter, State
from phasegate.services.reading.under_way import under_way


@dataclass(frozen=True, slots=True)
class Rival:
    """A rival is an unfinished run that has work of another one in its plan."""

    run: Run
    """The run."""

    days: tuple[date, ...]
    """The dates that both have, in order."""

    refs: tuple[str, ...]
    """The tasks (``phase/processor``) that the other one would do on one of these dates at least, in order."""

    has_halted: bool = False
    """It is over, but not what it had started."""

    def __str__(self) -> str:
        standing = "halted with work still under way" if self.has_halted else "is not over"
        more = f" and {len(self.refs) - 1} more" if len(self.refs) > 1 else ""
        return (
            f"run '{self.run.run_id}' {standing} and has {self.refs[0]}{more} on {len(self.days)} of these dates, "
            f"{self.days[0]} to {self.days[-1]}: let it come to its end, or: phasegate cancel {self.run.run_id}; to "
            "insist, --alongside (in a kick-off: alongside)"
        )


def require_alone(state: State, plan: Plan, now: datetime) -> None:
    """Refuse a plan of which an unfinished run has a task on the same date, or one that halted is still at work there:
    raises InputError that names the run."""
    for rival in chain(_rivals(state, plan), _at_work(state, plan, now)):
        raise InputError(str(rival))


def require_alone_again(state: State, run_id: str, days: Callable[[], Collection[date]], now: datetime) -> None:
    """Refuse to go on with a run that was over, and is not what other runs were refused for: raises InputError that
    names an unfinished run which has a task of it, or one that halted and is still at work there.

    days: finds the dates on which it would work; asked only where there is another run.
    """
    if any(other != run_id for other in (*state.unfinished(), *state.halted_at_work())):
        plan, again = state.plan(run_id), frozenset(days())
        for rival in chain(_rivals(state, plan, run_id, again), _at_work(state, plan, now, run_id, again)):
            raise InputError(str(rival))


def withdraw_if_later(state: RunWriter, run: Run, plan: Plan) -> None:
    """Cancel a run that was just written when one that was written earlier has work of it: raises InputError.

    Who was written first need not see the later one, and goes on. So the order is the store's: by the clocks of two
    machines the later one might take itself for the earlier, and both would go on.
    """
    for rival in _rivals(state, plan, run.run_id):
        if (state.written(rival.run.run_id), rival.run.run_id) < (state.written(run.run_id), run.run_id):
            state.change_run(run.run_id, _withdrawn)
            raise InputError(f"{rival}. Both began at the same moment; '{run.run_id}' was cancelled before it began")


def _withdrawn(run: Run) -> Run:
    return run.model_copy(update={"desired_state": DesiredState.CANCELLED, "epoch": run.epoch + 1})


def _rivals(
    state: RunReader, plan: Plan, own: str | None = None, again: Collection[date] | None = None
) -> Iterator[Rival]:
    """The unfinished runs that have in their plans what this one would do. One that nobody can read stops nobody.

    again: the dates on which the run of the plan goes on; also what it had adopted may be made there. None: it begins.
    """
    for run_id in state.unfinished():
        if run_id == own:
            continue
        try:
            run, other = state.run(run_id), state.plan(run_id)
        except UnreadableRun:
            continue
        if run.desired_state is DesiredState.CANCELLED or run.pipeline != plan.pipeline.pipeline:
            continue
        of_other = frozenset(other.days)
        of_both = of_other if again is None else of_other.intersection(again)
        shared = [(position, day) for position, day in enumerate(plan.days) if day in of_both]
        refs = tuple(
            ref
            for ref, letters in plan.letters.items()
            if ref in other.work
            and any(again is not None or letters[position] == WorkLetter.RUN for position, _ in shared)
        )
        if refs:
            yield Rival(run, tuple(day for _, day in shared), refs)


def _at_work(
    state: State, plan: Plan, now: datetime, own: str | None = None, again: Collection[date] | None = None
) -> Iterator[Rival]:
    """The runs that halted, and have in a queue or with a worker what this one would do; as for ``_rivals``."""
    wanted = frozenset(plan.days if again is None else again)
    for run_id in state.halted_at_work():
        if run_id == own:
            continue
        try:
            run, (board, _) = state.run(run_id), state.board(run_id)
            index = state.index(run_id, board.plan)
            if run.desired_state is DesiredState.CANCELLED or run.pipeline != plan.pipeline.pipeline:
                continue
            days = [day for day in board.open_days(index) if day in wanted]
            keys = [key for key, _ in under_way(state, run_id, index, days, now) if key.ref in plan.work]
        except UnreadableRun:
            continue
        if keys:
            met = {key.day for key in keys}
            refs = dict.fromkeys(ref for ref in plan.work if any(key.ref == ref for key in keys))
            yield Rival(run, tuple(sorted(met)), tuple(refs), has_halted=True)
