"""With a lease the other writer of a table writes a date only while no backfill writes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

from phasegate.domain.errors import TransientError
from phasegate.domain.state.lease import Held, Lease
from phasegate.ports import Leases


@contextmanager
def lease(leases: Leases, table: str, day: date, holder: str, seconds: float) -> Iterator[Lease]:
    """Hold the lease on one date of a table while the block writes it; it is given back at the end, however it ends.

    table: ``dataset.table``, as the pipeline file writes it. holder: the writer's name for people, ``live-pipeline``.
    seconds: longer than the write ever takes. The lease runs out then, and a backfill may begin: a writer that comes
    to the end of its time must stop (``has_passed(held.until)``), and puts ``held.fence`` on its rows where they
    have a fence column, so that whatever comes late is refused.

    Raises TransientError, and the block is not entered, while somebody else writes the date: it says who and until
    when. InputError for an empty holder or no time at all; HaltError when the state may not be written.
    """
    now = datetime.now(UTC)
    held = leases.take(table, day, holder, now + timedelta(seconds=seconds), now)
    if isinstance(held, Held):
        raise TransientError(f"{held}; try again later")
    try:
        yield held
    finally:
        leases.give_back(held)
