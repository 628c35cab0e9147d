"""A plan's compiled form holds tasks in topological order, release groups, and the windows of their edges."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.expectation import ExpectationLetter, expectation
from phasegate.domain.calendar.season_to_date import SeasonToDate, seasons_to_date
from phasegate.domain.errors import InputError
from phasegate.domain.plan.document import Plan
from phasegate.domain.plan.inputs import Inputs, inputs_of
from phasegate.domain.plan.release_groups import (
    BarrierEdge,
    ReleaseGroup,
    SameDateEdge,
    TaskSpec,
    WindowEdge,
)
from phasegate.domain.spec.checks import Check
from phasegate.domain.spec.dispatch import Observed
from phasegate.domain.spec.pipeline import Processor, TableOutput, did_you_mean


def _waits_for(group: ReleaseGroup) -> Iterator[int]:
    """The release groups that a group waits for, on its date or on others, but not on all."""
    yield from group.released_with
    for edge in group.edges:
        if isinstance(edge, SameDateEdge):
            yield from edge.groups
        elif isinstance(edge, WindowEdge):
            yield from (at for _, at in edge.refs if at is not None)


@dataclass(frozen=True, eq=False)
class PlanIndex:
    """An index is a plan made quick to decide on, by ``compile_plan``.

    Lists of tasks and release groups are indexed by number, strips by the position of the date.
    """

    plan: Plan
    """The document that this is derived from."""
    calendar: Calendar
    """Every date of the seasons concerned."""
    tasks: tuple[TaskSpec, ...]
    """The tasks, by number: each after those that it needs."""
    groups: tuple[ReleaseGroup, ...]
    """The release groups, by number, in the order of the phases."""

    @cached_property
    def days(self) -> tuple[date, ...]:
        """Return the selected dates, in order."""
        return self.plan.days

    @cached_property
    def position(self) -> Mapping[date, int]:
        """Map each selected date to its position."""
        return {day: i for i, day in enumerate(self.days)}

    @cached_property
    def season_of(self) -> tuple[str, ...]:
        """List the season of each selected date."""
        return tuple(self.calendar.by_day[day].season for day in self.days)

    @cached_property
    def by_ref(self) -> Mapping[str, TaskSpec]:
        """Map each ``phase/processor`` of the run to its task."""
        return {task.ref: task for task in self.tasks}

    @cached_property
    def dates_at_once(self) -> int:
        """Return how many dates one call of the run carries at most."""
        return max((task.dates_at_once for task in self.tasks), default=1)

    @cached_property
    def calls_a_date(self) -> float:
        """Return how many calls the release of a phase makes due for each of its dates, at most: one for each processor
        that needs no other, and a twentieth of one where twenty dates travel together."""
        calls: dict[str, float] = {}
        for task in self.tasks:
            if task.queue is not None and not task.needs:
                calls[task.phase] = calls.get(task.phase, 0.0) + 1 / task.dates_at_once
        return max(calls.values(), default=1.0)

    @cached_property
    def observed(self) -> Mapping[int, Observed]:
        """Map the number of each observed task to how its end is known."""
        return {task.number: task.dispatch for task in self.tasks if isinstance(task.dispatch, Observed)}

    @cached_property
    def dependants(self) -> tuple[tuple[int, ...], ...]:
        """List, for each task, the tasks that need it."""
        return tuple(tuple(t.number for t in self.tasks if task.number in t.needs) for task in self.tasks)

    @cached_property
    def inputs(self) -> tuple[Inputs, ...]:
        """List, for each task, what it is made from."""
        return tuple(inputs_of(self.plan.pipeline, task, self.groups, self.tasks) for task in self.tasks)

    @cached_property
    def season_to_date(self) -> Mapping[date, SeasonToDate]:
        """Map each date that the schedule has to what the calendar has of its season up to there."""
        return seasons_to_date(self.calendar)

    @cached_property
    def readers(self) -> tuple[tuple[int, ...], ...]:
        """List, for each task that writes no table, the tasks that read what it leaves, on the same date (``inputs``).

        Those of a task that writes a table are not told: empty.
        """
        readers: list[list[int]] = [[] for _ in self.tasks]
        for task, inputs in zip(self.tasks, self.inputs, strict=True):
            for ref in inputs.same_date:
                if (read := self.by_ref.get(ref)) is not None and not isinstance(read.spec.output, TableOutput):
                    readers[read.number].append(task.number)
        return tuple(map(tuple, readers))

    @cached_property
    def sources(self) -> tuple[tuple[int, ...], ...]:
        """List, for each task, those that write no table and that it reads: the readers turned round."""
        sources: list[list[int]] = [[] for _ in self.tasks]
        for number, of_task in enumerate(self.readers):
            for reader in of_task:
                sources[reader].append(number)
        return tuple(map(tuple, sources))

    def task(self, ref: str) -> TaskSpec:
        """Return the task of ``phase/processor``. Raises InputError for one that is not in the run."""
        if ref not in self.by_ref:
            phase, _, name = ref.partition("/")
            raise InputError(f"unknown processor '{name}' of phase '{phase}'{did_you_mean(ref, self.by_ref)}")
        return self.by_ref[ref]

    def require_dates(self, days: Iterable[date]) -> None:
        """Refuse a date that is not the run's: raises InputError."""
        for day in days:
            if day not in self.position:
                raise InputError(f"{day} is not a date of the run")

    def groups_of(self, phase: str) -> tuple[int, ...]:
        """Return the release group numbers of a phase."""
        return self._groups_of[phase]

    @cached_property
    def _groups_of(self) -> Mapping[str, tuple[int, ...]]:
        return {name: tuple(g.number for g in self.groups if g.phase == name) for name in self.plan.phases}

    @cached_property
    def outside(self) -> Mapping[str, tuple[date, ...]]:
        """Find what the run's edges read and the run does not make: ref -> dates; judged from the tables."""
        days_by_ref: dict[str, set[date]] = {}
        for group in self.groups:
            for edge in group.edges:
                if isinstance(edge, SameDateEdge | BarrierEdge):
                    for ref in edge.outside:
                        days_by_ref.setdefault(ref, set()).update(self.days)
                elif isinstance(edge, WindowEdge):
                    for ref, at in edge.refs:
                        dates = edge.whole if at is None else edge.outside
                        days_by_ref.setdefault(ref, set()).update(d for window in dates for d in window)
        return {ref: tuple(sorted(dates)) for ref, dates in sorted(days_by_ref.items()) if dates}

    @cached_property
    def canary(self) -> Mapping[int, bytes]:
        """Mark what goes first: for each release group, 1 at each date on which a canary date needs it, else 0; empty
        without canary.

        A group behind a barrier is no part of it: it starts when all dates have passed.
        """
        strips: dict[int, bytearray] = {}
        queue = [
            (group.number, self.position[day])
            for day in self.plan.canary
            for group in self.groups
            if group.number not in self._walled
        ]
        while queue:
            number, position = queue.pop()
            strip = strips.setdefault(number, bytearray(len(self.days)))
            if strip[position]:
                continue
            strip[position] = 1
            group = self.groups[number]
            queue.extend((companion, position) for companion in group.released_with)
            for edge in group.edges:
                if isinstance(edge, SameDateEdge):
                    queue.extend((before, position) for before in edge.groups)
                elif isinstance(edge, WindowEdge):
                    groups = {at for _, at in edge.refs if at is not None}
                    queue.extend((before, p) for before in groups for p in range(*edge.inside[position]))
        return {number: bytes(strip) for number, strip in strips.items()}

    @cached_property
    def _walled(self) -> set[int]:
        """Release groups behind a barrier, and those that wait for such a group, on their date or in a
        window."""
        walled = {group.number for group in self.groups if any(isinstance(edge, BarrierEdge) for edge in group.edges)}
        size = -1
        while size != len(walled):
            size = len(walled)
            walled |= {group.number for group in self.groups if not walled.isdisjoint(_waits_for(group))}
        return walled

    def expectation(self, ref: str, day: date) -> ExpectationLetter:
        """Say what the output of ``phase/processor`` should hold, for any date of the calendar."""
        phase = ref.partition("/")[0]
        return expectation(self.plan.pipeline, self.calendar, phase, self.processor(ref), day)[0]

    def mates(self, ref: str, day: date) -> list[str]:
        """List the processors of the same phase whose tables must hold rows on a date, for any date of the calendar.

        Where all of them do, and there is one, the phase was run there: a table beside them that may be empty was too.
        """
        phase = ref.partition("/")[0]
        return [
            f"{phase}/{each.name}"
            for each in self.plan.pipeline.phase(phase).processors
            if isinstance(each.output, TableOutput)
            and expectation(self.plan.pipeline, self.calendar, phase, each, day)[0] == ExpectationLetter.EXPECTED
        ]

    def processor(self, ref: str) -> Processor:
        """Return the processor of ``phase/processor``, in the run or not."""
        return self.plan.pipeline.processor(ref)

    def checks(self, ref: str) -> tuple[Check, ...]:
        """Return what the table of ``phase/processor`` must hold."""
        return self.plan.pipeline.phase(ref.partition("/")[0]).checks_of(self.processor(ref))
