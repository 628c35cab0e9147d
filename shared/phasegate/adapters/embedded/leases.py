"""Leases lie in SQLite, one row per table and date."""

from datetime import date, datetime

from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.fences import next_fence
from phasegate.domain.state.lease import Held, Lease, check_holder, is_held


class SqliteLeases:
    """This is the ``Leases`` port over the state file. Another process that writes the same tables opens the state file
    and makes its own.

    After the process that drives a run was killed, the leases of its calls run out by themselves.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, table: str, day: date, holder: str, until: datetime, now: datetime) -> Lease | Held:
        """See the port."""
        check_holder(holder, until, now)
        with self._database.transaction():
            row = self._database.execute(
                "SELECT holder, until FROM leases WHERE output_table = ? AND day = ?", (table, day.isoformat())
            ).fetchone()
            if row and is_held(row[0], ends := datetime.fromisoformat(row[1]), now):
                return Held(table, day, row[0], ends)
            fence = self._draw_fence(now)
            self._database.execute(
                "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?)",
                (table, day.isoformat(), holder, fence, until.isoformat()),
            )
        return Lease(table, day, holder, fence, until)

    def _draw_fence(self, now: datetime) -> int:
        """The next number of the sequence that claims draw theirs from."""
        fence = next_fence(self._database, now)
        written = self._database.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'claims'", (fence,))
        if not written.rowcount:
            self._database.execute("INSERT INTO sqlite_sequence VALUES ('claims', ?)", (fence,))
        return fence

    def extend(self, table: str, day: date, holder: str, until: datetime) -> bool:
        """See the port."""
        written = self._database.execute(
            "UPDATE leases SET until = ? WHERE output_table = ? AND day = ? AND holder = ?",
            (until.isoformat(), table, day.isoformat(), holder),
        )
        return bool(written.rowcount)

    def give_back(self, lease: Lease) -> None:
        """See the port."""
        self._database.execute(
            "UPDATE leases SET holder = '' WHERE output_table = ? AND day = ? AND fence = ?",
            (lease.table, lease.day.isoformat(), lease.fence),
        )
