"""A table is stale on a date where something that it was made from was written after it.

Fences only rise, in every run: rows that carry a higher fence than those that were made from them came later. What
carries no fence says nothing about its age.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import NamedTuple

from phasegate.domain.plan import PlanIndex


class FenceRange(NamedTuple):
    """The range of the fences that the rows of a date carry, each of them one."""

    lowest: int
    """The lowest."""
    highest: int
    """The highest."""


class StaleInput(NamedTuple):
    """A stale input is what was written after the table that was made from it: the latest of several."""

    ref: str
    """``phase/processor`` of the input."""
    day: date
    """The date of the input."""
    fence: int
    """Its highest fence."""
    made_under: int
    """The lowest fence of the table that was made from it."""

    def __str__(self) -> str:
        return f"made before {self.ref} of {self.day} was written (fence {self.made_under}, and {self.fence} there)"


def stale_outputs(
    index: PlanIndex, fences: Mapping[str, Mapping[date, FenceRange]]
) -> dict[str, dict[date, StaleInput]]:
    """Find what is older than its inputs: ref -> date -> the latest of these inputs.

    fences: by ref and date, of tables in the plan and of those that it reads and does not make; where a date is
    missing, nothing is known. What was built on what is stale is not named by that alone.
    """
    found: dict[str, dict[date, StaleInput]] = {}
    for task in index.tasks:
        own = fences.get(task.ref)
        if not own:
            continue
        same_date, windows = index.inputs[task.number]
        for position, day in enumerate(index.days):
            if (made := own.get(day)) is None:
                continue
            read = [(ref, day) for ref in same_date]
            read += [(ref, before) for ref, edge in windows for before in edge.whole[position]]
            latest = max(_known(fences, read), default=None)
            if latest is not None and latest[0] > made.lowest:
                fence, ref, when = latest
                found.setdefault(task.ref, {})[day] = StaleInput(ref, when, fence, made.lowest)
    return found


def inputs_outside(index: PlanIndex) -> dict[str, frozenset[date]]:
    """Find what the tasks of an index are made from and the index does not make: ref -> dates."""
    found: dict[str, set[date]] = {}
    for task in index.tasks:
        same_date, windows = index.inputs[task.number]
        for ref in same_date:
            if ref not in index.by_ref:
                found.setdefault(ref, set()).update(index.days)
        for ref, edge in windows:
            beyond = {day for window in edge.whole for day in window}
            if ref in index.by_ref:
                beyond.difference_update(index.days)
            found.setdefault(ref, set()).update(beyond)
    return {ref: frozenset(days) for ref, days in found.items() if days}


def _known(
    fences: Mapping[str, Mapping[date, FenceRange]], read: list[tuple[str, date]]
) -> Iterator[tuple[int, str, date]]:
    for ref, day in read:
        if (of_ref := fences.get(ref)) is not None and (written := of_ref.get(day)) is not None:
            yield written.highest, ref, day
