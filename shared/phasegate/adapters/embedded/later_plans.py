"""Later generations of plans are kept beside the plans that were confirmed at the start."""

from phasegate.adapters.embedded.database import Database
from phasegate.adapters.state_codec import REMEDY
from phasegate.domain.errors import UnreadableRun

_TABLE = "later_plans"


def keep_plan(database: Database, run_id: str, name: str, document: str) -> None:
    """Keep a generation of a run's plan under its name; what is there already stays. In a transaction."""
    # Beside the numbered migrations: an earlier version of the program leaves the table alone, and refuses the run.
    database.execute(
        f"CREATE TABLE IF NOT EXISTS {_TABLE} (run_id TEXT NOT NULL, name TEXT NOT NULL, doc TEXT NOT NULL,"
        " PRIMARY KEY (run_id, name)) WITHOUT ROWID"
    )
    database.execute(f"INSERT OR IGNORE INTO {_TABLE} VALUES (?, ?, ?)", (run_id, name, document))


def later_plan(database: Database, run_id: str, name: str) -> str:
    """Return the document of a generation. Raises UnreadableRun where it is not kept."""
    if _is_there(database):
        where = (run_id, name)
        row = database.execute(f"SELECT doc FROM {_TABLE} WHERE run_id = ? AND name = ?", where).fetchone()
        if row:
            return str(row[0])
    raise UnreadableRun(f"the plan '{name}' of run '{run_id}' is not kept here; {REMEDY}")


def forget_plans(database: Database, run_id: str) -> None:
    """Delete the later generations of a run's plan. In a transaction."""
    if _is_there(database):
        database.execute(f"DELETE FROM {_TABLE} WHERE run_id = ?", (run_id,))


def _is_there(database: Database) -> bool:
    return bool(database.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (_TABLE,)).fetchone())
