"""Outputs are built on others, over tasks and dates: once those are gone or made again, these are stale."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date

from phasegate.domain.plan import PlanIndex

Marks = list[list[bool]]
"""For each task, in the order of the index, one mark per date."""


def marks(index: PlanIndex, days_of: Mapping[str, Iterable[date]]) -> Marks:
    """Mark these dates. days_of: ref -> dates of the index."""
    marked = [[False] * len(index.days) for _ in index.tasks]
    for ref, days in days_of.items():
        for day in days:
            marked[index.by_ref[ref].number][index.position[day]] = True
    return marked


def spread(index: PlanIndex, seeds: Sequence[Sequence[object]]) -> Marks:
    """Spread the marks to all that is built on what is marked: what a task reads on its date, or in a window before it.

    seeds: marked is what is true.
    """
    reached: Marks = [[False] * len(index.days) for _ in index.tasks]
    upstream = [
        (
            [index.by_ref[ref].number for ref in inputs.same_date if ref in index.by_ref],
            [(index.by_ref[ref].number, edge) for ref, edge in inputs.windows if ref in index.by_ref],
        )
        for inputs in index.inputs
    ]
    for position in range(len(index.days)):
        for task in index.tasks:
            if not task.is_called(position):
                # Nothing is expected, and nothing will be there, whatever it would be made from.
                continue
            same_date, windows = upstream[task.number]
            reached[task.number][position] = (
                bool(seeds[task.number][position])
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
