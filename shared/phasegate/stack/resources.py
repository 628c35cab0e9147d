"""What a deployment needs is made here: topics, subscriptions, queues, the bucket. Repeatable.

Plain HTTP, which every emulator speaks: Google's client libraries take longer to import than all of this takes.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phasegate.adapters.gcp.layout import ACK_DEADLINE_SECONDS, MAX_ATTEMPTS, MAX_DOUBLINGS, Layout, Queue, Subscription
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.errors import InputError

_TIMEOUT_SECONDS = 20.0
_THERE_ALREADY = 409


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses say where the emulators and the functions of a stack answer, as ``http://host:port``."""

    pubsub: str
    """Pub/Sub's emulator."""

    storage: str
    """Cloud Storage's emulator."""

    cloud_tasks: str
    """The REST side of the Cloud Tasks server."""

    functions: Mapping[str, str]
    """The functions, by name."""


def create_resources(layout: Layout, settings: CloudSettings, at: Addresses) -> None:
    """Make all that is not there yet. Raises InputError with the emulator's answer when one refuses."""
    project = settings.project
    for topic in (*layout.topics, *layout.observed_topics):
        _send("PUT", f"{at.pubsub}/v1/projects/{project}/topics/{topic}", {})
    for subscription in layout.subscriptions:
        body = _subscription(subscription, project, at.functions)
        _send("PUT", f"{at.pubsub}/v1/projects/{project}/subscriptions/{subscription.name}", body)
    _send("POST", f"{at.storage}/storage/v1/b?project={project}", {"name": settings.bucket})
    for queue in layout.queues:
        name = f"projects/{project}/locations/{settings.region}/queues/{queue.id}"
        # An update makes the queue when there is none (Cloud Tasks' API definition, UpdateQueue).
        _send("PATCH", f"{at.cloud_tasks}/v2/{name}", {"name": name, **_queue(queue)})


def _subscription(each: Subscription, project: str, functions: Mapping[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "topic": f"projects/{project}/topics/{each.topic}",
        "ackDeadlineSeconds": ACK_DEADLINE_SECONDS,
        "expirationPolicy": {},
        "retryPolicy": {
            "minimumBackoff": f"{each.min_backoff_seconds}s",
            "maximumBackoff": f"{each.max_backoff_seconds}s",
        },
    }
    if each.function is not None:
        body["pushConfig"] = {"pushEndpoint": functions[each.function] + each.push_path(project)}
    if each.dead_letter is not None:
        topic = f"projects/{project}/topics/{each.dead_letter}"
        body["deadLetterPolicy"] = {"deadLetterTopic": topic, "maxDeliveryAttempts": each.max_deliveries}
    return body


def _queue(queue: Queue) -> dict[str, Any]:
    spec = queue.spec
    return {
        "rateLimits": {
            "maxDispatchesPerSecond": spec.max_per_second,
            "maxConcurrentDispatches": spec.max_concurrent,
        },
        "retryConfig": {
            "maxAttempts": MAX_ATTEMPTS,
            "minBackoff": f"{spec.min_backoff_seconds}s",
            "maxBackoff": f"{spec.max_backoff_seconds}s",
            "maxDoublings": MAX_DOUBLINGS,
        },
    }


def _send(method: str, url: str, body: Mapping[str, Any]) -> None:
    request = urllib.request.Request(  # noqa: S310 - loopback
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - loopback
            answer.read()
    except urllib.error.HTTPError as error:
        if error.code != _THERE_ALREADY:
            raise InputError(f"{method} {url} was refused: {error.code} {error.read(500).decode()}") from error
    except OSError as error:
        raise InputError(f"{method} {url} was not answered: {error}; see the emulator's log") from error
