"""A later generation of a run's plan is kept first, and then referred to by the run's document."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from phasegate.domain.decisions.standing import standing
from phasegate.domain.errors import InputError
from phasegate.domain.plan import Plan, generation_name
from phasegate.domain.state.run import Refresh, Run, Waiver
from phasegate.ports import Clock, RunWriter


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation is about to follow on another one."""

    before: str
    """The name of the one that people want the run to go by until now."""

    plan: Plan
    """Its content."""


def keep(
    state: RunWriter, clock: Clock, run_id: str, later: Generation, why: str
) -> Callable[[Run], dict[str, object]]:
    """Keep a generation; returns the change of the run's document by which the run goes on by it.

    That raises InputError for a run that another generation followed on meanwhile. Raises InputError for a plan that
    could not be read back.
    """
    later.plan.require_readable()
    now = clock.now()
    asked = Refresh(id=uuid.uuid4().hex[:12], plan=generation_name(later.before, later.plan), why=why, at=now)
    state.keep_plan(run_id, asked.plan, later.plan)
    known = standing(later.plan.pipeline, now, frozenset(later.plan.days))

    def referring(run: Run) -> dict[str, object]:
        if run.newest_plan != later.before:
            raise InputError(f"run '{run_id}' was refreshed by somebody else meanwhile; type the same again")
        return {"refreshes": (*run.refreshes, asked), "waivers": _known_anew(run.waivers, known, now)}

    return referring


def _known_anew(waivers: tuple[Waiver, ...], known: tuple[Waiver, ...], now: datetime) -> tuple[Waiver, ...]:
    """The waivers of a run whose file knows of these exceptions by now: what it knows no more ends, what is new comes
    to it; what people waived stays."""
    known_by_id = {waiver.id: waiver for waiver in known}
    kept = [
        waiver
        if waiver.id in known_by_id or not waiver.is_of_the_file or waiver.until <= now
        else waiver.model_copy(update={"until": now})
        for waiver in waivers
    ]
    there = {waiver.id for waiver in kept}
    return (*kept, *(waiver for waiver in known if waiver.id not in there))
