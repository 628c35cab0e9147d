"""What a task is made from is said by its processor, and where that says nothing, by its gates."""

from collections.abc import Sequence
from typing import NamedTuple

from phasegate.domain.plan.release_groups import ReleaseGroup, SameDateEdge, TaskSpec, WindowEdge
from phasegate.domain.spec.pipeline import Pipeline


class Inputs(NamedTuple):
    """Inputs are the outputs that a task is made from, in the run or not."""

    same_date: tuple[str, ...]
    """Those of its own date, as ``phase/processor``."""
    windows: tuple[tuple[str, WindowEdge], ...]
    """Those of dates before it, each with the edge whose windows it is read in."""


def inputs_of(pipeline: Pipeline, task: TaskSpec, group: ReleaseGroup, tasks: Sequence[TaskSpec]) -> Inputs:
    """Find what a task of a release group is made from.

    On its own date that is what it ``needs``, also by what that needs, and ``reads``; where it does not say what it
    reads, it may read all that its gates wait for, unless ``reads_same_date`` is false. In windows it reads the
    processors of its lookbacks. tasks: all of the plan, by number.
    """
    same_date = _needed(task, tasks)
    windows: list[tuple[str, WindowEdge]] = []
    earlier = pipeline.phase_names[: pipeline.phase_names.index(task.phase)]
    same_date += ["/".join(pipeline.resolve(name, earlier)) for name in task.spec.reads]
    says_it_all = bool(task.spec.reads) or not task.spec.reads_same_date
    for edge in group.edges:
        if isinstance(edge, SameDateEdge) and not says_it_all:
            same_date += [*sorted(edge.refs), *edge.outside]
        elif isinstance(edge, WindowEdge):
            windows += [(ref, edge) for ref, _ in edge.refs]
    return Inputs(tuple(dict.fromkeys(same_date)), tuple(windows))


def _needed(task: TaskSpec, tasks: Sequence[TaskSpec]) -> list[str]:
    """What a task needs, and what that needs: who waits for the one may read the other."""
    refs: dict[str, None] = {}
    queue = list(task.needs)
    while queue:
        needed = tasks[queue.pop(0)]
        if needed.ref not in refs:
            refs[needed.ref] = None
            queue.extend(needed.needs)
    return list(refs)
