"""Time comes from a clock, which tests move by hand."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """A clock tells the time."""

    def now(self) -> datetime:
        """Return the time now, aware, in UTC."""
