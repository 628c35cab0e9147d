"""A later generation of a plan is entered: what was decided by the one before is looked at again where the two
differ."""

from collections.abc import Iterator

from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.decisions.retry import Changes, Spread
from phasegate.domain.plan import PlanIndex, ReleaseGroup, TaskSpec, WindowEdge, WorkLetter
from phasegate.domain.state.board import Board

_NOT_MADE = (WorkLetter.NOTHING_DUE, WorkLetter.NOT_NEEDED)

_LESS = (ExpectationLetter.EXPECTED, ExpectationLetter.OPTIONAL)
"""What was expected of a task and is now, where all that was right stays right."""


def refreshed(before: PlanIndex, after: PlanIndex, board: Board) -> Changes:
    """Find what changes on a board when a run goes on by another generation of its plan, by (position, phase).

    - A date with other numbers, keys, sources or another season is made again, with all that was built on it: what the
      calendar says of a date is an input of all its tasks. So is a task of which more is expected than before.
    - A task that reads the calendar of its season is made again where that is another one up to its date.
    - A release group one of whose windows has other dates is taken back.
    - A date that is lost is judged again: nothing is due there, and what is under way is waited for.
    - Where only a check or an expectation differs, the group is judged again, and nothing is made again.

    The board stays as it is; it stands by ``before``.
    """
    spread = Spread(after, board)
    for position in range(len(after.days)):
        if made := list(_made_again(before, after, position)):
            spread.run_again(position, made)
    for group, position in _of_other_windows(before, after):
        spread.take_back(position, group)
    for group, other in zip(before.groups, after.groups, strict=True):
        tasks = [(before.tasks[number], after.tasks[number]) for number in group.tasks]
        is_checked_anew = any(before.checks(one.ref) != after.checks(two.ref) for one, two in tasks)
        for position in range(len(after.days)):
            void = [two.number for one, two in tasks if _is_called_off(one, two, position)]
            is_other = any(one.expects[position] != two.expects[position] for one, two in tasks)
            if is_checked_anew or is_other or void:
                spread.look_again(position, other, void)
    return spread.cells


def _made_again(before: PlanIndex, after: PlanIndex, position: int) -> Iterator[int]:
    day = after.days[position]
    if day in after.calendar.lost:
        return
    is_other = before.calendar.by_day[day] != after.calendar.by_day[day] or day in before.calendar.lost
    for task in after.tasks:
        expected = before.tasks[task.number].expects[position], task.expects[position]
        is_more = expected[0] != expected[1] and expected != _LESS
        # Of every other task the date's own entry, and windows, say all.
        is_of_season = task.spec.reads_calendar is not None
        is_read = is_of_season and before.season_to_date.get(day) != after.season_to_date.get(day)
        if task.work[position] not in _NOT_MADE and (is_other or is_more or is_read):
            yield task.number


def _of_other_windows(before: PlanIndex, after: PlanIndex) -> Iterator[tuple[ReleaseGroup, int]]:
    for one, two in zip(before.groups, after.groups, strict=True):
        for edge, other in zip(one.edges, two.edges, strict=True):
            if isinstance(edge, WindowEdge) and isinstance(other, WindowEdge):
                for position, day in enumerate(after.days):
                    if edge.whole[position] != other.whole[position] and day not in after.calendar.lost:
                        yield two, position


def _is_called_off(before: TaskSpec, after: TaskSpec, position: int) -> bool:
    """Whether something was due of a task, and is not any more: attempts that were begun count no more."""
    was_due = before.work[position] != WorkLetter.NOTHING_DUE
    return was_due and after.work[position] == WorkLetter.NOTHING_DUE
