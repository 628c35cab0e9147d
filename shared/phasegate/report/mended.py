"""What a retry takes over of a mended pipeline file, and what needs a new run, in words."""

import shlex
from collections.abc import Sequence
from datetime import date

from phasegate.domain.plan import Plan
from phasegate.domain.state.run import Run
from phasegate.report.explain import options_of
from phasegate.services.operating.mending import FileChanges

PLACES_NAMED = 5
"""Places of the file that a line names."""


def mended_text(file: FileChanges) -> list[str]:
    """Write the lines for people; none, where the file says what the plan does."""
    if file.later is not None:
        return [f"taken over from the pipeline file: {_listed(file.checks)}"]
    if not file.others:
        return []
    return [
        f"the pipeline file says something else since the run was planned ({_listed(file.others)}); the run goes on by "
        "its plan, as checks and expectations alone could be taken over; a run by the file, when this one has ended: "
        f"{new_run(file.run, file.plan)}"
    ]


def new_run(run: Run, plan: Plan) -> str:
    """Return the command of a run over the same dates and phases, by the file as it is now."""
    whole = plan.phases == plan.pipeline.phase_names
    phases = [] if whole else ["--phases", f"{plan.phases[0]}..{plan.phases[-1]}"]
    return shlex.join(["phasegate", "run", *options_of(run), *_dates(plan), *phases])


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


def _listed(places: Sequence[str]) -> str:
    named = ", ".join(places[:PLACES_NAMED])
    return f"{named} and {len(places) - PLACES_NAMED} more" if len(places) > PLACES_NAMED else named
