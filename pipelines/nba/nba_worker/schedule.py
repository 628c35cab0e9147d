"""The schedule has game dates, seasons and windows, as the reference worker sees them."""

from bisect import bisect_left
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

FINAL = 3
"""``game_status`` of a game that was played to its end; any other is to come, postponed or abandoned."""

WINDOW_DATES = 15
"""League game dates that a lookback reads."""

BOOTSTRAP_DAYS = 7
"""Calendar days at a season's start for which nothing is precomputed: too few games to judge by."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window bounds what a date may read of earlier ones: everything is on or after these, and before the date
    itself.

    On the first date of a season both are that date, so that the window is empty.
    """

    season_start: date
    """The first date of the season."""
    window_start: date
    """The first date of the lookback."""


class Schedule:
    """A schedule knows the dates with at least one final game, by season."""

    def __init__(self, games: Iterable[tuple[str, date]]) -> None:
        """games: season and date of every final game."""
        dates: dict[str, set[date]] = {}
        self._season_of: dict[date, str] = {}
        for season, day in games:
            dates.setdefault(season, set()).add(day)
            self._season_of[day] = season
        self._dates = {season: sorted(days) for season, days in dates.items()}

    @property
    def dates(self) -> Collection[date]:
        """Return all game dates."""
        return self._season_of.keys()

    def season_of(self, day: date) -> str | None:
        """Return the season of a game date, None for a date without games."""
        return self._season_of.get(day)

    def is_game_date(self, day: date) -> bool:
        """Whether a game of this date was played to its end."""
        return day in self._season_of

    def is_first_date(self, day: date) -> bool:
        """Whether this is the first game date of its season."""
        return self.is_game_date(day) and self.window(day).season_start == day

    def is_bootstrap(self, day: date) -> bool:
        """Whether the date is among the first seven calendar days of its season."""
        return self.is_game_date(day) and day < self.window(day).season_start + timedelta(days=BOOTSTRAP_DAYS)

    def season(self, day: date) -> list[date]:
        """Return the game dates of the season of a date, in order; none for a date without games."""
        return self._dates[self._season_of[day]] if day in self._season_of else []

    def window(self, day: date) -> Window:
        """Return the last 15 game dates of the season before ``day``; an empty window for a date without games."""
        if day not in self._season_of:
            return Window(day, day)
        dates = self._dates[self._season_of[day]]
        position = bisect_left(dates, day)
        return Window(dates[0], dates[max(0, position - WINDOW_DATES)])
