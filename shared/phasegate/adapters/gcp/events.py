"""Pub/Sub serves the ``Events`` port."""

from collections.abc import Sequence
from concurrent.futures import wait

from google.api_core import exceptions

from phasegate.adapters.gcp.clients import publisher
from phasegate.adapters.gcp.retries import retry_within
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.errors import HaltError, TransientError
from phasegate.domain.messages.completion import EVENT_VERSION
from phasegate.ports.events import Message, text_of
from phasegate.telemetry import outgoing

DURABLE_WITHIN_SECONDS = 60.0
"""How long a publication may take, retries included; an event function has 9 minutes (functions quotas page)."""


class PubSubEvents:
    """This is the ``Events`` port on Google Cloud. Thread-safe.

    Attributes of every message: ``schema_version`` (of the completion event) and, within a trace, ``traceparent``.
    """

    def __init__(self, settings: CloudSettings) -> None:
        self._project = settings.project

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """See the port. A message that was published although this raises is a duplicate of the next try.

        Raises TransientError when Pub/Sub did not take all messages in time, HaltError when there is no such topic.
        """
        path = f"projects/{self._project}/topics/{topic}"
        attributes = {"schema_version": str(EVENT_VERSION), **outgoing()}
        client = publisher()
        retry = retry_within(DURABLE_WITHIN_SECONDS)
        published = [client.publish(path, text_of(message).encode(), retry=retry, **attributes) for message in messages]
        done, late = wait(published, timeout=DURABLE_WITHIN_SECONDS)
        failed = [error for error in (each.exception() for each in done) if error]
        if any(isinstance(error, exceptions.NotFound) for error in failed):
            raise HaltError(
                f"there is no Pub/Sub topic {path}: apply the Terraform of this pipeline, or start the local stack"
            )
        if failed or late:
            why = failed[0] if failed else f"no answer within {DURABLE_WITHIN_SECONDS:.0f} s"
            count = len(failed) + len(late)
            raise TransientError(f"{path}: {count} of {len(messages)} messages were not published: {why}")
