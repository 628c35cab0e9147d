"""Three clocks tell the time: the system's, one that never goes back, and one that tests move by hand."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

NOTABLE = timedelta(minutes=1)
"""So far behind the recorded time the system's clock is worth a word."""

_log = logging.getLogger(__name__)


class SystemClock:
    """This clock tells the system's time."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""
        return datetime.now(UTC)


class SteadyClock:
    """This clock tells the system's time and never goes back: not when that is set back, nor after a restart.

    A virtual machine that is resumed, or a wrong clock that is put right, would else lie before what is due and before
    names that are used up: nothing would start until it has caught up. The clock goes on from the time that was
    reached, at the pace of the monotonic one. Thread-safe.

    reached: the latest time that is recorded; None: nothing is. wall, monotonic: what tells the time, and seconds that
    only rise.
    """

    def __init__(
        self,
        reached: datetime | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._monotonic, self._lock = wall, monotonic, threading.Lock()
        now = wall()
        self._last, self._at = max(reached or now, now), monotonic()
        self._was_told = False
        self._tell(self._last - now)

    def tell_again(self) -> None:
        """Have it said once more, at the next look, that the system's clock is behind: somebody else listens now."""
        self._was_told = False

    def now(self) -> datetime:
        """Return the time, aware, UTC: never less than before."""
        with self._lock:
            wall, at = self._wall(), self._monotonic()
            is_behind = wall < self._last
            now = max(wall, self._last + timedelta(seconds=at - self._at)) if is_behind else wall
            self._last, self._at = now, at
        if not is_behind:
            return now
        self._tell(now - wall)
        return now

    def _tell(self, behind: timedelta) -> None:
        if behind >= NOTABLE and not self._was_told:
            self._was_told = True
            _log.warning(
                "the clock of this machine is %d s behind the time that is recorded; it goes on from there: set this "
                "clock right if it is wrong; if the record is (a clock was ahead when it was written), its times stay "
                "ahead until this one has caught up, and another home begins without them",
                behind.total_seconds(),
            )


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
