"""What the Cloud Tasks and Pub/Sub adapters promise beyond the ports: targets, tokens, deadlines, traces, errors."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from google.cloud.tasks_v2.types import Queue, Task

from phasegate import telemetry
from phasegate.adapters.gcp import clients, events, tasks
from phasegate.adapters.gcp.clients import tasks_client
from phasegate.adapters.gcp.events import PubSubEvents
from phasegate.adapters.gcp.layout import queue_id
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.adapters.gcp.tasks import CloudTasks, delivery_deadlines
from phasegate.domain.errors import HaltError, TransientError
from phasegate.ports import QueueTask
from tests.contract.delivery import PubSubEventLine
from tests.unit.builders import pipeline

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOBODY = "127.0.0.1:1"
"""A port on which nothing listens."""


class Deployment:
    """Queues that are paused, so that what was created can be looked at."""

    def __init__(self, *queues: str) -> None:
        self.settings = CloudSettings(
            project=f"t{uuid.uuid4().hex[:20]}",
            dispatcher_url="https://dispatcher",
            conductor_url="https://conductor",
            runner_url="https://runner",
            invoker="invoker@demo.iam.gserviceaccount.com",
        )
        self._location = f"projects/{self.settings.project}/locations/{self.settings.region}"
        for queue in queues:
            name = f"{self._location}/queues/{queue_id(queue)}"
            tasks_client().create_queue(parent=self._location, queue=Queue(name=name))
            tasks_client().pause_queue(name=name)

    def created(self, queue: str) -> list[Task]:
        """The tasks on a queue, as they are."""
        parent = f"{self._location}/queues/{queue_id(queue)}"
        return list(tasks_client().list_tasks(request={"parent": parent, "response_view": Task.View.FULL}))

    def without(self, **changes: Any) -> CloudSettings:
        """Its settings, changed."""
        return self.settings.model_copy(update=changes)


@pytest.fixture
def deployment(cloud_tasks_server: object) -> Deployment:
    """Phasegate's own queues and one of a pipeline."""
    return Deployment("dispatch", "conductor", "api_calls")


def task(queue: str = "api_calls", name: str = "t", payload: str = "{}") -> QueueTask:
    """A task to create."""
    return QueueTask("r", queue, name, payload)


# Cloud Tasks


@pytest.mark.parametrize(
    ("queue", "url"),
    [("dispatch", "https://dispatcher"), ("conductor", "https://conductor"), ("api_calls", "https://runner")],
)
def test_each_queue_calls_its_function_with_a_token_for_it(deployment: Deployment, queue: str, url: str) -> None:
    CloudTasks(deployment.settings, {}).create([task(queue, payload='{"a": 1}')])
    (made,) = deployment.created(queue)
    request = made.http_request
    assert (request.url, request.http_method.name, request.body) == (url, "POST", b'{"a": 1}')
    assert request.headers["Content-Type"] == "application/json"
    assert request.oidc_token.service_account_email == "invoker@demo.iam.gserviceaccount.com"
    assert request.oidc_token.audience == url


def test_without_an_invoker_no_token_is_asked_for(deployment: Deployment) -> None:
    CloudTasks(deployment.without(invoker=""), {}).create([task()])
    (made,) = deployment.created("api_calls")
    assert "oidc_token" not in made.http_request


def test_a_delivery_may_take_as_long_as_its_queue_says_else_ten_minutes(deployment: Deployment) -> None:
    CloudTasks(deployment.settings, {"api_calls": 570.5}).create([task(), task("dispatch")])
    (ours,), (googles,) = deployment.created("api_calls"), deployment.created("dispatch")
    assert (ours.dispatch_deadline, googles.dispatch_deadline) == (timedelta(seconds=570.5), timedelta(minutes=10))


def test_a_deadline_is_the_longest_timeout_of_its_queue_and_a_margin_within_googles_bounds() -> None:
    def change(document: dict[str, Any]) -> None:
        for phase, seconds in zip(document["phases"], [1800, 100, 200, 300], strict=True):
            phase["dispatch"].update(timeout_seconds=seconds, queue="work")
        document["phases"][0]["dispatch"]["queue"] = "fetches"
        for phase in document["phases"]:
            for processor in phase["processors"]:
                processor.pop("queue", None)

    assert delivery_deadlines(pipeline(change)) == {"fetches": 1800, "work": 330}


