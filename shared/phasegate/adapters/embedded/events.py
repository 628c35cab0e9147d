"""Topics in SQLite are durable: a message stays until it is acknowledged, and is delivered at least once.

What is published and acknowledged in one transaction is never written, and never becomes text.
"""

from collections import deque
from collections.abc import Sequence

from phasegate.adapters.embedded.database import Database
from phasegate.ports.events import Message, text_of


class SqliteEvents:
    """This is the ``Events`` port, and the delivering side that the engine drives. Written by one process at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._load()
        database.before_commit(self._write)
        database.on_rollback(self._load)

    def _load(self) -> None:
        written = self._database.execute("SELECT id, message FROM events ORDER BY id").fetchall()
        self._waiting: deque[tuple[int, Message]] = deque(written)
        row = self._database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        self._last_id = int(row[0]) if row else 0
        self._unwritten: dict[int, tuple[str, Message]] = {}

    def _write(self) -> None:
        """Write what was published and not acknowledged yet; it is delivered as it stands in the file."""
        if self._unwritten:
            rows = [(number, topic, text_of(message)) for number, (topic, message) in self._unwritten.items()]
            self._database.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
            texts = {number: text for number, _, text in rows}
            self._waiting = deque((number, texts.get(number, message)) for number, message in self._waiting)
            self._unwritten.clear()

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """See the port."""
        with self._database.transaction():
            numbered = list(enumerate(messages, self._last_id + 1))
            self._unwritten.update((number, (topic, message)) for number, message in numbered)
            self._last_id += len(numbered)
            self._waiting.extend(numbered)

    def waiting(self, limit: int) -> list[tuple[int, Message]]:
        """Return the oldest messages that were not acknowledged: (id, message)."""
        return [self._waiting[i] for i in range(min(limit, len(self._waiting)))]

    def acknowledge(self, ids: Sequence[int]) -> None:
        """Forget these messages, the oldest ones: they were handled."""
        with self._database.transaction():
            written = [(number,) for number in ids if self._unwritten.pop(number, None) is None]
            self._database.executemany("DELETE FROM events WHERE id = ?", written)
            for _ in ids:
                self._waiting.popleft()
