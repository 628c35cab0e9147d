"""What another run has published is not replaced, unless somebody names the processor that would."""

from phasegate.domain.errors import PhasegateError, TransientError
from phasegate.domain.operations.overrides import SHOWN, Overrides, allowed_to_destroy
from phasegate.domain.operations.preflight import PreflightLine, failed, passed
from phasegate.domain.plan import Plan, PlanIndex, TaskSpec, WorkLetter, compile_plan
from phasegate.services.reading.prover import Counted, Prover

PUBLISHED = "published"
"""What the lines of this check are called."""


def check_published(plan: Plan, overrides: Overrides, prover: Prover | None) -> list[PreflightLine]:
    """Make a line for each processor that is destructive `when_present` and would replace an object.

    An object that is there before a run is written is another run's: a run's own attempts and retries replace theirs
    without a plan. Beside another unfinished run (``alongside``) every date counts, as that run may publish any moment.

    prover: None where no object is there yet. Raises InputError as ``check_overrides`` does, and TransientError when
    nobody can tell just now which objects are there.
    """
    index = compile_plan(plan)
    once = [task for task in index.tasks if task.spec.destructive == "when_present"]
    if not once:
        return []
    allowed = allowed_to_destroy(plan.pipeline, plan.phases, overrides.destructive)
    counted = prover.count({task.ref: (task.spec.output, index.days) for task in once}) if prover else {}
    lines = (_line(index, task, counted.get(task.ref), task.ref in allowed, overrides) for task in once)
    return [line for line in lines if line is not None]


def _line(
    index: PlanIndex, task: TaskSpec, held: Counted, is_allowed: bool, overrides: Overrides
) -> PreflightLine | None:
    """What is to be said of one processor; None: it replaces nothing. held: the dates whose objects are there, or why
    that could not be told."""
    if isinstance(held, TransientError):
        raise held
    if isinstance(held, PhasegateError):
        detail = f"nobody can tell what is published already: {held}"
        return failed(PUBLISHED, task.ref, detail, "mend that, then type the same again")
    runs = [day for day, letter in zip(index.days, task.work, strict=True) if letter == WorkLetter.RUN]
    replaced = runs if overrides.alongside else [day for day in runs if day in (held or ())]
    if not replaced:
        return None
    listed = ",".join(map(str, replaced[:SHOWN]))
    more = f" and {len(replaced) - SHOWN} more" if len(replaced) > SHOWN else ""
    if is_allowed:
        return passed(PUBLISHED, task.ref, f"{listed}{more}: named with --allow-destructive")
    why = "may be published by the other run" if overrides.alongside else "published by another run"
    return failed(
        PUBLISHED,
        task.ref,
        f"{listed}{more}: {why}; what is there would be replaced",
        f"leave these dates or the phase out, or name it: --allow-destructive {task.ref}",
    )
