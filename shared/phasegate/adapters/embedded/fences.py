"""Fences of a home only rise, also where its state or the log of it was lost and the rows of its tables were not."""

from datetime import UTC, datetime, timedelta

from phasegate.adapters.embedded.database import Database

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def next_fence(database: Database, now: datetime) -> int:
    """Return the fence that is drawn next, by a claim or a lease: they have one sequence.

    It is at least the time in microseconds since 1970. The tables hold fences that the state may know nothing of any
    more; fewer than a million are drawn a second, so that those lie below.
    """
    last = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'claims'").fetchone()
    return max(int(last[0]) + 1 if last else 1, (now - _EPOCH) // timedelta(microseconds=1))
