"""What is deployed, as the catalogue asks for it: functions behind their endpoints, and what a stack really made."""

import base64
import json
import os
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from flask.testing import FlaskClient

from phasegate import entrypoints, telemetry
from phasegate.adapters.gcp.layout import FUNCTIONS as LISTED
from phasegate.adapters.gcp.layout import Layout, layout_of
from phasegate.adapters.gcp.preflight.queues import inspect_queues
from phasegate.adapters.gcp.preflight.topics import Topics
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.deployment import Deployment
from phasegate.domain.operations.preflight import failures
from phasegate.stack.emulators import HOST, PUBSUB, STORAGE
from phasegate.stack.resources import Addresses, create_resources
from tests.catalogue.cloud import CloudWorld

FUNCTIONS = Path(__file__).parents[2] / "functions"
CLOUD_TASKS_REST = "PHASEGATE_TEST_CLOUD_TASKS_REST"
"""Environment variable: where the Cloud Tasks server answers what the ``gcloud`` command asks."""

Answers = list[tuple[str, int]]


class Endpoints:
    """The functions, each behind its own server, over the ports of one world."""

    def __init__(self, cloud: CloudWorld, patch: pytest.MonkeyPatch) -> None:
        here = Deployment(cloud.settings)
        here.__dict__.update(backend=cloud.backend, pipeline=cloud.world.pipeline)
        patch.setattr(telemetry, "configure", lambda service: None)
        patch.setattr(entrypoints, "deployment", lambda: here)
        self._signatures = {function.name: function.signature for function in LISTED}
        self._clients: dict[str, FlaskClient] = {}

    def post(self, name: str, path: str, body: str, headers: dict[str, str]) -> tuple[str, int]:
        """The function and the status that it answered."""
        if name not in self._clients:
            source = str(FUNCTIONS / name / "main.py")
            self._clients[name] = functions_framework.create_app(name, source, self._signatures[name]).test_client()
        answer = self._clients[name].post(path, data=body, headers={"Content-Type": "application/json", **headers})
        return name, answer.status_code


def drive_through_functions(cloud: CloudWorld, patch: pytest.MonkeyPatch, most: int = 100) -> Answers:
    """Deliver each task to the URL that it carries, and each message to who subscribes to its topic, until none waits.

    Nothing is delivered again: a sender and a receiver that do not understand each other leave the run where it is.
    """
    endpoints, layout = Endpoints(cloud, patch), layout_of(cloud.world.pipeline)
    answers: Answers = []
    delivered = 0
    queues = [queue.id for queue in layout.queues]
    while len(answers) < most and (at := cloud.queues.next_at(queues)) is not None:
        cloud.world.clock.move_to(max(at, cloud.world.clock.now()) + timedelta(milliseconds=1))
        for task in cloud.queues.lease(queues, most):
            name = cloud.tasks.urls[task.name].removeprefix("http://")
            answers.append(endpoints.post(name, "/", task.payload, {"X-CloudTasks-QueueName": task.queue}))
            cloud.queues.acknowledge([task])
        published = cloud.publisher.published
        for topic, text in published[delivered:]:
            answers.extend(_push(endpoints, layout, cloud.settings.project, topic, text))
        delivered = len(published)
    return answers


def _push(endpoints: Endpoints, layout: Layout, project: str, topic: str, text: str) -> Iterator[tuple[str, int]]:
    for each in layout.subscriptions:
        if each.topic == topic and each.function is not None:
            message = {"data": base64.b64encode(text.encode()).decode(), "messageId": "1"}
            body = json.dumps({"message": message, "subscription": f"projects/{project}/subscriptions/{each.name}"})
            yield endpoints.post(each.function, each.push_path(project), body, {})


def make_as_the_stack_does(layout: Layout) -> CloudSettings:
    """Make everything in a new project of the emulators; its settings."""
    settings = CloudSettings(project=f"t{uuid.uuid4().hex[:20]}")
    functions = {function.name: f"http://{HOST}:1" for function in layout.functions}
    at = Addresses(_pubsub(), os.environ[STORAGE.variable], os.environ[CLOUD_TASKS_REST], functions)
    create_resources(layout, settings, at)
    return settings


def made_by_the_stack(layout: Layout) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The subscriptions and queues of a project in which a stack made everything, as their servers describe them.

    Names are the last part of what the servers say, topics too.
    """
    settings = make_as_the_stack_does(layout)
    pubsub, tasks, project = _pubsub(), os.environ[CLOUD_TASKS_REST], f"projects/{settings.project}"
    queues = _get(f"{tasks}/v2/{project}/locations/{settings.region}/queues")["queues"]
    subscriptions = _get(f"{pubsub}/v1/{project}/subscriptions")["subscriptions"]
    for each in (*subscriptions, *queues):
        each["name"] = each["name"].rpartition("/")[2]
    for each in subscriptions:
        each["topic"] = each["topic"].rpartition("/")[2]
        if policy := each.get("deadLetterPolicy"):
            policy["deadLetterTopic"] = policy["deadLetterTopic"].rpartition("/")[2]
    return subscriptions, queues


def make_subscription_anew(settings: CloudSettings, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Delete a subscription and make it again, changed, as somebody does by hand. change: of its JSON."""
    url = f"{_pubsub()}/v1/projects/{settings.project}/subscriptions/{name}"
    body = _get(url)
    change(body)
    _send("DELETE", url, None)
    _send("PUT", url, {key: value for key, value in body.items() if key not in ("name", "state")})


def change_queue(settings: CloudSettings, name: str, body: dict[str, Any]) -> None:
    """Change a queue by hand. body: the part of its JSON that changes."""
    path = f"projects/{settings.project}/locations/{settings.region}/queues/{name}"
    mask = ",".join(f"{part}.{key}" for part, fields in body.items() for key in fields)
    _send("PATCH", f"{os.environ[CLOUD_TASKS_REST]}/v2/{path}?updateMask={mask}", body)


def delete(settings: CloudSettings, kind: str, name: str) -> None:
    """Delete a topic or a subscription (``topics``, ``subscriptions``)."""
    _send("DELETE", f"{_pubsub()}/v1/projects/{settings.project}/{kind}/{name}", None)


def failed_subjects(settings: CloudSettings, layout: Layout) -> dict[str, str]:
    """What preflight fails of topics, subscriptions and queues: subject -> what is wrong with it."""
    lines = [*Topics(settings, layout).inspect(), *inspect_queues(settings, layout)]
    return {line.subject: line.detail for line in failures(lines)}


def _pubsub() -> str:
    return f"http://{os.environ[PUBSUB.variable]}"


def _send(method: str, url: str, body: dict[str, Any] | None) -> None:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
        answer.read()


def _get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - loopback
        found: dict[str, Any] = json.load(answer)
    return found
