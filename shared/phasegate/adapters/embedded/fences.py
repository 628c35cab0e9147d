"""Fences of a home only rise, also where its state or the log of it was lost and the rows of its tables were not."""

from datetime import UTC, datetime, timedelta

from phasegate.adapters.embedded.database import Database

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def begin_fences(database: Database, now: datetime) -> None:
    """Let the next fences be above the time in microseconds since 1970: for who is about to drive the home.

    The tables hold fences of processes that this state may know nothing of any more. Fewer than a million are drawn a
    second, so that those lie below.
    """
    floor = (now - _EPOCH) // timedelta(microseconds=1)
    with database.transaction():
        there = database.execute("UPDATE sqlite_sequence SET seq = MAX(seq, ?) WHERE name = 'claims'", (floor,))
        if not there.rowcount:
            database.execute("INSERT INTO sqlite_sequence VALUES ('claims', ?)", (floor,))
