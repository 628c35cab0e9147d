"""The pipeline file of a run is compared with the run's plan, for a retry to take over what was mended there."""

from dataclasses import dataclass

from phasegate.domain.plan import FIRST, Plan, regenerate
from phasegate.domain.plan.mended import mended
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.run import Run
from phasegate.ports import RunReader
from phasegate.services.operating.generations import Generation


@dataclass(frozen=True, slots=True)
class FileChanges:
    """A pipeline file says something else than the plan of a run."""

    run: Run
    """The run."""

    plan: Plan
    """Its plan, as people want it to go by."""

    checks: tuple[str, ...] = ()
    """Where checks and expectations differ, as paths of the file."""

    others: tuple[str, ...] = ()
    """Where anything else does: no run that has begun takes that over."""

    later: Generation | None = None
    """The generation by which the run would take the checks over; None: there is nothing to take, or more than that
    has changed."""


def compare_file(state: RunReader, run_id: str, pipeline: Pipeline | None) -> FileChanges:
    """Compare a run's pipeline file as it reads now (None: it is not there) with the run's plan. Raises InputError for
    an unknown run."""
    run = state.run(run_id)
    plan = state.plan(run_id, run.newest_plan or FIRST)
    if pipeline is None:
        return FileChanges(run, plan)
    checks, others = mended(plan.pipeline, pipeline)
    is_to_be_taken = bool(checks) and not others
    later = Generation(run.newest_plan, regenerate(plan, pipeline, None)) if is_to_be_taken else None
    return FileChanges(run, plan, tuple(checks), tuple(others), later)
