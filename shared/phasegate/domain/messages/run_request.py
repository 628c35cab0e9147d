"""A run request is what somebody asks for, by flags or by a message: which dates of which pipeline, and how."""

from dataclasses import dataclass
from typing import Literal

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.operations.overrides import NO_OVERRIDES, Overrides

Reprocess = Literal["missing", "stale", "failed", "all"]
"""What runs of the selected work: what the tables lack; the same on those dates alone on which something was made from
what has changed since, or does not pass; what the last run left undone; or everything."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run request is kept as it was given, with plain dates in place of relative ones: nothing in it depends on the
    calendar, the tables or the day."""

    selection: Selection
    """Which dates are asked for."""

    pipeline_file: str
    """Where the pipeline is read from; it is kept with the run, for people."""

    source: str | None = None
    """The source folder of embedded mode; None on a cloud, where the workers know their own."""

    phases: str | None = None
    """``A..B``, names or numbers from 1; None: those of the profile, or all."""

    profile: str | None = None
    """A profile of the pipeline file."""

    reprocess: Reprocess = "missing"
    """What runs of the selected work."""

    why: str = ""
    """The reason, kept with the run."""

    overrides: Overrides = NO_OVERRIDES
    """What was named on purpose. It changes nothing of what is done, so the same request with more of them finds the
    same run."""
