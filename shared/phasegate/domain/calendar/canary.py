"""Canary dates are a few of a run's dates that go through all phases first; the rest is let go when they have
passed."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.spec.pipeline import CalendarSpec


class Canary(NamedTuple):
    """A canary names the dates that go through all phases before the rest."""

    reasons: dict[date, str]
    """Date -> why it was chosen; in order of the dates."""

    lacking: tuple[str, ...]
    """Which kinds of dates there are none of, and why, a sentence each."""


def choose(spec: CalendarSpec, calendar: Calendar, days: Sequence[date]) -> Canary:
    """Choose the first, middle and last of the selected dates, one bootstrap date, and one whose canary number is above
    0."""
    chosen: dict[date, list[str]] = {}
    lacking: list[str] = []
    for day, why in ((days[0], "first"), (days[len(days) // 2], "middle"), (days[-1], "last")):
        chosen.setdefault(day, []).append(why)
    bootstrap = next((day for day in days if calendar.days_since_start(day) < spec.bootstrap_days), None)
    if bootstrap is not None:
        chosen.setdefault(bootstrap, []).append("bootstrap")
    else:
        lacking.append("no bootstrap date is selected" if spec.bootstrap_days else "the calendar has no bootstrap days")
    if (number := spec.canary_number) is None:
        lacking.append("the calendar has no `canary_number`, which marks special dates")
    else:
        special = next((day for day in days if calendar.by_day[day].numbers[number] > 0), None)
        if special is not None:
            chosen.setdefault(special, []).append(number)
        else:
            lacking.append(f"no date with {number} above 0 is selected")
    return Canary({day: ", ".join(why) for day, why in sorted(chosen.items())}, tuple(lacking))
