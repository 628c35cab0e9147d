"""Events go through topics with Pub/Sub's semantics."""

from collections.abc import Sequence
from typing import Protocol

from phasegate.domain.messages.completion import Completion

Message = Completion | str
"""A message on its way: a completion, which becomes JSON where it is stored or leaves the process, or JSON text."""


class Events(Protocol):
    """Topics deliver with Pub/Sub's semantics: at least once, in no order."""

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Publish messages; returns when they are durable."""


def text_of(message: Message) -> str:
    """Return a message as JSON text."""
    return message if isinstance(message, str) else message.model_dump_json()
