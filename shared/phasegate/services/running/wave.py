"""The wave of a change stops where something that was made again came out the same."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

from phasegate.domain.decisions.stale import dates_read, made_from_the_same, waits_for_its_inputs
from phasegate.domain.plan import PlanIndex
from phasegate.domain.state.facts import Cell
from phasegate.ports import Warehouse
from phasegate.services.reading.ages import read_contents, read_records


def left_alone(
    index: PlanIndex,
    releases: Sequence[tuple[int, int]],
    cell: Callable[[date, str], Cell],
    warehouse: Warehouse,
) -> Mapping[tuple[int, int], tuple[str, ...]]:
    """Choose the processors of release groups that need not run: their inputs hold what their tables were made from.

    releases: (position, number of the group) of what is released now, so that what it is made from has come to its end.
    cell: what is known of a date and phase. Asked are only tasks that run because something that they are made from
    does (``TaskSpec.may_stay``), and that no retry has reached. Where records or contents cannot be read, they run.
    """
    tasks = [
        (position, index.tasks[number])
        for position, group in sorted(releases)
        for number in index.groups[group].tasks
        if index.tasks[number].may_stay(position) and not _is_asked_again(index, position, number, cell)
    ]
    if not tasks:
        return {}
    wanted: dict[str, set[date]] = {}
    for position, task in tasks:
        wanted.setdefault(task.ref, set()).add(index.days[position])
    contents = read_contents(index, dates_read(index, wanted), warehouse)
    same = made_from_the_same(index, wanted, read_records(index, wanted, warehouse), contents)
    left: dict[int, set[int]] = {}
    found: dict[tuple[int, int], tuple[str, ...]] = {}
    for position, task in sorted(tasks, key=lambda each: (each[0], each[1].number)):
        day = index.days[position]
        if position not in left:
            left[position] = _left_before(index, day, cell)
        if day in same.get(task.ref, ()) and waits_for_its_inputs(index, task, position, left[position]):
            left[position].add(task.number)
            found[position, task.group] = (*found.get((position, task.group), ()), task.processor)
    return found


def _is_asked_again(index: PlanIndex, position: int, number: int, cell: Callable[[date, str], Cell]) -> bool:
    """Whether a retry wants the task run again."""
    task = index.tasks[number]
    return task.processor in cell(index.days[position], task.phase).redo


def _left_before(index: PlanIndex, day: date, cell: Callable[[date, str], Cell]) -> set[int]:
    """The tasks of a date that were left alone when their groups were released, and are so still."""
    return {
        number
        for group in index.groups
        if (state := (of_phase := cell(day, group.phase)).groups.get(group.name)) is not None
        for number in group.tasks
        if index.tasks[number].processor in state.same and index.tasks[number].processor not in of_phase.redo
    }
