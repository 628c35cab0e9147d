"""Dates, seasons and windows.

A date is a plain date in the pipeline's time zone. Only dates with at least one row that meets the calendar's
condition exist; everything else (an off day, a day on which everything was postponed) cannot be selected.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from phasegate.domain.errors import InputError
from phasegate.domain.spec.pipeline import did_you_mean


@dataclass(frozen=True, slots=True)
class GameDate:
    """One date of the calendar: its season, its numbers (``orders: 8``) and its entities (``shops: (A, …)``).

    not_held_by: those of the calendar's sources that hold nothing of this date.
    """

    day: date
    season: str
    numbers: Mapping[str, int]
    entities: Mapping[str, tuple[str, ...]]
    not_held_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOutDate:
    """A date with rows in the schedule of which none meets the calendar's condition. rows: how many."""

    day: date
    season: str
    rows: int


@dataclass(frozen=True)
class Calendar:
    """Every date that the schedule knows, in order."""

    dates: tuple[GameDate, ...]

    @classmethod
    def of(cls, dates: Iterable[GameDate]) -> "Calendar":
        """A calendar of these dates, put in order."""
        return cls(tuple(sorted(dates, key=lambda d: d.day)))

    @cached_property
    def by_day(self) -> Mapping[date, GameDate]:
        """Dates by day."""
        return {d.day: d for d in self.dates}

    @cached_property
    def seasons(self) -> Mapping[str, tuple[date, ...]]:
        """Days of each season, in order of the seasons' starts."""
        seasons: dict[str, list[date]] = {}
        for each in self.dates:
            seasons.setdefault(each.season, []).append(each.day)
        return {name: tuple(days) for name, days in seasons.items()}

    def season(self, name: str) -> tuple[date, ...]:
        """Days of a season. Raises InputError for a name that the schedule does not have."""
        if name not in self.seasons:
            raise InputError(f"unknown season '{name}'{did_you_mean(name, self.seasons)}")
        return self.seasons[name]

    def days_since_start(self, day: date) -> int:
        """Calendar days from the season's first date to this one (0 on that first date)."""
        return (day - self.seasons[self.by_day[day].season][0]).days

    def window(self, day: date, *, dates: int | None = None, days: int | None = None) -> tuple[date, ...]:
        """Dates before ``day``, inside its season: the last ``dates`` of them, or those within ``days`` days."""
        season = self.seasons[self.by_day[day].season]
        end = bisect_left(season, day)
        if dates is not None:
            return season[max(0, end - dates) : end]
        return season[bisect_left(season, day - timedelta(days=days or 0)) : end]
