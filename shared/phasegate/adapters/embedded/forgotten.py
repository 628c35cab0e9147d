"""Of runs that were forgotten a home keeps, per date, from which source folder the rows were made."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime

from phasegate.adapters.embedded.database import Database
from phasegate.domain.state.run import Run

_TABLE = "sources_of_forgotten"


def keep_source(database: Database, run: Run, days: Iterable[date]) -> None:
    """Keep which source folder a run read, for the dates of which no younger run was forgotten. In a transaction."""
    # Beside the numbered migrations: an earlier version of the program leaves the table alone, and goes on.
    database.execute(
        f"CREATE TABLE IF NOT EXISTS {_TABLE} (pipeline TEXT NOT NULL, day TEXT NOT NULL, created_at TEXT NOT NULL,"
        " source TEXT NOT NULL, PRIMARY KEY (pipeline, day)) WITHOUT ROWID"
    )
    database.executemany(
        f"INSERT INTO {_TABLE} VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
        " SET created_at = excluded.created_at, source = excluded.source WHERE excluded.created_at > created_at",
        [(run.pipeline, day.isoformat(), run.created_at.isoformat(), run.source) for day in days],
    )


def sources(database: Database, pipeline: str) -> Mapping[date, tuple[datetime, str]]:
    """Return by date when the youngest forgotten run of a pipeline was created, and the source folder that it read."""
    if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (_TABLE,)).fetchone():
        return {}
    rows = database.execute(f"SELECT day, created_at, source FROM {_TABLE} WHERE pipeline = ?", (pipeline,))
    return {date.fromisoformat(day): (datetime.fromisoformat(at), source) for day, at, source in rows}
