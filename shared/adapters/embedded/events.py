"""Topics in SQLite: durable until acknowledged, delivered at least once."""

from collections import deque
from collections.abc import Sequence

from shared.adapters.embedded.database import Database


class SqliteEvents:
    """The ``Events`` port, and the delivering side that the engine drives."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._load()
        database.on_rollback(self._load)

    def _load(self) -> None:
        self._waiting = deque(self._database.execute("SELECT id, message FROM events ORDER BY id").fetchall())

    def publish(self, topic: str, messages: Sequence[str]) -> None:
        """See the port."""
        with self._database.transaction():
            for message in messages:
                row = self._database.execute("INSERT INTO events (topic, message) VALUES (?, ?)", (topic, message))
                self._waiting.append((row.lastrowid, message))

    def waiting(self, limit: int) -> list[tuple[int, str]]:
        """The oldest messages that were not acknowledged: (id, message)."""
        return [self._waiting[i] for i in range(min(limit, len(self._waiting)))]

    def acknowledge(self, ids: Sequence[int]) -> None:
        """These messages, the oldest ones, were handled."""
        with self._database.transaction():
            self._database.executemany("DELETE FROM events WHERE id = ?", [(i,) for i in ids])
            for _ in ids:
                self._waiting.popleft()
