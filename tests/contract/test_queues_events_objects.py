"""What all task queues, topics and object stores must do, whoever delivers."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from phasegate.domain.errors import InputError
from phasegate.ports import QueueTask
from tests.contract.conftest import Backend, Step, dies, stays
from tests.contract.delivery import (
    QUEUE,
    CloudTaskLine,
    EmbeddedEventLine,
    EmbeddedTaskLine,
    EventLine,
    PubSubEventLine,
    TaskLine,
)

WHOEVER_READS = pytest.mark.parametrize("then", [stays, dies], ids=["in the same process", "in the next process"])


# Tasks


@pytest.fixture(params=["embedded", "cloud tasks"])
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TaskLine]:
    """A blank queue, in SQLite and on a Cloud Tasks server."""
    if request.param == "embedded":
        with closing(EmbeddedTaskLine(tmp_path)) as made:
            yield made
    else:
        yield CloudTaskLine(request.getfixturevalue("cloud_tasks_server"), request.getfixturevalue("target"))


def put(line: TaskLine, *names: str, seconds: float | None = None) -> None:
    """Create tasks, to be delivered in so many seconds."""
    at = None if seconds is None else line.moment(seconds)
    line.tasks.create([QueueTask("r", QUEUE, name, f'{{"name": "{name}"}}', at) for name in names])


def payloads(*names: str) -> list[str]:
    """What tasks of these names carry."""
    return [f'{{"name": "{name}"}}' for name in names]


def test_every_task_is_delivered_with_its_payload(line: TaskLine) -> None:
    names = [str(n) for n in range(20)]
    put(line, *names)
    assert sorted(line.delivered(20)) == sorted(payloads(*names))


def test_no_task_is_no_work(line: TaskLine) -> None:
    line.tasks.create([])
    put(line, "t")
    assert line.delivered(1) == payloads("t")


def test_a_name_that_waits_is_delivered_once(line: TaskLine) -> None:
    put(line, "t", seconds=0.3)
    put(line, "t", "t", "u")
    assert sorted(line.delivered(2)) == payloads("t", "u")


def test_a_name_that_was_used_is_not_delivered_again(line: TaskLine) -> None:
    put(line, "t")
    first = line.delivered(1)
    put(line, "t")
    assert (first, line.delivered(1)) == (payloads("t"), payloads("t"))


def test_a_task_is_not_delivered_before_its_time(line: TaskLine) -> None:
    put(line, "late", seconds=3600)
    put(line, "now")
    assert line.delivered(1) == payloads("now")


def test_tasks_are_delivered_in_the_order_of_their_times(line: TaskLine) -> None:
    put(line, "later", seconds=3)
    put(line, "soon", seconds=1)
    assert line.delivered(2) == payloads("soon", "later")


def test_a_time_that_has_passed_means_now(line: TaskLine) -> None:
    put(line, "t", seconds=-3600)
    assert line.delivered(1) == payloads("t")


def test_a_delivery_that_failed_is_made_again_until_it_succeeds(line: TaskLine) -> None:
    line.refuse(2)
    put(line, "t")
    assert line.delivered(3) == payloads("t", "t", "t")


# Events


@pytest.fixture(params=["embedded", "pubsub"])
def topic(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventLine]:
    """A blank topic, in SQLite and in Google's emulator."""
    if request.param == "embedded":
        with closing(EmbeddedEventLine(tmp_path)) as embedded:
            yield embedded
    else:
        request.getfixturevalue("pubsub_emulator")
        with PubSubEventLine() as made:
            yield made


def test_published_messages_are_delivered(topic: EventLine) -> None:
    sent = [f'{{"n": {n}}}' for n in range(250)]
    topic.events.publish(topic.name, sent)
    assert sorted(topic.handled(250)) == sorted(sent)


def test_no_message_is_no_work(topic: EventLine) -> None:
    topic.events.publish(topic.name, [])
    topic.events.publish(topic.name, ["one"])
    assert topic.handled(1) == ["one"]


def test_the_same_message_twice_is_two_messages(topic: EventLine) -> None:
    topic.events.publish(topic.name, ["one", "one"])
    assert topic.handled(2) == ["one", "one"]


def test_a_message_whose_handler_failed_is_delivered_again(topic: EventLine) -> None:
    topic.events.publish(topic.name, ["one"])
    assert (topic.failed(1), topic.handled(1)) == (["one"], ["one"])


def test_a_handled_message_is_gone(topic: EventLine) -> None:
    topic.events.publish(topic.name, ["one"])
    topic.handled(1)
    topic.events.publish(topic.name, ["two"])
    assert topic.handled(1) == ["two"]


# Objects


@WHOEVER_READS
def test_an_object_is_read_as_it_was_written(backend: Backend, then: Step) -> None:
    backend.objects.write("a/2024-01-01.jsonl", b"\0content")
    then(backend)
    assert backend.objects.read("a/2024-01-01.jsonl") == b"\0content"


def test_a_second_write_replaces_the_first(backend: Backend) -> None:
    backend.objects.write("a/b", b"a longer first content")
    backend.objects.write("a/b", b"second")
    assert backend.objects.read("a/b") == b"second"


def test_an_object_that_is_not_there_cannot_be_read(backend: Backend) -> None:
    with pytest.raises(FileNotFoundError):
        backend.objects.read("a/b")


def test_objects_are_told_from_names_without_one_and_from_folders(backend: Backend) -> None:
    backend.objects.write("a/b", b"")
    assert backend.objects.held(["a/b", "a", "a/c"]) == {"a/b"}


@pytest.mark.parametrize("name", ["/etc/passwd", "../b", "a/../b", "a//b", "a\\b", "", ".", "a/\0"])
def test_a_name_that_leaves_the_store_or_is_none_is_refused(backend: Backend, name: str) -> None:
    with pytest.raises(InputError, match="is not an object name"):
        backend.objects.write(name, b"")
