"""Events go through topics with Pub/Sub's semantics."""

from collections.abc import Sequence
from typing import Protocol


class Events(Protocol):
    """Topics deliver with Pub/Sub's semantics: at least once, in no order."""

    def publish(self, topic: str, messages: Sequence[str]) -> None:
        """Publish JSON messages; returns when they are durable."""
