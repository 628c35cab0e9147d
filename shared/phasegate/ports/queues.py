"""Work waits in task queues with Cloud Tasks' semantics."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol


class QueueTask(NamedTuple):
    """A queue task is one Cloud Task. Its name is used once: creating it again while that is known changes nothing."""

    run_id: str
    """The run whose work it is."""
    queue: str
    """The queue that it goes through."""
    name: str
    """What makes it the same task when it is created again."""
    payload: str
    """JSON text."""
    not_before: datetime | None = None
    """The earliest start, UTC; None: at once."""


class Tasks(Protocol):
    """Task queues have Cloud Tasks' semantics: rate, concurrency, schedule time, names, at-least-once delivery."""

    def create(self, tasks: Sequence[QueueTask]) -> None:
        """Put tasks on their queues. A name that is known is left as it is."""
