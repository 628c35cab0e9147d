"""A person accepts that rows may be deleted and nothing put in their place: only rows that an attempt wrote."""

from collections.abc import Sequence
from datetime import date

from phasegate.domain.errors import InputError, PhasegateError
from phasegate.domain.plan import PlanIndex
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.services.reading.prover import Prover


def require_own_rows(
    index: PlanIndex, prover: Prover, days: Sequence[date], phase: str | None, processor: str | None
) -> None:
    """Refuse the wish where rows stand that carry no fence: whoever wrote them, no attempt did. Raises InputError.

    phase, processor: what a retry is narrowed to. What cannot be asked refuses nothing: the attempt looks again.
    """
    registry = index.plan.pipeline.registry
    outputs = {
        task.ref: (output, days)
        for task in index.tasks
        if isinstance(output := task.spec.output, TableOutput)
        and phase in (None, task.phase)
        and (processor is None or registry.get((task.phase, processor)) == task.processor)
    }
    for ref, counted in prover.count(outputs).items():
        if counted is None or isinstance(counted, PhasegateError):
            continue
        for day, found in sorted(counted.items()):
            if found.rows and found.lowest_fence is None:
                raise InputError(
                    f"--accept-empty: {outputs[ref][0].table} of {day} holds {found.rows} rows without a fence: no "
                    "attempt wrote them, and none deletes them. Look whose they are, delete them by hand, then retry "
                    "without --accept-empty"
                )
