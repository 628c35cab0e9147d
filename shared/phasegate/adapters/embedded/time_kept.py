"""Where the time of each drive of a run went is kept beside the run, for its report."""

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from phasegate.adapters.embedded.database import Database
from phasegate.domain.state.time_spent import TimeSpent

_TABLE = "time_spent"

_SPENT = TypeAdapter(TimeSpent)


def add_time(database: Database, run_id: str, spent: TimeSpent) -> None:
    """Keep where the time of one drive of a run went."""
    with database.transaction():
        # Beside the numbered migrations: an earlier version of the program leaves the table alone, and goes on.
        database.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE} (run_id TEXT NOT NULL, doc TEXT NOT NULL)")
        database.execute(f"INSERT INTO {_TABLE} VALUES (?, ?)", (run_id, to_json(spent).decode()))


def time_spent(database: Database, run_id: str) -> TimeSpent | None:
    """Return where the time of all drives of a run went, added up.

    None: nothing is kept of any, or this version cannot read what is kept of one of them. That one hides the others:
    their sum would be told as the time of the whole run, and it is less.
    """
    if not _is_there(database):
        return None
    rows = database.execute(f"SELECT doc FROM {_TABLE} WHERE run_id = ?", (run_id,)).fetchall()
    try:
        drives = [_SPENT.validate_json(doc) for (doc,) in rows]
    except ValidationError:
        return None
    return sum(drives[1:], drives[0]) if drives else None


def forget_time(database: Database, run_id: str) -> None:
    """Delete what is kept of a run's drives. In a transaction."""
    if _is_there(database):
        database.execute(f"DELETE FROM {_TABLE} WHERE run_id = ?", (run_id,))


def _is_there(database: Database) -> bool:
    return bool(database.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (_TABLE,)).fetchone())
