"""The gates on an edge into a phase say what must hold before a release group is released, as the pipeline file has
them."""

from typing import Annotated, Literal

from pydantic import Field

from phasegate.domain.spec.strict import Name, Strict


class Gate(Strict):
    """A gate is a check on an edge into a phase. ``for`` narrows it to some processors of the phase: they form a
    release group."""

    only_for: list[Name] | None = Field(
        default=None, alias="for", min_length=1, description="processors of the phase that it holds; default: all"
    )


class AllSucceeded(Gate):
    """This gate asks whether every named processor (default: all) of an earlier phase has succeeded for this date."""

    check: Literal["all_succeeded"] = Field(default="all_succeeded", description="the kind of gate")
    phase: Name = Field(description="an earlier phase")
    processors: list[Name] | None = Field(
        default=None, min_length=1, description="processors of that phase; default: all"
    )


class Lookback(Gate):
    """This gate asks whether the named processors are proved and sound on the dates before this one, inside the season.

    There are fewer of these dates at the season's start.
    """

    check: Literal["lookback"] = Field(default="lookback", description="the kind of gate")
    processors: list[str] = Field(min_length=1, description="processors that write tables, named as in `needs`")
    dates: int | None = Field(default=None, ge=1, le=400, description="so many dates of the calendar before this one")
    days: int | None = Field(default=None, ge=1, le=400, description="the dates within so many days before this one")


class ApprovalGate(Gate):
    """This gate asks whether a person has said that this phase may go. It holds every date of the run until then."""

    check: Literal["approval"] = Field(default="approval", description="the kind of gate")


class Barrier(Gate):
    """This gate asks whether all dates of the run, or of the season, have passed an earlier phase."""

    check: Literal["barrier"] = Field(default="barrier", description="the kind of gate")
    phase: Name = Field(description="an earlier phase")
    scope: Literal["run", "season"] = Field(default="run", description="whose dates must have passed it")


EdgeGate = Annotated[AllSucceeded | Lookback | Barrier | ApprovalGate, Field(discriminator="check")]
