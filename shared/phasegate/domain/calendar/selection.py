"""A selection says which dates a person asked for. An empty answer is an error, and so is a date that the schedule does
not have."""

from dataclasses import dataclass
from datetime import date

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.errors import InputError


@dataclass(frozen=True, slots=True)
class Selection:
    """A selection names seasons, or a range, or single dates; less the excluded ones."""

    seasons: tuple[str, ...] = ()
    """Seasons whose dates are selected; empty: none is named."""

    first: date | None = None
    """The first date of a range, itself included; None: no range is given."""

    last: date | None = None
    """The last date of the range, itself included; None as for ``first``."""

    dates: tuple[date, ...] = ()
    """Single dates, in the order given; empty: none is named."""

    exclude: tuple[date, ...] = ()
    """Dates that are left out of what the others select."""

    exclude_live: bool = False
    """Whether the dates of the live window are left out too; ``overrides.without_live`` finds them."""

    @property
    def is_blank(self) -> bool:
        """Tell whether nobody said which dates."""
        return not (self.seasons or self.first or self.last or self.dates or self.exclude)

    def covers(self, day: date, season: str) -> bool:
        """Tell whether a date lies where this selection looks, in the schedule or not; a blank one looks everywhere."""
        if day in self.exclude:
            return False
        if self.first is not None and self.last is not None:
            return self.first <= day <= self.last
        return self.is_blank or day in self.dates or season in self.seasons

    def resolve(self, calendar: Calendar) -> tuple[date, ...]:
        """Return the selected dates, in order.

        Raises InputError for an unknown season, a date that is not there, a range that ends before it begins, more
        than one way of selecting, and an empty result.
        """
        ways = [bool(self.seasons), self.first is not None or self.last is not None, bool(self.dates)]
        if sum(ways) != 1:
            raise InputError(
                "say which dates: --season S, or --from D --to D, or --dates D,D, or --last 7d (exactly one of these)"
            )
        if self.seasons:
            chosen = {day for season in self.seasons for day in calendar.season(season)}
            asked = f"season {', '.join(self.seasons)}"
        elif self.dates:
            chosen = {self._known_date(calendar, day, "--dates") for day in self.dates}
            asked = "--dates"
        else:
            chosen, asked = self._range(calendar)
        excluded = {self._known_date(calendar, day, "--exclude") for day in self.exclude}
        if not chosen - excluded:
            raise InputError(f"no dates selected ({asked}); {_extent(calendar)}")
        return tuple(sorted(chosen - excluded))

    def _range(self, calendar: Calendar) -> tuple[set[date], str]:
        if self.first is None or self.last is None:
            raise InputError("--from and --to belong together; give both")
        if self.first > self.last:
            raise InputError(f"--from {self.first} is after --to {self.last}")
        chosen = {d.day for d in calendar.dates if self.first <= d.day <= self.last}
        if not chosen and calendar.dates:
            raise InputError(
                f"no dates selected ({self.first} to {self.last}); {_extent(calendar)}; name a range that reaches "
                f"{_neighbours(calendar, self.first)}"
            )
        return chosen, f"{self.first} to {self.last}"

    @staticmethod
    def _known_date(calendar: Calendar, day: date, flag: str) -> date:
        if day not in calendar.by_day:
            near = min((d.day for d in calendar.dates), key=lambda d: abs((d - day).days), default=None)
            hint = f"; the nearest is {near}" if near else ""
            raise InputError(f"{flag}: {day} is not a date of the schedule{hint}")
        return day


def _neighbours(calendar: Calendar, day: date) -> str:
    """The dates of the schedule between which one lies that it does not have."""
    before = max((d.day for d in calendar.dates if d.day < day), default=None)
    after = min((d.day for d in calendar.dates if d.day > day), default=None)
    return " or ".join(str(each) for each in (before, after) if each)


def _extent(calendar: Calendar) -> str:
    if not calendar.dates:
        return "the schedule holds no row that counts"
    seasons = ", ".join(calendar.seasons)
    return f"the schedule runs from {calendar.dates[0].day} to {calendar.dates[-1].day} (seasons {seasons})"
