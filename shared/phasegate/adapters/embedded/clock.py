"""Two clocks tell the time: the system's, and one that tests and simulations move by hand."""

from datetime import UTC, datetime


class SystemClock:
    """This clock tells the system's time."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""
        return datetime.now(UTC)


class VirtualClock:
    """This clock stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        """Return the time it was moved to."""
        return self._now

    def move_to(self, moment: datetime) -> None:
        """Go forward; a moment in the past changes nothing."""
        self._now = max(self._now, moment)
