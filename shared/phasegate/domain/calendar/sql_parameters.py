"""The SELECT of a processor is given by name its date, or the dates that it makes together, and the bounds of what they
may read."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.spec.gates import Lookback
from phasegate.domain.spec.ordering import gates_of
from phasegate.domain.spec.pipeline import Pipeline

WINDOW_START = "window_start"
"""The parameter that only a processor behind a lookback gate has."""

SQL_PARAMETERS = MappingProxyType(
    {
        "d": "the date",
        "season_start": "the first date of its season",
        WINDOW_START: "the first date that its lookback gates wait for; the date itself where they wait for none",
    }
)
"""What a SELECT may name that is run for each date by itself -> what that is; each is a DATE."""

DATES = "dates"
"""The parameter by which a SELECT is known that is run for many dates together."""

SET_PARAMETERS = MappingProxyType(
    {
        DATES: "the dates that are made together: an array of STRUCT, with the fields d, season_start and window_start",
        "first": "the first of the dates",
        "last": "the last of the dates",
        "season_start": "the earliest season_start of the dates",
        WINDOW_START: "the earliest window_start of the dates",
    }
)
"""What such a SELECT may name -> what that is; each but the first is a DATE."""


def lookbacks_of(pipeline: Pipeline, phase: str, processor: str) -> Iterator[Lookback]:
    """Find the lookback gates that hold a processor back."""
    for owner, number in gates_of(pipeline, phase, processor):
        gate = pipeline.phase(owner).gates[number]
        if isinstance(gate, Lookback):
            yield gate


def sql_parameters(pipeline: Pipeline, calendar: Calendar, phase: str, processor: str, day: date) -> dict[str, date]:
    """Return what the SELECT of a phase's processor is given for a date of the calendar, by parameter.

    A date that the schedule does not have any more has no season: every bound is the date itself.
    """
    lookbacks = tuple(lookbacks_of(pipeline, phase, processor))
    is_lost = day in calendar.lost
    windows = (calendar.window(day, dates=gate.dates, days=gate.days) for gate in lookbacks)
    found = {
        "d": day,
        "season_start": day if is_lost else calendar.seasons[calendar.by_day[day].season][0],
    }
    if lookbacks:
        found[WINDOW_START] = min((window[0] for window in windows if window), default=day)
    return found


def set_parameters(by_date: Sequence[Mapping[str, date]]) -> dict[str, date | Sequence[Mapping[str, date]]]:
    """Return what a SELECT is given that makes many dates together, by parameter.

    by_date: what ``sql_parameters`` gives for each of the dates, in calendar order.
    """
    earliest = {name: min(each[name] for each in by_date) for name in by_date[0] if name != "d"}
    return {DATES: by_date, "first": by_date[0]["d"], "last": by_date[-1]["d"], **earliest}
