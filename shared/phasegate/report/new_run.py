"""A command begins a new run over the dates and phases of an earlier one: here it is put together as it is typed."""

import shlex
from collections.abc import Sequence
from datetime import date

from phasegate.domain.plan import Plan
from phasegate.domain.state.run import Run


def options_of(run: Run) -> list[str]:
    """Return the options that name a run's pipeline and source. On Google Cloud both are what is deployed."""
    return ["--pipeline", run.pipeline_file, "--source", run.source] if run.source else []


def new_run(run: Run, plan: Plan, days: Sequence[date] = (), *, reprocess: str = "") -> str:
    """Return the command of a run over the same phases, by the pipeline file as it is now.

    days: of which dates; empty: of those that the run was asked for. reprocess: what is made again; empty: what is
    missing.
    """
    whole = plan.phases == plan.pipeline.phase_names
    phases = [] if whole else ["--phases", f"{plan.phases[0]}..{plan.phases[-1]}"]
    again = ["--reprocess", reprocess] if reprocess else []
    dates = ["--dates", _written(days)] if days else _dates(plan)
    return shlex.join(["phasegate", "run", *options_of(run), *dates, *phases, *again, *_replaced(plan, reprocess)])


def _replaced(plan: Plan, reprocess: str) -> list[str]:
    """The options that name what is published once, where it is made again."""
    once = (
        f"{phase}/{x.name}"
        for phase in plan.phases
        for x in plan.pipeline.phase(phase).processors
        if reprocess and x.destructive == "when_present"
    )
    return [word for ref in once for word in ("--allow-destructive", ref)]


def _dates(plan: Plan) -> list[str]:
    """The options that select the dates of a plan, as they were given where that is known."""
    asked = plan.selection
    if asked is None or asked.is_blank:
        return ["--dates", _written(plan.days)]
    excluded = ["--exclude", _written(asked.exclude)] if asked.exclude else []
    if asked.seasons:
        return [*(word for season in asked.seasons for word in ("--season", season)), *excluded]
    if asked.dates:
        return ["--dates", _written(asked.dates), *excluded]
    return ["--from", str(asked.first), "--to", str(asked.last), *excluded]


def _written(days: Sequence[date]) -> str:
    return ",".join(map(str, days))
