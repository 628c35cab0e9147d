"""The calendar of a season up to a date is named by one hash. A table that reads the schedule over more than its own
date keeps that hash, and is told by it when the calendar has changed since."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from phasegate.domain.calendar.dates import Calendar


class SeasonToDate(NamedTuple):
    """What the calendar has of a season, up to a date and with it."""

    fingerprint: str
    """The hash over the season's name and these dates, with their numbers and keys; 32 hex digits."""
    dates: int
    """How many dates these are."""


def seasons_to_date(calendar: Calendar) -> Mapping[date, SeasonToDate]:
    """Tell, for each date of a calendar, what it has of the season so far; dates that are lost are absent.

    Each season is hashed once, from its first date to its last. What sources hold of a date does not count: they are
    other tables.
    """
    found: dict[date, SeasonToDate] = {}
    for season, days in calendar.seasons.items():
        so_far = hashlib.sha256(f"{season}\n".encode())
        for count, day in enumerate(days, 1):
            each = calendar.by_day[day]
            said = [day.isoformat(), dict(each.numbers), {name: [*keys] for name, keys in each.entities.items()}]
            so_far.update(f"{json.dumps(said, sort_keys=True)}\n".encode())
            found[day] = SeasonToDate(so_far.copy().hexdigest()[:32], count)
    return found
