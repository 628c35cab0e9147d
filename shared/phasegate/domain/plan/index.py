"""The compiled form of a plan: tasks in topological order, release groups, and the windows of their edges."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.expectation import expectation
from phasegate.domain.errors import InputError
from phasegate.domain.plan.release_groups import (
    ApprovalEdge,
    BarrierEdge,
    Edge,
    ReleaseGroup,
    SameDateEdge,
    TaskSpec,
    WindowEdge,
)
from phasegate.domain.spec.checks import Check
from phasegate.domain.spec.dispatch import Dispatch, Observed
from phasegate.domain.spec.gates import AllSucceeded, ApprovalGate, Barrier, EdgeGate, Lookback
from phasegate.domain.spec.ordering import gates_of
from phasegate.domain.spec.pipeline import Processor, TableOutput, did_you_mean

if TYPE_CHECKING:
    from phasegate.domain.plan.document import Plan


def _waits_for(group: ReleaseGroup) -> Iterator[int]:
    """The release groups that a group waits for, on its date or on others, but not on all."""
    yield from group.released_with
    for edge in group.edges:
        if isinstance(edge, SameDateEdge):
            yield from edge.groups
        elif isinstance(edge, WindowEdge):
            yield from (at for _, at in edge.refs if at is not None)


class PlanIndex:
    """A plan made quick to decide on. Lists are indexed by task, release group or position of the date."""

    def __init__(self, plan: "Plan") -> None:
        self.plan = plan
        self.days = plan.days
        self.position: Mapping[date, int] = {day: i for i, day in enumerate(plan.days)}
        self.calendar = Calendar(plan.calendar)
        self.season_of = tuple(self.calendar.by_day[day].season for day in plan.days)
        self._groups_of: dict[str, list[int]] = {}
        self._numbers: dict[str, int] = {}
        self.tasks: list[TaskSpec] = []
        self.groups: list[ReleaseGroup] = []
        for phase in plan.phases:
            self._compile(phase)
        self.by_ref: Mapping[str, TaskSpec] = {task.ref: task for task in self.tasks}
        self.observed: Mapping[int, Observed] = {
            task.number: task.dispatch for task in self.tasks if isinstance(task.dispatch, Observed)
        }
        self.dependants: tuple[tuple[int, ...], ...] = tuple(
            tuple(t.number for t in self.tasks if task.number in t.needs) for task in self.tasks
        )

    def task(self, ref: str) -> TaskSpec:
        """The task of ``phase/processor``. Raises InputError for one that is not in the run."""
        if ref not in self.by_ref:
            phase, _, name = ref.partition("/")
            raise InputError(f"unknown processor '{name}' of phase '{phase}'{did_you_mean(ref, self.by_ref)}")
        return self.by_ref[ref]

    def require_dates(self, days: Iterable[date]) -> None:
        """Raises InputError for a date that is not the run's."""
        for day in days:
            if day not in self.position:
                raise InputError(f"{day} is not a date of the run")

    def groups_of(self, phase: str) -> tuple[int, ...]:
        """Release group numbers of a phase."""
        return tuple(self._groups_of[phase])

    @cached_property
    def outside(self) -> Mapping[str, tuple[date, ...]]:
        """What the run's edges read and the run does not make: ref -> dates; judged from the tables."""
        wanted: dict[str, set[date]] = {}
        for group in self.groups:
            for edge in group.edges:
                if isinstance(edge, SameDateEdge | BarrierEdge):
                    for ref in edge.outside:
                        wanted.setdefault(ref, set()).update(self.days)
                elif isinstance(edge, WindowEdge):
                    for ref, at in edge.refs:
                        dates = edge.whole if at is None else edge.outside
                        wanted.setdefault(ref, set()).update(d for window in dates for d in window)
        return {ref: tuple(sorted(dates)) for ref, dates in sorted(wanted.items()) if dates}

    @cached_property
    def canary(self) -> Mapping[int, bytes]:
        """What goes first: for each release group, 1 at each date on which a canary date needs it, else 0; empty
        without canary.

        A group behind a barrier is no part of it: it starts when all dates have passed.
        """
        found: dict[int, bytearray] = {}
        queue = [
            (group.number, self.position[day])
            for day in self.plan.canary
            for group in self.groups
            if group.number not in self._walled
        ]
        while queue:
            number, position = queue.pop()
            strip = found.setdefault(number, bytearray(len(self.days)))
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
        return {number: bytes(strip) for number, strip in found.items()}

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

    def expectation(self, processor: Processor, day: date) -> str:
        """EXPECTED, OPTIONAL or EMPTY for any date of the calendar."""
        return expectation(self.plan.pipeline, self.calendar, processor, day)[0]

    def processor(self, ref: str) -> Processor:
        """The processor of ``phase/processor``, in the run or not."""
        phase, _, name = ref.partition("/")
        return next(x for x in self.plan.pipeline.phase(phase).processors if x.name == name)

    def checks(self, ref: str) -> tuple[Check, ...]:
        """What the table of ``phase/processor`` must hold."""
        return self.plan.pipeline.phase(ref.partition("/")[0]).checks_of(self.processor(ref))

    def _compile(self, name: str) -> None:
        pipeline, phase = self.plan.pipeline, self.plan.pipeline.phase(name)
        by_gates: dict[tuple[tuple[str, int], ...], list[Processor]] = {}
        for processor in _in_order_of_needs(phase.processors, name):
            by_gates.setdefault(gates_of(pipeline, name, processor.name), []).append(processor)
        first = len(self.groups)
        order = {p.name: (group, p) for group, members_ in enumerate(by_gates.values(), first) for p in members_}
        self._groups_of[name] = list(range(first, first + len(by_gates)))
        members: dict[int, list[int]] = {}
        for processor in _in_order_of_needs(phase.processors, name):
            group = order[processor.name][0]
            number, ref = len(self.tasks), f"{name}/{processor.name}"
            self._numbers[ref] = number
            members.setdefault(group, []).append(number)
            companions = [p for p in (name, phase.released_with) if p in self.plan.phases]
            needs = [
                "/".join(pipeline.resolve(need, [p for p in (name, phase.released_with) if p]))
                for need in processor.needs
            ]
            made_here = [need for need in needs if need.partition("/")[0] in companions]
            self.tasks.append(
                TaskSpec(
                    number=number,
                    phase=name,
                    processor=processor.name,
                    ref=ref,
                    group=group,
                    needs=tuple(self._numbers[n] for n in made_here),
                    need_refs=tuple(made_here),
                    spec=processor,
                    dispatch=phase.how,
                    queue=(processor.queue or phase.how.queue) if isinstance(phase.how, Dispatch) else None,
                    failure=phase.failure,
                    work=self.plan.work[ref],
                    expects="".join(self.expectation(processor, day) for day in self.days),
                )
            )
        for k, gates in enumerate(by_gates):
            group = first + k
            together = phase.released_with if phase.released_with in self.plan.phases else None
            self.groups.append(
                ReleaseGroup(
                    number=group,
                    name=name if len(by_gates) == 1 else f"{name}.{k + 1}",
                    phase=name,
                    tasks=tuple(members[group]),
                    edges=tuple(
                        self._edge(gate, owner)
                        for owner, gate in ((owner, pipeline.phase(owner).gates[g]) for owner, g in gates)
                        # Nobody is asked to let a phase go that the run leaves out.
                        if owner in self.plan.phases or not isinstance(gate, ApprovalGate)
                    ),
                    released_with=self.groups_of(together) if together else (),
                )
            )

    def _edge(self, gate: EdgeGate, phase: str) -> Edge:
        pipeline = self.plan.pipeline
        if isinstance(gate, AllSucceeded):
            names = gate.processors or [x.name for x in pipeline.phase(gate.phase).processors]
            refs = [f"{gate.phase}/{name}" for name in names]
            inside = [ref for ref in refs if ref in self._numbers]
            groups = sorted({self.tasks[self._numbers[ref]].group for ref in inside})
            return SameDateEdge(gate.check, gate.phase, tuple(groups), frozenset(inside), self._tables_outside(refs))
        if isinstance(gate, Lookback):
            upstream = pipeline.phase_names[: pipeline.phase_names.index(phase) + 1]
            found = ["/".join(pipeline.resolve(name, upstream)) for name in gate.processors]
            whole = tuple(self.calendar.window(day, dates=gate.dates, days=gate.days) for day in self.days)
            ranges = tuple((bisect_left(self.days, w[0]) if w else i, i) for i, w in enumerate(whole))
            beyond = tuple(tuple(d for d in w if d not in self.position) for w in whole)
            return WindowEdge(gate.check, tuple((ref, self._group_of(ref)) for ref in found), ranges, beyond, whole)
        if isinstance(gate, ApprovalGate):
            return ApprovalEdge(gate.check, phase)
        if not isinstance(gate, Barrier):
            raise TypeError(gate.check)
        everything = (0, len(self.days))
        spans = {
            s: (self.season_of.index(s), len(self.days) - self.season_of[::-1].index(s)) for s in set(self.season_of)
        }
        outside = self._tables_outside([f"{gate.phase}/{x.name}" for x in pipeline.phase(gate.phase).processors])
        dates = tuple(spans[s] if gate.scope == "season" else everything for s in self.season_of)
        return BarrierEdge(gate.check, gate.phase, tuple(self._groups_of.get(gate.phase, ())), dates, outside)

    def _tables_outside(self, refs: list[str]) -> tuple[str, ...]:
        """Those of the processors that the run leaves out and whose tables can be judged."""
        left_out = [ref for ref in refs if ref not in self._numbers]
        return tuple(ref for ref in left_out if isinstance(self.processor(ref).output, TableOutput))

    def _group_of(self, ref: str) -> int | None:
        """The release group of a ref; None for a processor that the run leaves out."""
        return self.tasks[self._numbers[ref]].group if ref in self._numbers else None


def _in_order_of_needs(processors: list[Processor], phase: str) -> list[Processor]:
    """Processors so that each stands after those of its own phase that it needs; else in the file's order."""
    placed: dict[str, Processor] = {}

    def place(processor: Processor) -> None:
        for need in processor.needs:
            owner, _, name = need.rpartition("/")
            if owner in ("", phase):
                place(next(x for x in processors if x.name == name))
        placed.setdefault(processor.name, processor)

    by_own_phase = {x.name for x in processors}
    for processor in processors:
        if any(n.rpartition("/")[0] in ("", phase) and n.rpartition("/")[2] in by_own_phase for n in processor.needs):
            place(processor)
        placed.setdefault(processor.name, processor)
    return list(placed.values())
