"""A person has a run go on by a later generation of its plan, which takes over what the schedule says now.

The generation is kept first, then the run's document refers to it, then the conductor enters it: whatever dies in
between, the run goes by the generation before until it goes by the next one whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.decisions.refreshing import refreshed
from phasegate.domain.decisions.retry import Changes
from phasegate.domain.errors import InputError
from phasegate.domain.operations.overrides import window_begins
from phasegate.domain.plan import (
    Plan,
    PlanIndex,
    ScheduleChanges,
    WorkLetter,
    compare,
    compile_plan,
    regenerate,
)
from phasegate.domain.state.run import Run
from phasegate.ports import Clock, State
from phasegate.services.operating.generations import Generation, keep
from phasegate.services.operating.operators import Ready, at_once, change
from phasegate.services.starting.alongside import require_alone_again


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal is a later generation of a run's plan that is not written yet."""

    run: Run
    """The run, as it was read."""

    before: PlanIndex
    """The generation that people want the run to go by now."""

    after: PlanIndex
    """The one that would follow on it."""

    changes: ScheduleChanges
    """In what the schedule differs from the calendar of the one before."""

    effects: Changes
    """What would be made again or judged again, by (position of the date, phase)."""

    @property
    def days(self) -> tuple[date, ...]:
        """Return the dates on which something is made again or judged again, in order."""
        return tuple(self.after.days[position] for position in sorted({position for position, _ in self.effects}))

    @property
    def tasks_made(self) -> int:
        """Count the tasks that are made by what the schedule says now, again or for the first time."""
        of_phase = {(task.phase, task.processor): task for task in self.after.tasks}
        return sum(
            of_phase[phase, processor].work[position] != WorkLetter.NOTHING_DUE
            for (position, phase), cell in self.effects.items()
            for processor in cell.redo
        )


def propose(state: State, clock: Clock, run_id: str, calendar_of: Callable[[Run, Plan], Calendar]) -> Proposal:
    """Propose to take over what the schedule says now. Nothing is written.

    calendar_of: reads the schedule of a run. Raises InputError for a cancelled run, where nothing changed, and as
    ``calendar_of`` does.
    """
    run = change(state, run_id, "refresh", lambda _: {})
    plan = state.plan(run_id, run.newest_plan)
    calendar = calendar_of(run, plan)
    changes = compare(plan, calendar, window_begins(plan.pipeline, clock.now()))
    if not changes:
        raise InputError(f"run '{run_id}': the schedule has not changed for it; there is nothing to refresh")
    before, after = state.index(run_id, run.newest_plan), compile_plan(regenerate(plan, plan.pipeline, calendar))
    return Proposal(run, before, after, changes, refreshed(before, after, state.board(run_id)[0]))


def refresh(
    state: State,
    clock: Clock,
    proposal: Proposal,
    *,
    why: str = "",
    alongside: bool = False,
    ready: Ready = at_once,
) -> Run:
    """Have the run go on by the proposed generation of its plan: one that is over is opened again, a paused one stays
    so.

    alongside: also where an unfinished run works on the same. ready: see ``Ready``. Raises InputError for a run that
    was cancelled or refreshed meanwhile, and when a run that is over would go on beside an unfinished one.
    """
    run_id, before = proposal.run.run_id, proposal.run.newest_plan
    board, _ = state.board(run_id)
    if not alongside and board.is_over(state.run(run_id)):
        require_alone_again(state, run_id, lambda: proposal.days, clock.now())
    ready()
    return change(state, run_id, "refresh", keep(state, clock, run_id, Generation(before, proposal.after.plan), why))
