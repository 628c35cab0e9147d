"""The delivering side of the embedded queues and topics, which the engine drives; a cloud has its own."""

from datetime import timedelta

import pytest

from phasegate.ports import QueueTask
from tests.contract.conftest import NOW, Backend, Step, after, dies, stays

WHOEVER_DELIVERS = pytest.mark.parametrize("then", [stays, dies], ids=["in the same process", "in the next process"])


def put(backend: Backend, *names: str, queue: str = "free", seconds: float | None = None, run_id: str = "r") -> None:
    """Create tasks, to be delivered in so many seconds."""
    at = None if seconds is None else backend.clock.now() + timedelta(seconds=seconds)
    backend.tasks.create([QueueTask(run_id, queue, name, f"payload of {name}", at) for name in names])


def delivered(backend: Backend, queue: str = "free", limit: int = 100) -> list[str]:
    """Names of the tasks delivered now."""
    return [task.name for task in backend.tasks.lease([queue], limit)]


def acknowledge(backend: Backend, queue: str = "free") -> None:
    """Deliver and handle what is due."""
    backend.tasks.acknowledge(backend.tasks.lease([queue], 100))


# Tasks


@WHOEVER_DELIVERS
def test_a_task_is_delivered_with_its_payload(started: Backend, then: Step) -> None:
    put(started, "t")
    then(started)
    (task,) = started.tasks.lease(["free"], 10)
    assert (task.run_id, task.queue, task.name, task.payload) == ("r", "free", "t", "payload of t")


def test_a_task_under_delivery_is_not_delivered_again(started: Backend) -> None:
    put(started, "t")
    assert (delivered(started), delivered(started)) == (["t"], [])


def test_no_more_is_delivered_than_asked_for(started: Backend) -> None:
    put(started, "1", "2", "3")
    assert delivered(started, limit=2) == ["1", "2"]


@WHOEVER_DELIVERS
def test_a_handled_task_is_gone(started: Backend, then: Step) -> None:
    put(started, "t")
    acknowledge(started)
    then(started)
    assert delivered(started) == []


def test_a_task_that_was_not_handled_is_delivered_again_by_the_next_process(started: Backend) -> None:
    put(started, "t")
    delivered(started)
    started.reopen()
    assert delivered(started) == ["t"]


@WHOEVER_DELIVERS
def test_a_name_that_waits_is_not_queued_twice(started: Backend, then: Step) -> None:
    put(started, "t")
    then(started)
    put(started, "t", "t")
    assert delivered(started) == ["t"]


@WHOEVER_DELIVERS
def test_a_name_that_was_used_is_known_after_its_task_is_gone(started: Backend, then: Step) -> None:
    put(started, "t")
    acknowledge(started)
    then(started)
    put(started, "t")
    assert delivered(started) == []


def test_a_used_name_is_forgotten_after_a_day(started: Backend) -> None:
    put(started, "t")
    acknowledge(started)
    after(started, 86_401)
    started.reopen()
    put(started, "t")
    assert delivered(started) == ["t"]


@WHOEVER_DELIVERS
def test_a_task_is_not_delivered_before_its_time(started: Backend, then: Step) -> None:
    put(started, "t", seconds=5)
    then(started)
    after(started, 4.9)
    early = delivered(started)
    after(started, 0.1)
    assert (early, delivered(started)) == ([], ["t"])


def test_tasks_are_delivered_in_the_order_of_their_times_and_then_of_their_creation(started: Backend) -> None:
    put(started, "late", seconds=2)
    put(started, "soon 1", "soon 2", seconds=1)
    after(started, 3)
    assert delivered(started) == ["soon 1", "soon 2", "late"]


def test_a_queue_delivers_no_faster_than_its_rate_after_its_first_burst(started: Backend) -> None:
    put(started, *map(str, range(100)), queue="slow")
    burst = len(delivered(started, "slow"))
    per_second = 0
    for _ in range(8):
        after(started, 0.125)
        per_second += len(delivered(started, "slow"))
    assert (burst, per_second) == (2, 10)


def test_a_queue_that_was_idle_does_not_make_up_for_lost_time(started: Backend) -> None:
    after(started, 60)
    put(started, *map(str, range(100)), queue="slow")
    assert len(delivered(started, "slow")) == 2


