"""The gates on an edge into a phase, as the pipeline file says them: what must hold before a release group is
released."""

from typing import Annotated, Literal

from pydantic import Field

from phasegate.domain.spec.strict import Name, Strict


class Gate(Strict):
    """A check on an edge into a phase. ``for`` narrows it to some processors of the phase: they form a release
    group."""

    only_for: list[Name] | None = Field(default=None, alias="for", min_length=1)


class AllSucceeded(Gate):
    """Has every named processor (default: all) of an earlier phase succeeded for this date?"""

    check: Literal["all_succeeded"] = "all_succeeded"
    phase: Name
    processors: list[Name] | None = Field(default=None, min_length=1)


class Lookback(Gate):
    """Are the named processors proved and sound on the dates before this one, inside the season?

    dates: so many game dates; days: so many calendar days. Fewer at the season's start.
    """

    check: Literal["lookback"] = "lookback"
    processors: list[str] = Field(min_length=1)
    dates: int | None = Field(default=None, ge=1, le=400)
    days: int | None = Field(default=None, ge=1, le=400)


class ApprovalGate(Gate):
    """Has a person said that this phase may go? It holds every date of the run until then."""

    check: Literal["approval"] = "approval"


class Barrier(Gate):
    """Have all dates of the run, or of the season, passed an earlier phase?"""

    check: Literal["barrier"] = "barrier"
    phase: Name
    scope: Literal["run", "season"] = "run"


EdgeGate = Annotated[AllSucceeded | Lookback | Barrier | ApprovalGate, Field(discriminator="check")]
