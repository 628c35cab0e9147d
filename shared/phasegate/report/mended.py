"""What a retry takes over of a mended pipeline file, and what needs a new run, in words."""

from collections.abc import Sequence

from phasegate.report.new_run import new_run
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


def _listed(places: Sequence[str]) -> str:
    named = ", ".join(places[:PLACES_NAMED])
    return f"{named} and {len(places) - PLACES_NAMED} more" if len(places) > PLACES_NAMED else named
