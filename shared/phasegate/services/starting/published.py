"""What another run has published is not replaced, unless somebody names the processor that would."""

from datetime import date

from phasegate.domain.operations.overrides import SHOWN, Overrides, allowed_to_destroy
from phasegate.domain.operations.preflight import PreflightLine, failed, passed
from phasegate.domain.plan import Plan, PlanIndex, TaskSpec, WorkLetter, compile_plan
from phasegate.services.reading.prover import Prover
from phasegate.services.starting.stock import find_objects


def check_published(plan: Plan, overrides: Overrides, prover: Prover | None) -> list[PreflightLine]:
    """Make a line for each processor that is destructive `when_present` and would replace an object.

    An object that is there before a run is written is another run's: a run's own attempts and retries replace theirs
    without a plan. Beside another unfinished run (``alongside``) every date counts, as that run may publish any moment.

    prover: None where no object is there yet. Raises InputError as ``check_overrides`` does.
    """
    index = compile_plan(plan)
    once = [task for task in index.tasks if task.spec.destructive == "when_present"]
    if not once:
        return []
    allowed = allowed_to_destroy(plan.pipeline, plan.phases, overrides.destructive)
    held = find_objects(index, prover)
    lines = (_line(index, task, held.get(task.ref, frozenset()), task.ref in allowed, overrides) for task in once)
    return [line for line in lines if line is not None]


def _line(
    index: PlanIndex, task: TaskSpec, held: frozenset[date], is_allowed: bool, overrides: Overrides
) -> PreflightLine | None:
    """What is to be said of one processor; None: it replaces nothing. held: the dates whose objects are there."""
    runs = [day for day, letter in zip(index.days, task.work, strict=True) if letter == WorkLetter.RUN]
    replaced = runs if overrides.alongside else [day for day in runs if day in held]
    if not replaced:
        return None
    listed = ",".join(map(str, replaced[:SHOWN]))
    more = f" and {len(replaced) - SHOWN} more" if len(replaced) > SHOWN else ""
    if is_allowed:
        return passed("published", task.ref, f"{listed}{more}: named with --allow-destructive")
    why = "may be published by the other run" if overrides.alongside else "published by another run"
    return failed(
        "published",
        task.ref,
        f"{listed}{more}: {why}; what is there would be replaced",
        f"leave these dates or the phase out, or name it: --allow-destructive {task.ref}",
    )