def test_no_more_tasks_are_under_delivery_than_the_queue_allows(started: Backend) -> None:
    put(started, "1", "2", "3", queue="narrow")
    assert (delivered(started, "narrow"), delivered(started, "narrow")) == (["1", "2"], [])


def test_a_handled_task_makes_room_for_the_next(started: Backend) -> None:
    put(started, "1", "2", "3", queue="narrow")
    acknowledge(started, "narrow")
    assert delivered(started, "narrow") == ["3"]


def test_a_full_queue_does_not_hold_up_another_one(started: Backend) -> None:
    put(started, "1", "2", "3", queue="narrow")
    put(started, "4")
    assert [t.name for t in started.tasks.lease(["narrow", "free"], 10)] == ["1", "2", "4"]


def waits(backend: Backend, times: int, then: Step) -> list[float]:
    """Seconds until redelivery after each of so many failed deliveries."""
    found = []
    for _ in range(times):
        (task,) = backend.tasks.lease(["narrow"], 10)
        backend.tasks.give_back(task)
        then(backend)
        at = backend.tasks.next_at(["narrow"])
        assert at is not None
        found.append((at - backend.clock.now()).total_seconds())
        backend.clock.move_to(at)
    return found


@WHOEVER_DELIVERS
def test_a_delivery_that_failed_is_made_again_after_a_doubling_and_capped_wait(started: Backend, then: Step) -> None:
    put(started, "t", queue="narrow")
    assert waits(started, 5, then) == pytest.approx([1, 2, 4, 5, 5])


def test_a_delivery_that_failed_is_not_made_again_before_its_wait_is_over(started: Backend) -> None:
    put(started, "t", queue="narrow")
    (task,) = started.tasks.lease(["narrow"], 10)
    started.tasks.give_back(task)
    after(started, 0.9)
    assert delivered(started, "narrow") == []


def test_an_empty_queue_has_no_next_moment(started: Backend) -> None:
    assert started.tasks.next_at(["free"]) is None


def test_the_next_moment_is_that_of_the_earliest_task(started: Backend) -> None:
    put(started, "later", seconds=9)
    put(started, "sooner", seconds=4)
    assert started.tasks.next_at(["free"]) == NOW + timedelta(seconds=4)


@WHOEVER_DELIVERS
def test_tasks_of_another_run_are_left_alone(started: Backend, then: Step) -> None:
    put(started, "t", run_id="other")
    then(started)
    assert delivered(started) == []


# Events


def messages(backend: Backend) -> list[str]:
    """Messages that were not acknowledged."""
    return [message for _, message in backend.events.waiting(100)]


@WHOEVER_DELIVERS
def test_a_published_message_is_delivered(started: Backend, then: Step) -> None:
    started.events.publish("topic", ["one", "two"])
    then(started)
    assert sorted(messages(started)) == ["one", "two"]


@WHOEVER_DELIVERS
def test_a_message_is_delivered_until_it_is_acknowledged(started: Backend, then: Step) -> None:
    started.events.publish("topic", ["one"])
    messages(started)
    then(started)
    assert messages(started) == ["one"]


@WHOEVER_DELIVERS
def test_an_acknowledged_message_is_gone_and_the_others_are_not(started: Backend, then: Step) -> None:
    started.events.publish("topic", ["one", "two"])
    started.events.acknowledge([id_ for id_, _ in started.events.waiting(1)])
    then(started)
    assert messages(started) == ["two"]


def test_the_same_message_twice_is_two_messages(started: Backend) -> None:
    started.events.publish("topic", ["one", "one"])
    assert messages(started) == ["one", "one"]


def test_a_message_published_after_a_restart_takes_nobodys_place(started: Backend) -> None:
    started.events.publish("topic", ["one"])
    started.events.acknowledge([id_ for id_, _ in started.events.waiting(1)])
    started.events.publish("topic", ["two"])
    started.reopen()
    started.events.publish("topic", ["three"])
    assert sorted(messages(started)) == ["three", "two"]


def test_messages_of_a_write_that_failed_were_never_published(started: Backend) -> None:
    def fail() -> None:
        with started.undone():
            started.events.publish("topic", ["one"])
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        fail()
    assert messages(started) == []
