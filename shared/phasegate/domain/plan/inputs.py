"""What a task is made from is said by its processor, and where that says nothing, by its gates."""

from collections.abc import Sequence
from typing import NamedTuple

from phasegate.domain.plan.release_groups import BarrierEdge, ReleaseGroup, SameDateEdge, TaskSpec, WindowEdge
from phasegate.domain.spec.pipeline import Pipeline, TableOutput


class Inputs(NamedTuple):
    """Inputs are the outputs that a task is made from, in the run or not."""

    same_date: tuple[str, ...]
    """Those of its own date, as ``phase/processor``."""
    windows: tuple[tuple[str, WindowEdge], ...]
    """Those of dates before it, each with the edge whose windows it is read in."""


def inputs_of(pipeline: Pipeline, task: TaskSpec, groups: Sequence[ReleaseGroup], tasks: Sequence[TaskSpec]) -> Inputs:
    """Find what a task is made from.

    On its own date that is what it ``needs``, also the tables that this needs, and ``reads``; where it does not say
    what it reads, it may read all that its gates wait for, unless ``reads_same_date`` is false. In windows it reads the
    processors of its lookbacks: what a barrier waits for on other dates is not read for that alone. groups, tasks: all
    of the plan, by number.
    """
    same_date = _needed(task, tasks)
    windows: list[tuple[str, WindowEdge]] = []
    earlier = pipeline.phase_names[: pipeline.phase_names.index(task.phase)]
    same_date += ["/".join(pipeline.resolve(name, earlier)) for name in task.spec.reads]
    says_it_all = bool(task.spec.reads) or not task.spec.reads_same_date
    for edge in groups[task.group].edges:
        if isinstance(edge, SameDateEdge) and not says_it_all:
            same_date += [*sorted(edge.refs), *edge.outside]
        elif isinstance(edge, BarrierEdge) and not says_it_all:
            same_date += [tasks[number].ref for each in edge.groups for number in groups[each].tasks]
            same_date += edge.outside
        elif isinstance(edge, WindowEdge):
            windows += [(ref, edge) for ref, _ in edge.refs]
    return Inputs(tuple(dict.fromkeys(same_date)), tuple(windows))


def _needed(task: TaskSpec, tasks: Sequence[TaskSpec]) -> list[str]:
    """What a task needs, and the tables that this needs: who waits for the one may read the other. An object is read by
    who names it."""
    refs = {tasks[number].ref: None for number in task.needs}
    queue = list(task.needs)
    while queue:
        for number in tasks[queue.pop()].needs:
            if tasks[number].ref not in refs and isinstance(tasks[number].spec.output, TableOutput):
                refs[tasks[number].ref] = None
                queue.append(number)
    return list(refs)
