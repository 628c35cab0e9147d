"""The schedule has game dates, as the reference worker sees them."""

from collections.abc import Iterable
from datetime import date

FINAL = 3
"""``game_status`` of a game that was played to its end; any other is to come, postponed or abandoned."""


class Schedule:
    """A schedule knows the dates with at least one final game."""

    def __init__(self, dates: Iterable[date]) -> None:
        """dates: that of every final game."""
        self._dates = frozenset(dates)

    def is_game_date(self, day: date) -> bool:
        """Whether a game of this date was played to its end."""
        return day in self._dates
