"""People and schedules ask the functions for a sweep, or a report; whoever names dates does so in the same keys."""

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from phasegate.domain.calendar.relative_dates import AskedDay, AskedRange, read_asked_day, read_past_days
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.protocol.written_dates import WrittenDay
from phasegate.domain.state.run import RUN_ID


def _several(value: Any) -> Any:
    """One text stands for a list of one, and ``"a, b"`` for two."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _asked_day(value: Any) -> AskedDay:
    return read_asked_day(_text(value))


def _past_days(value: Any) -> int:
    return read_past_days(_text(value))


def _text(value: Any) -> str:
    """What has the form of no date, and of no number of days, where a request has something else than a text."""
    return value if isinstance(value, str) else repr(value)


Days = Annotated[tuple[WrittenDay, ...], BeforeValidator(_several)]
"""Dates: a list, or one text with commas."""

Names = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""Names: a list, or one text with commas."""


_AskedDay = Annotated[AskedDay, BeforeValidator(_asked_day)]
_PastDays = Annotated[int, BeforeValidator(_past_days)]


class DatesRequest(BaseModel):
    """A dates request names dates; keys are those of the command line's options. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    season: Names = Field(default=(), description="all dates of these seasons")
    first_day: _AskedDay | None = Field(default=None, alias="from", description="the first date, or yesterday")
    last_day: _AskedDay | None = Field(default=None, alias="to", description="the last date, or yesterday")
    past_days: _PastDays | None = Field(
        default=None, alias="last", description="the last so many calendar days up to yesterday, for example 7d or 2w"
    )
    dates: Days = Field(default=(), description="these dates alone")
    exclude: Days = Field(default=(), description="dates to leave out")

    @property
    def names_dates(self) -> bool:
        """Tell whether dates are named, or left out."""
        return any((self.season, self.first_day, self.last_day, self.past_days, self.dates, self.exclude))

    def selection_on(self, today: date) -> Selection:
        """Return the dates that are named, as they are meant on a day. Raises InputError where a range is named in two
        ways."""
        first, last = AskedRange(self.first_day, self.last_day, self.past_days).on(today)
        return Selection(self.season, first, last, self.dates, self.exclude)


class SweepRequest(BaseModel):
    """A sweep request names the run to sweep; none: every unfinished one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str | None = Field(default=None, pattern=f"^{RUN_ID}$", description="the run to sweep; null: every one")


class VerifyRequest(DatesRequest):
    """A verify request names a run, or dates without one."""

    run_id: str | None = Field(default=None, pattern=f"^{RUN_ID}$", description="the run to report on")
    phases: str | None = Field(default=None, description="the phases, for example 1..3; null: all")

    def require_run_or_dates(self) -> None:
        """Refuse a run that is named beside dates or phases: raises InputError."""
        if self.run_id is not None and (self.names_dates or self.phases):
            raise InputError("a run is verified on its own dates and phases; leave out either the run or the rest")
