"""Clocks: the system's, and one that tests and simulations move by hand."""

from datetime import UTC, datetime


class SystemClock:
    """UTC now."""

    def now(self) -> datetime:
        """The current time, aware, UTC."""
        return datetime.now(UTC)


class VirtualClock:
    """Stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        """The time it was moved to."""
        return self._now

    def move_to(self, moment: datetime) -> None:
        """Go forward; a moment in the past changes nothing."""
        self._now = max(self._now, moment)
