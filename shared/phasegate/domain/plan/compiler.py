"""The compiler takes a plan to its compiled form."""

from bisect import bisect_left

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.expectation import expectation
from phasegate.domain.plan.document import Plan
from phasegate.domain.plan.index import PlanIndex
from phasegate.domain.plan.release_groups import (
    ApprovalEdge,
    BarrierEdge,
    Edge,
    ReleaseGroup,
    SameDateEdge,
    TaskSpec,
    WindowEdge,
)
from phasegate.domain.spec.dispatch import Dispatch
from phasegate.domain.spec.gates import AllSucceeded, ApprovalGate, Barrier, EdgeGate, Lookback
from phasegate.domain.spec.ordering import gates_of
from phasegate.domain.spec.pipeline import Processor, TableOutput


def compile_plan(plan: Plan) -> PlanIndex:
    """Derive tasks, release groups and the windows of their edges.

    It takes 25 ms for fifty processors on a thousand dates (measured): whoever asks often keeps the answer.
    """
    return _Compiler(plan).compiled()


class _Compiler:
    """What is known of a plan after the phases that were compiled so far."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._calendar = Calendar(plan.calendar, plan.by_numbers, frozenset(plan.lost))
        self._days = plan.days
        self._position = {day: i for i, day in enumerate(plan.days)}
        self._season_of = tuple(self._calendar.by_day[day].season for day in plan.days)
        self._groups_of: dict[str, tuple[int, ...]] = {}
        self._numbers: dict[str, int] = {}
        self._tasks: list[TaskSpec] = []
        self._groups: list[ReleaseGroup] = []

    def compiled(self) -> PlanIndex:
        """Compile one phase after the other."""
        for phase in self._plan.phases:
            self._compile(phase)
        return PlanIndex(self._plan, self._calendar, tuple(self._tasks), tuple(self._groups))

    def _compile(self, name: str) -> None:
        pipeline, phase = self._plan.pipeline, self._plan.pipeline.phase(name)
        by_gates: dict[tuple[tuple[str, int], ...], list[Processor]] = {}
        for processor in _in_order_of_needs(phase.processors, name):
            by_gates.setdefault(gates_of(pipeline, name, processor.name), []).append(processor)
        first = len(self._groups)
        order = {p.name: (group, p) for group, members_ in enumerate(by_gates.values(), first) for p in members_}
        self._groups_of[name] = tuple(range(first, first + len(by_gates)))
        members: dict[int, list[int]] = {}
        for processor in _in_order_of_needs(phase.processors, name):
            group = order[processor.name][0]
            number, ref = len(self._tasks), f"{name}/{processor.name}"
            self._numbers[ref] = number
            members.setdefault(group, []).append(number)
            companions = [p for p in (name, phase.released_with) if p in self._plan.phases]
            needs = [
                "/".join(pipeline.resolve(need, [p for p in (name, phase.released_with) if p]))
                for need in processor.needs
            ]
            made_here = [need for need in needs if need.partition("/")[0] in companions]
            self._tasks.append(
                TaskSpec(
                    number=number,
                    phase=name,
                    processor=processor.name,
                    ref=ref,
                    group=group,
                    needs=tuple(self._numbers[n] for n in made_here),
                    need_refs=tuple(made_here),
                    reads=self._read(processor, name),
                    spec=processor,
                    dispatch=phase.how_of(processor),
                    queue=(processor.queue or phase.how.queue) if isinstance(phase.how, Dispatch) else None,
                    failure=phase.failure_of(processor),
                    work=self._plan.letters[ref],
                    unless_same=self._plan.unless_same.get(ref, ""),
                    dates_at_once=pipeline.dates_at_once(phase, processor),
                    batches=pipeline.batches_of(phase, processor),
                    expects="".join(
                        expectation(pipeline, self._calendar, name, processor, day)[0] for day in self._days
                    ),
                )
            )
        for k, gates in enumerate(by_gates):
            group = first + k
            together = phase.released_with if phase.released_with in self._plan.phases else None
            self._groups.append(
                ReleaseGroup(
                    number=group,
                    name=name if len(by_gates) == 1 else f"{name}.{k + 1}",
                    phase=name,
                    tasks=tuple(members[group]),
                    edges=tuple(
                        self._edge(gate, owner)
                        for owner, gate in ((owner, pipeline.phase(owner).gates[g]) for owner, g in gates)
                        # Nobody is asked to let a phase go that the run leaves out.
                        if owner in self._plan.phases or not isinstance(gate, ApprovalGate)
                    ),
                    released_with=self._groups_of[together] if together else (),
                )
            )

    def _read(self, processor: Processor, phase: str) -> tuple[int, ...]:
        """The tasks that a processor of the phase reads, and the run makes."""
        pipeline = self._plan.pipeline
        earlier = pipeline.phase_names[: pipeline.phase_names.index(phase)]
        found = ("/".join(pipeline.resolve(name, earlier)) for name in processor.reads)
        return tuple(self._numbers[ref] for ref in found if ref in self._numbers)

    def _edge(self, gate: EdgeGate, phase: str) -> Edge:
        pipeline = self._plan.pipeline
        if isinstance(gate, AllSucceeded):
            names = gate.processors or [x.name for x in pipeline.phase(gate.phase).processors]
            refs = [f"{gate.phase}/{name}" for name in names]
            inside = [ref for ref in refs if ref in self._numbers]
            groups = sorted({self._tasks[self._numbers[ref]].group for ref in inside})
            return SameDateEdge(gate.check, gate.phase, tuple(groups), frozenset(inside), self._tables_outside(refs))
        if isinstance(gate, Lookback):
            upstream = pipeline.phase_names[: pipeline.phase_names.index(phase) + 1]
            found = ["/".join(pipeline.resolve(name, upstream)) for name in gate.processors]
            whole = tuple(self._calendar.window(day, dates=gate.dates, days=gate.days) for day in self._days)
            ranges = tuple((bisect_left(self._days, w[0]) if w else i, i) for i, w in enumerate(whole))
            beyond = tuple(tuple(d for d in w if d not in self._position) for w in whole)
            return WindowEdge(gate.check, tuple((ref, self._group_of(ref)) for ref in found), ranges, beyond, whole)
        if isinstance(gate, ApprovalGate):
            return ApprovalEdge(gate.check, phase)
        if not isinstance(gate, Barrier):
            raise TypeError(gate.check)
        everything = (0, len(self._days))
        spans = {
            s: (self._season_of.index(s), len(self._days) - self._season_of[::-1].index(s))
            for s in set(self._season_of)
        }
        outside = self._tables_outside([f"{gate.phase}/{x.name}" for x in pipeline.phase(gate.phase).processors])
        dates = tuple(spans[s] if gate.scope == "season" else everything for s in self._season_of)
        return BarrierEdge(gate.check, gate.phase, self._groups_of.get(gate.phase, ()), dates, outside)

    def _tables_outside(self, refs: list[str]) -> tuple[str, ...]:
        """Those of the processors that the run leaves out and whose tables can be judged."""
        left_out = [ref for ref in refs if ref not in self._numbers]
        return tuple(ref for ref in left_out if isinstance(self._plan.pipeline.processor(ref).output, TableOutput))

    def _group_of(self, ref: str) -> int | None:
        """The release group of a ref; None for a processor that the run leaves out."""
        return self._tasks[self._numbers[ref]].group if ref in self._numbers else None


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
