"""A home knows its warehouse: an identity is kept in both, so that another file in its place is noticed."""

import uuid

from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse

_TABLE = "known_warehouse"


def is_another(database: Database, warehouse: DuckDbWarehouse) -> bool:
    """Tell whether the warehouse is not the one that the state knows. A state that knows none takes any."""
    known = _known(database)
    return known is not None and warehouse.identity() != known


def get_to_know(database: Database, warehouse: DuckDbWarehouse) -> bool:
    """Keep one identity in both from now on, the warehouse's; tell whether the state knew another one before.

    Homes that were written by earlier versions have none, and get one.
    """
    is_new = is_another(database, warehouse)
    identity = warehouse.identity()
    if identity is None:
        identity = uuid.uuid4().hex
        warehouse.identify(identity)
    if _known(database) != identity:
        with database.transaction():
            # Beside the numbered migrations: an earlier version of the program leaves the table alone, and goes on.
            database.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE} (identity TEXT NOT NULL)")
            database.execute(f"DELETE FROM {_TABLE}")
            database.execute(f"INSERT INTO {_TABLE} VALUES (?)", (identity,))
    return is_new


def _known(database: Database) -> str | None:
    if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (_TABLE,)).fetchone():
        return None
    row = database.execute(f"SELECT identity FROM {_TABLE}").fetchone()
    return str(row[0]) if row else None
