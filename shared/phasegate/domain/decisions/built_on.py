"""Outputs are built on others, over tasks and dates: once those are gone or made again, these are stale."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date

from phasegate.domain.plan import PlanIndex, SameDateEdge, TaskSpec, WindowEdge

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
    """Spread the marks to all that is built on what is marked, on its date or in a window before it (``inputs_of``).

    seeds: marked is what is true.
    """
    reached: Marks = [[False] * len(index.days) for _ in index.tasks]
    upstream = [_upstream(index, task) for task in index.tasks]
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


def inputs_of(index: PlanIndex, task: TaskSpec) -> tuple[list[str], list[tuple[str, WindowEdge]]]:
    """Find what a task is made from: the refs on its own date, and those in windows.

    On its date these are what it reads, and what it needs, with what that needs in turn. One that does not say what it
    reads may read all that its gates wait for.
    """
    needed = list(task.needs)
    for number in needed:
        needed += [further for further in index.tasks[number].needs if further not in needed]
    same_date = [index.tasks[number].ref for number in needed]
    windows: list[tuple[str, WindowEdge]] = []
    pipeline = index.plan.pipeline
    earlier = pipeline.phase_names[: pipeline.phase_names.index(task.phase)]
    said = ["/".join(pipeline.resolve(name, earlier)) for name in task.spec.reads]
    for edge in index.groups[task.group].edges:
        if isinstance(edge, SameDateEdge):
            same_date += [] if said else [*edge.refs, *edge.outside]
        elif isinstance(edge, WindowEdge):
            windows += [(ref, edge) for ref, _ in edge.refs]
    return list(dict.fromkeys([*same_date, *said])), windows


def _upstream(index: PlanIndex, task: TaskSpec) -> tuple[list[int], list[tuple[int, WindowEdge]]]:
    """The same, by number, as far as it is in the index."""
    same_date, windows = inputs_of(index, task)
    return (
        [index.by_ref[ref].number for ref in same_date if ref in index.by_ref],
        [(index.by_ref[ref].number, edge) for ref, edge in windows if ref in index.by_ref],
    )
