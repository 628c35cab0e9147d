"""A run that goes on may find that a warehouse has lost what it had made: nothing is released on rows that are gone."""

from collections.abc import Mapping, Sequence
from datetime import date

from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.checks.proof import Found
from phasegate.domain.decisions.reconcile import TaskStatus, TaskView, derive
from phasegate.domain.errors import HaltError, PhasegateError, TransientError
from phasegate.domain.plan import PlanIndex, TaskSpec
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.ports import State
from phasegate.services.reading.progress import DATES_AT_ONCE
from phasegate.services.reading.prover import Prover

NAMED = 3
"""Lost outputs that the message names."""


def require_rows(state: State, prover: Prover, run_id: str) -> None:
    """Refuse to go on with a run whose rows are gone since they were proved, or taken over: raises HaltError."""
    index = state.index(run_id)
    lost = lost_rows(index, _done(state, run_id, index), prover)
    if not lost:
        return
    named = ", ".join(f"{ref.rpartition('/')[2]} of {day}" for day, ref in lost[:NAMED])
    more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    is_over = state.board(run_id)[0].is_over(state.run(run_id))
    give_up = "" if is_over else f"give it up with `phasegate cancel {run_id}`, then "
    raise HaltError(
        f"run '{run_id}' does not go on: the tables no longer hold what it found right ({named}{more}); {give_up}type "
        "its `phasegate run` again under another --run-id, or none: what is missing is made again"
    )


def lost_rows(index: PlanIndex, done: Mapping[str, Mapping[date, TaskView]], prover: Prover) -> list[tuple[date, str]]:
    """Find the (date, ``phase/processor``) pairs whose rows are gone, or are older than those that were proved.

    done: by ref and date, what stands as done with rows in a table. A table that is not there has lost all of them; of
    one that does not answer nothing is known.
    """
    counted = prover.count({ref: (index.processor(ref).output, days) for ref, days in done.items()})
    lost: list[tuple[date, str]] = []
    for ref, views in done.items():
        if isinstance(answer := counted[ref], TransientError):
            continue
        found = {} if answer is None or isinstance(answer, PhasegateError) else answer
        lost += [(day, ref) for day, view in views.items() if _is_lost(view, found.get(day))]
    return sorted(lost)


def _done(state: State, run_id: str, index: PlanIndex) -> dict[str, dict[date, TaskView]]:
    done: dict[str, dict[date, TaskView]] = {}
    for first in range(0, len(index.days), DATES_AT_ONCE):
        for facts in state.dates(run_id, index.days[first : first + DATES_AT_ONCE]).values():
            views: Sequence[TaskView] = derive(facts, index)
            for task, view in zip(index.tasks, views, strict=True):
                if _has_rows(task, view, index.position[facts.day]):
                    done.setdefault(task.ref, {})[facts.day] = view
    return done


def _has_rows(task: TaskSpec, view: TaskView, position: int) -> bool:
    """Whether a task stands as done, with rows in a table; an adopted one has those that the calendar demands."""
    if view.status is not TaskStatus.SUCCEEDED or not isinstance(task.spec.output, TableOutput):
        return False
    proved = view.facts.proved if view.facts else None
    return bool(proved.rows) if proved else task.expects[position] == ExpectationLetter.EXPECTED


def _is_lost(view: TaskView, found: Found | None) -> bool:
    if found is None or not found.rows:
        return True
    reported = view.facts.reported if view.facts else None
    return reported is not None and found.highest_fence is not None and found.highest_fence < reported.fence
