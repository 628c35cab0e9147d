"""The listener takes completion events from Pub/Sub, ours and those of phases that an existing system starts."""

import functions_framework
from cloudevents.http import CloudEvent

from phasegate import telemetry
from phasegate.entrypoints import listen, serve

telemetry.configure("listener")
serve("listener", is_pushed_to=True)


@functions_framework.cloud_event
def listener(event: CloudEvent) -> None:
    """Answer with success when the event was applied or set aside."""
    listen(event)
