"""Topics in SQLite are durable: a message stays until it is acknowledged, and is delivered at least once."""

from collections import deque
from collections.abc import Sequence

from phasegate.adapters.embedded.database import Database


class SqliteEvents:
    """This is the ``Events`` port, and the delivering side that the engine drives. Written by one process at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._load()
        database.on_rollback(self._load)

    def _load(self) -> None:
        self._waiting = deque(self._database.execute("SELECT id, message FROM events ORDER BY id").fetchall())
        row = self._database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        self._last_id = int(row[0]) if row else 0

    def publish(self, topic: str, messages: Sequence[str]) -> None:
        """See the port."""
        with self._database.transaction():
            numbered = list(enumerate(messages, self._last_id + 1))
            self._database.executemany("INSERT INTO events VALUES (?, ?, ?)", [(i, topic, m) for i, m in numbered])
            self._last_id += len(numbered)
            self._waiting.extend(numbered)

    def waiting(self, limit: int) -> list[tuple[int, str]]:
        """Return the oldest messages that were not acknowledged: (id, message)."""
        return [self._waiting[i] for i in range(min(limit, len(self._waiting)))]

    def acknowledge(self, ids: Sequence[int]) -> None:
        """Forget these messages, the oldest ones: they were handled."""
        with self._database.transaction():
            self._database.executemany("DELETE FROM events WHERE id = ?", [(i,) for i in ids])
            for _ in ids:
                self._waiting.popleft()
