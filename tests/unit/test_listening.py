"""Which service a message of Pub/Sub goes to."""

import base64
from types import SimpleNamespace
from typing import Any

import pytest
from cloudevents.http import CloudEvent

from phasegate import entrypoints

ExternalEvent = list[tuple[str, list[str]]]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> ExternalEvent:
    """What each service of a deployment that observes ``raw-done`` was given."""
    found: ExternalEvent = []
    deployment = SimpleNamespace(
        pipeline=SimpleNamespace(observed_topics=("raw-done",)),
        external_events=SimpleNamespace(handle=lambda topic, texts: found.append((f"observer of {topic}", texts))),
        listener=SimpleNamespace(handle=lambda texts: found.append(("listener", texts))),
    )
    monkeypatch.setattr(entrypoints, "deployment", lambda: deployment)
    return found


def push(source: str) -> CloudEvent:
    """A message as functions-framework makes it of a push."""
    message: dict[str, Any] = {"data": base64.b64encode(b"{}").decode(), "attributes": {}}
    return CloudEvent({"source": source, "type": "google.cloud.pubsub.topic.v1.messagePublished"}, {"message": message})


@pytest.mark.parametrize(
    ("source", "service"),
    [
        ("//pubsub.googleapis.com/projects/p/topics/raw-done", "observer of raw-done"),
        ("//pubsub.googleapis.com/projects/p/topics/backfill-completions", "listener"),
        ("//pubsub.googleapis.com/projects/p/topics/raw-done-2", "listener"),
        ("//pubsub.googleapis.com/", "listener"),
    ],
)
def test_a_message_goes_to_who_knows_its_topic_and_else_to_the_listener(
    taken: ExternalEvent, source: str, service: str
) -> None:
    entrypoints.listen(push(source))
    assert taken == [(service, ["{}"])]
