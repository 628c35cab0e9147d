"""A processor waits for gates, needs, and phases that are released together, as the pipeline file says."""

from contextlib import suppress

from phasegate.domain.spec.gates import ApprovalGate, Lookback
from phasegate.domain.spec.pipeline import Pipeline


def gates_of(pipeline: Pipeline, phase: str, processor: str) -> tuple[tuple[str, int], ...]:
    """Find the gates that hold a processor back, as (phase, number): its own, those of what it needs, and those of the
    phase it is released with. A processor that needs another can never be released before it.
    """
    gates: set[tuple[str, int]] = set()
    seen: set[tuple[str, str]] = set()
    queue = [(phase, processor)]
    while queue:
        node = queue.pop()
        if node in seen:
            continue
        seen.add(node)
        owner = pipeline.phase(node[0])
        gates |= {(owner.name, g) for g, gate in enumerate(owner.gates) if node[1] in (gate.only_for or [node[1]])}
        leader = owner.released_with
        while leader is not None and leader in pipeline.phase_names:
            gates |= {(leader, g) for g, gate in enumerate(pipeline.phase(leader).gates) if gate.only_for is None}
            leader = pipeline.phase(leader).released_with
        needs = next((x.needs for x in owner.processors if x.name == node[1]), [])
        companions = [p for p in (owner.name, owner.released_with) if p in pipeline.phase_names]
        for need in needs:
            with suppress(LookupError):
                queue.append(pipeline.resolve(need, companions))
    return tuple(sorted(gates))


def phases_before(pipeline: Pipeline, phase: str, processor: str) -> set[str]:
    """Find the phases that have passed, on the same date, when a processor is released."""
    passed: set[str] = set()
    queue = [(phase, processor)]
    while queue:
        for owner, number in gates_of(pipeline, *queue.pop()):
            gate = pipeline.phase(owner).gates[number]
            if (
                isinstance(gate, Lookback | ApprovalGate)
                or gate.phase in passed
                or gate.phase not in pipeline.phase_names
            ):
                continue
            leader: str | None = gate.phase
            while leader is not None and leader in pipeline.phase_names:
                passed.add(leader)
                queue.extend((leader, x.name) for x in pipeline.phase(leader).processors)
                leader = pipeline.phase(leader).released_with
    return passed


def is_judged_after(pipeline: Pipeline, phase: str, processor: str, other: tuple[str, str]) -> bool:
    """Tell whether another processor of the same date has ended when this one's table is judged.

    It has when this one needs it, when both are in one release group, which is judged as a whole, or when a gate waits
    for it.
    """
    if other[0] == phase and gates_of(pipeline, phase, processor) == gates_of(pipeline, *other):
        return True
    return other[0] in phases_before(pipeline, phase, processor) or other in needed_by(pipeline, phase, processor)


def needed_by(pipeline: Pipeline, phase: str, processor: str) -> set[tuple[str, str]]:
    """Find what a processor needs, and what that needs, as (phase, processor)."""
    needed: set[tuple[str, str]] = set()
    queue = [(phase, processor)]
    while queue:
        owner_name, name = queue.pop()
        owner = pipeline.phase(owner_name)
        companions = [p for p in (owner.name, owner.released_with) if p in pipeline.phase_names]
        for need in next((x.needs for x in owner.processors if x.name == name), []):
            with suppress(LookupError):
                if (one := pipeline.resolve(need, companions)) not in needed:
                    needed.add(one)
                    queue.append(one)
    return needed
