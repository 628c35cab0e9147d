"""People and schedules ask the functions for a sweep, or a report."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.protocol.written_dates import WrittenDay
from phasegate.domain.state.run import RUN_ID


def _several(value: Any) -> Any:
    """One text stands for a list of one, and ``"a, b"`` for two."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


Days = Annotated[tuple[WrittenDay, ...], BeforeValidator(_several)]
"""Dates: a list, or one text with commas."""

Names = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""Names: a list, or one text with commas."""


class SweepRequest(BaseModel):
    """A sweep request names the run to sweep; none: every unfinished one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str | None = Field(default=None, pattern=f"^{RUN_ID}$", description="the run to sweep; null: every one")


class VerifyRequest(BaseModel):
    """A verify request names a run, or dates without one; keys are those of the command line's options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str | None = Field(default=None, pattern=f"^{RUN_ID}$", description="the run to report on")
    season: Names = Field(default=(), description="all dates of these seasons")
    first: WrittenDay | None = Field(default=None, alias="from", description="the first date")
    last: WrittenDay | None = Field(default=None, alias="to", description="the last date")
    dates: Days = Field(default=(), description="these dates alone")
    exclude: Days = Field(default=(), description="dates to leave out")
    phases: str | None = Field(default=None, description="the phases, for example 1..3; null: all")

    @property
    def selection(self) -> Selection | None:
        """Return the dates, where no run is named. Raises InputError when both are given."""
        named = bool(self.season or self.first or self.last or self.dates or self.exclude or self.phases)
        if self.run_id is not None:
            if named:
                raise InputError("a run is verified on its own dates and phases; leave out either the run or the rest")
            return None
        return Selection(self.season, self.first, self.last, self.dates, self.exclude)
