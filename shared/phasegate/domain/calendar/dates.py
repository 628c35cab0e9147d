"""The calendar knows dates, seasons and windows.

A date is a plain date in the pipeline's time zone. Only dates with at least one row that meets the calendar's
condition exist; everything else (an off day, a day on which everything was postponed) cannot be selected.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise

from phasegate.domain.errors import InputError
from phasegate.domain.spec.pipeline import did_you_mean


@dataclass(frozen=True, slots=True)
class CalendarDate:
    """A date of the calendar carries its season, its numbers and its entities."""

    day: date
    """The date itself, in the pipeline's time zone."""

    season: str
    """The one season that it lies in, as the schedule writes it."""

    numbers: Mapping[str, int]
    """Name -> value of each of the calendar's numbers, for example ``orders: 8``."""

    entities: Mapping[str, tuple[str, ...]]
    """Name of an entity list -> the date's keys in it, sorted, for example ``shops: (A, B)``; without keys: absent."""

    not_held_by: tuple[str, ...] = ()
    """Those of the calendar's sources that hold nothing of this date, by name."""


@dataclass(frozen=True, slots=True)
class LeftOutDate:
    """A date is left out when it has rows in the schedule, and none of them meets the calendar's condition."""

    day: date
    """The date itself."""

    season: str
    """The season that its rows name."""

    rows: int
    """How many rows of the schedule it has."""


@dataclass(frozen=True)
class Calendar:
    """The calendar holds every date that the schedule knows."""

    dates: tuple[CalendarDate, ...]
    """All its dates, in order, each once."""

    by_numbers: bool = True
    """Whether the numbers of rows that checks demand say that some are due, or none. False: of a plan that an earlier
    version made, which goes on as it began."""

    lost: frozenset[date] = frozenset()
    """Those of the dates that the schedule does not have any more: nothing is due on them, and no window has them."""

    @classmethod
    def of(cls, dates: Iterable[CalendarDate]) -> "Calendar":
        """Make a calendar of these dates, put in order."""
        return cls(tuple(sorted(dates, key=lambda d: d.day)))

    @cached_property
    def by_day(self) -> Mapping[date, CalendarDate]:
        """Map each day to its date."""
        return {d.day: d for d in self.dates}

    @cached_property
    def _place(self) -> Mapping[date, int]:
        return {d.day: n for n, d in enumerate(self.dates)}

    def follows(self, before: date, after: date) -> bool:
        """Tell whether one of its dates comes right after another one."""
        return self._place[after] - self._place[before] == 1

    @cached_property
    def seasons(self) -> Mapping[str, tuple[date, ...]]:
        """Map each season to its days; seasons are in order of their starts."""
        seasons: dict[str, list[date]] = {}
        for each in self.dates:
            if each.day not in self.lost:
                seasons.setdefault(each.season, []).append(each.day)
        return {name: tuple(days) for name, days in seasons.items()}

    def season(self, name: str) -> tuple[date, ...]:
        """Return the days of a season. Raises InputError for a name that the schedule does not have."""
        if name not in self.seasons:
            raise InputError(f"unknown season '{name}'{did_you_mean(name, self.seasons)}")
        return self.seasons[name]

    def days_since_start(self, day: date) -> int:
        """Count the calendar days from the season's first date to this one (0 on that first date)."""
        return (day - self.seasons[self.by_day[day].season][0]).days

    def window(self, day: date, *, dates: int | None = None, days: int | None = None) -> tuple[date, ...]:
        """Return the dates before ``day``, inside its season: the last ``dates`` of them, or those within ``days``
        days; none before a date that is lost."""
        if day in self.lost:
            return ()
        season = self.seasons[self.by_day[day].season]
        end = bisect_left(season, day)
        if dates is not None:
            return season[max(0, end - dates) : end]
        return season[bisect_left(season, day - timedelta(days=days or 0)) : end]


MOST_STRETCHES = 8
"""Stretches into which dates are cut."""


def stretches(days: Sequence[date], gap_days: int) -> list[list[date]]:
    """Cut dates at their longest gaps, those of more than so many days, into ``MOST_STRETCHES`` at most; sorted."""
    days = sorted(days)
    gaps = [((after - before).days, n) for n, (before, after) in enumerate(pairwise(days), 1)]
    cuts = sorted(n for gap, n in sorted(gaps, reverse=True)[: MOST_STRETCHES - 1] if gap > gap_days)
    return [days[first:last] for first, last in pairwise([0, *cuts, len(days)])]
