"""Outputs are built on others, over tasks and dates: once those are gone or made again, these are stale."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date

from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.plan import PlanIndex, SameDateEdge, TaskSpec, WindowEdge
from phasegate.domain.spec.pipeline import ObjectOutput, TableOutput

Marks = list[list[bool]]
"""For each task, in the order of the index, one mark per date."""


def marks(index: PlanIndex, days_of: Mapping[str, Iterable[date]]) -> Marks:
    """Mark these dates. days_of: ref -> dates of the index."""
    marked = [[False] * len(index.days) for _ in index.tasks]
    for ref, days in days_of.items():
        for day in days:
            marked[index.by_ref[ref].number][index.position[day]] = True
    return marked


def spread(index: PlanIndex, seeds: Sequence[Sequence[bool]]) -> Marks:
    """Spread the marks to all that is built on what is marked: by a need, a gate on its date, a window before it."""
    reached: Marks = [[False] * len(index.days) for _ in index.tasks]
    upstream = [_upstream(index, task) for task in index.tasks]
    for position in range(len(index.days)):
        for task in index.tasks:
            same_date, windows = upstream[task.number]
            reached[task.number][position] = (
                seeds[task.number][position]
                or any(reached[n][position] for n in same_date)
                or any(any(reached[n][slice(*edge.inside[position])]) for n, edge in windows)
            )
    return reached


def built_on(index: PlanIndex, gone: Mapping[str, Collection[date]]) -> dict[str, tuple[date, ...]]:
    """Find what was made from outputs that are gone: ref -> dates, in order, without what is gone itself."""
    seeds = marks(index, gone)
    reached = spread(index, seeds)
    days_by_ref = {
        task.ref: tuple(
            day for p, day in enumerate(index.days) if reached[task.number][p] and not seeds[task.number][p]
        )
        for task in index.tasks
    }
    return {ref: days for ref, days in days_by_ref.items() if days}


def unseen(index: PlanIndex, gone: Mapping[str, Collection[date]]) -> tuple[str, ...]:
    """Find those of the outputs that are gone which a plan of what is *missing* does not make again, on some date.

    The planner judges an object that need not be there by the tables that need it, and a table that may be empty by the
    others of its phase (``planner._present_by_tables``): where those are still there, nothing is missing.
    """
    taken = marks(index, gone)
    noticed = [
        [is_gone and _is_noticed(index, task, p, taken) for p, is_gone in enumerate(taken[task.number])]
        for task in index.tasks
    ]
    again = spread(index, noticed)
    return tuple(
        task.ref
        for task in index.tasks
        if any(is_gone and not again[task.number][p] for p, is_gone in enumerate(taken[task.number]))
    )


def _is_noticed(index: PlanIndex, task: TaskSpec, position: int, taken: Marks) -> bool:
    if not isinstance(task.spec.output, TableOutput):
        behind = index.dependants[task.number]
        is_looked_for = isinstance(task.spec.output, ObjectOutput)
        if is_looked_for and task.expects[position] == ExpectationLetter.EXPECTED:
            return True
        return not behind or any(taken[n][position] for n in behind)
    if task.expects[position] != ExpectationLetter.OPTIONAL:
        return True
    cell = [t for t in index.tasks if t.phase == task.phase and t.expects[position] == ExpectationLetter.EXPECTED]
    return not cell or any(taken[t.number][position] for t in cell if isinstance(t.spec.output, TableOutput))


def _upstream(index: PlanIndex, task: TaskSpec) -> tuple[list[int], list[tuple[int, WindowEdge]]]:
    same_date = list(task.needs)
    windows: list[tuple[int, WindowEdge]] = []
    for edge in index.groups[task.group].edges:
        if isinstance(edge, SameDateEdge):
            same_date.extend(index.by_ref[ref].number for ref in edge.refs)
        elif isinstance(edge, WindowEdge):
            windows.extend((index.by_ref[ref].number, edge) for ref, group in edge.refs if group is not None)
    return same_date, windows
