"""Events go through topics with Pub/Sub's semantics."""

from collections.abc import Sequence
from typing import Protocol

from phasegate.domain.messages.completion import Completion, CompletionBatch

Message = Completion | CompletionBatch | str
"""A message on its way: completions, which become JSON where they are stored or leave the process, or JSON text."""


class Events(Protocol):
    """Topics deliver with Pub/Sub's semantics: at least once, in no order."""

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Publish messages; returns when they are durable."""


def text_of(message: Message) -> str:
    """Return a message as JSON text."""
    return message if isinstance(message, str) else message.model_dump_json()