def test_the_trace_goes_with_the_tasks(deployment: Deployment) -> None:
    with telemetry.incoming({"traceparent": TRACE}):
        CloudTasks(deployment.settings, {}).create([task(name="a"), task(name="b")])
    assert [made.http_request.headers["traceparent"] for made in deployment.created("api_calls")] == [TRACE, TRACE]


def test_a_page_of_tasks_is_created_whole(deployment: Deployment) -> None:
    names = [uuid.uuid4().hex for _ in range(100)]
    CloudTasks(deployment.settings, {}).create([task(name=name) for name in names])
    assert [made.name.rpartition("/")[2] for made in deployment.created("api_calls")] == sorted(names)


def test_a_queue_that_is_not_there_is_named_and_the_other_tasks_stand(deployment: Deployment) -> None:
    ours = CloudTasks(deployment.settings, {})
    with pytest.raises(HaltError, match=r"1 of 3 tasks .*/queues/gone-away for 'gone_away'.*Terraform"):
        ours.create([task(name="a"), task("gone_away"), task(name="b")])
    assert len(deployment.created("api_calls")) == 2
    ours.create([task(name="a"), task(name="b")])


def test_a_function_without_a_url_is_said_before_anything_is_created(deployment: Deployment) -> None:
    with pytest.raises(HaltError, match="set PHASEGATE_CONDUCTOR_URL"):
        CloudTasks(deployment.without(conductor_url=""), {}).create([task(), task("conductor")])
    assert deployment.created("api_calls") == []


def test_a_task_that_cloud_tasks_refuses_is_an_error_of_the_input(deployment: Deployment) -> None:
    with pytest.raises(HaltError, match=r"task t: Cloud Tasks refused it: .*bytes"):
        CloudTasks(deployment.settings, {}).create([task(payload="x" * 110_000)])


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clients of servers that are not there, and little patience."""
    monkeypatch.setenv("CLOUD_TASKS_EMULATOR_HOST", NOBODY)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", NOBODY)
    monkeypatch.setattr(tasks, "RETRIED_SECONDS", 0.3)
    monkeypatch.setattr(events, "DURABLE_WITHIN_SECONDS", 0.3)
    forget_clients()
    yield
    monkeypatch.undo()
    forget_clients()


def forget_clients() -> None:
    """Let the next use make them anew."""
    clients.tasks_client.cache_clear()
    clients.publisher.cache_clear()


@pytest.mark.usefixtures("unreachable")
def test_when_cloud_tasks_is_away_a_later_try_may_help() -> None:
    settings = CloudSettings(project="demo", runner_url="https://runner")
    with pytest.raises(TransientError, match="2 of 2 tasks were not created: queue 'api_calls'"):
        CloudTasks(settings, {}).create([task(name="a"), task(name="b")])


# Pub/Sub


@pytest.fixture
def topic(pubsub_emulator: object) -> Iterator[PubSubEventLine]:
    """A topic of the emulator."""
    with PubSubEventLine() as made:
        yield made


def test_a_message_says_its_version_and_its_trace(topic: PubSubEventLine) -> None:
    topic.events.publish(topic.name, ["alone"])
    with telemetry.incoming({"traceparent": TRACE}):
        topic.events.publish(topic.name, ["traced"])
    topic.handled(2)
    found = sorted(topic.attributes, key=len)
    assert found == [{"schema_version": "1"}, {"schema_version": "1", "traceparent": TRACE}]


def test_a_topic_that_is_not_there_is_named(topic: PubSubEventLine) -> None:
    with pytest.raises(HaltError, match=r"no Pub/Sub topic .*/topics/gone-away: apply the Terraform"):
        topic.events.publish("gone-away", ["one"])


@pytest.mark.usefixtures("unreachable")
def test_when_pubsub_is_away_a_later_try_may_help() -> None:
    with pytest.raises(TransientError, match="/topics/completions: 2 of 2 messages were not published"):
        PubSubEvents(CloudSettings(project="demo")).publish("completions", ["one", "two"])
