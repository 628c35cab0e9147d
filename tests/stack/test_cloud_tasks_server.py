"""The Cloud Tasks server delivers as Google's documentation says, as Google's own client sees it."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from google.api_core import exceptions
from google.cloud.tasks_v2 import CloudTasksClient
from google.cloud.tasks_v2.types import Queue, RateLimits, RetryConfig
from google.protobuf.field_mask_pb2 import FieldMask

from phasegate.stack.emulators import HOST
from tests.stack.line import Line, backoff, name_of
from tests.stack.target import PATIENCE_SECONDS, Answer, Target, until

LONG = timedelta(hours=1)


@pytest.fixture(scope="module", autouse=True)
def overdue(client: CloudTasksClient, target: Target) -> Iterator[Line]:
    """A task whose handler does not answer within the shortest deadline, put before the other tests run."""
    made, released = Line(client, target, "overdue"), threading.Event()
    target.will_answer("overdue", Answer(after=released))
    made.put("slow", dispatch_deadline=timedelta(seconds=15))
    yield made
    released.set()


# Delivery


def test_a_task_is_delivered_with_its_method_body_and_headers(line: Line) -> None:
    line.put(
        "t", body='{"a": 1}', request={"headers": {"Content-Type": "application/json", "traceparent": "00-1-2-01"}}
    )
    (delivery,) = line.came()
    assert delivery.body == '{"a": 1}'
    assert delivery.headers["Content-Type"] == "application/json"
    assert delivery.headers["traceparent"] == "00-1-2-01"


def test_the_headers_that_cloud_tasks_adds_name_the_queue_the_task_and_the_try(line: Line) -> None:
    task = line.put("t")
    headers = line.came()[0].headers
    assert headers["X-CloudTasks-QueueName"] == line.path
    assert headers["X-CloudTasks-TaskName"] == "t"
    assert headers["X-CloudTasks-TaskRetryCount"] == headers["X-CloudTasks-TaskExecutionCount"] == "0"
    assert float(headers["X-CloudTasks-TaskETA"]) == pytest.approx(task.schedule_time.timestamp(), abs=1e-4)
    assert headers["User-Agent"] == "Google-Cloud-Tasks"
    assert "X-CloudTasks-TaskPreviousResponse" not in headers


def test_headers_that_cloud_tasks_sets_itself_cannot_be_forged(line: Line) -> None:
    line.put("t", request={"headers": {"User-Agent": "me", "X-Google-Key": "k", "x-cloudtasks-taskname": "other"}})
    headers = line.came()[0].headers
    assert (headers["User-Agent"], headers["X-CloudTasks-TaskName"]) == ("Google-Cloud-Tasks", "t")
    assert "X-Google-Key" not in headers


def test_an_identity_token_is_asked_for_and_none_is_made(line: Line) -> None:
    line.put("t", request={"oidc_token": {"service_account_email": "a@b.c", "audience": "https://x"}})
    assert "Authorization" not in line.came()[0].headers


def test_a_task_is_gone_when_its_handler_has_answered_with_any_2xx(line: Line) -> None:
    line.target.will_answer(line.path, 204)
    line.put("t")
    line.until_done()
    assert len(line.came()) == 1


def test_a_task_without_a_name_is_given_one(line: Line) -> None:
    first, second = line.put(), line.put()
    assert first.name != second.name
    line.came(2)


def test_a_task_is_not_delivered_before_its_time(line: Line) -> None:
    line.put("late", seconds=3600, body="late")
    soon = line.put("soon", seconds=0.3, body="soon")
    assert line.bodies(1) == ["soon"]
    assert datetime.now(UTC) >= soon.schedule_time
    until(lambda: line.waiting() == ["late"])


def test_a_time_in_the_past_means_now(line: Line) -> None:
    before = datetime.now(UTC)
    assert line.put("t", seconds=-3600).schedule_time >= before
    line.came()


# Names


def test_a_name_in_use_is_refused(line: Line) -> None:
    line.put("t", seconds=3600)
    with pytest.raises(exceptions.AlreadyExists):
        line.put("t")


def test_the_name_of_a_finished_task_is_refused(line: Line) -> None:
    line.put("t")
    line.until_done()
    with pytest.raises(exceptions.AlreadyExists):
        line.put("t")


def test_the_name_of_a_deleted_task_is_refused_and_the_task_is_not_delivered(line: Line) -> None:
    line.client.pause_queue(name=line.name)
    line.put("t", body="deleted")
    line.client.delete_task(name=f"{line.name}/tasks/t")
    with pytest.raises(exceptions.AlreadyExists):
        line.put("t")
    line.client.resume_queue(name=line.name)
    line.put("after", body="after")
    assert line.bodies(1) == ["after"]


def test_a_finished_task_can_be_neither_read_nor_deleted_nor_run(line: Line) -> None:
    line.put("t")
    line.until_done()
    for call in (line.client.get_task, line.client.delete_task, line.client.run_task):
        with pytest.raises(exceptions.NotFound):
            call(name=f"{line.name}/tasks/t")


def test_the_same_name_on_another_queue_is_another_task(line: Line) -> None:
    other = Line(line.client, line.target, f"{line.path[:90]}-other")
    line.put("t")
    other.put("t")
    assert len(line.came()) == len(other.came()) == 1


# Retry


def test_a_failed_delivery_is_made_again_and_says_so(line: Line) -> None:
    line.target.will_answer(line.path, 500, 404)
    line.put("t")
    tries = [delivery.headers for delivery in line.came(3)]
    assert [h["X-CloudTasks-TaskRetryCount"] for h in tries] == ["0", "1", "2"]
    assert [h["X-CloudTasks-TaskExecutionCount"] for h in tries] == ["0", "0", "1"], "a 5xx is not counted"
    assert [h.get("X-CloudTasks-TaskPreviousResponse") for h in tries] == [None, "500", "404"]
    assert tries[1]["X-CloudTasks-TaskRetryReason"] == "HTTP status 500"


def test_a_task_whose_answer_was_lost_is_delivered_again(line: Line) -> None:
    line.target.will_answer(line.path, Answer(status=None))
    line.put("t")
    again = line.came(2)[1].headers
    assert (again["X-CloudTasks-TaskRetryCount"], again["X-CloudTasks-TaskExecutionCount"]) == ("1", "0")
    assert "connection broke" in again["X-CloudTasks-TaskRetryReason"]


def test_a_handler_that_is_not_there_yet_is_tried_again(line: Line) -> None:
    line.put("t", request={"url": f"http://{HOST}:1/nobody"})
    assert until(lambda: line.task("t").dispatch_count > 1)
    assert line.task("t").response_count == 0


def waits(line: Line, *answers: Answer | int) -> list[float]:
    """Seconds from each answer to the next try; every try but the first is forced."""
    line.target.will_answer(line.path, *answers)
    line.put("t")
    found = []
    for count in range(1, len(answers) + 1):
        task = line.after_failures("t", count)
        found.append((task.schedule_time - task.last_attempt.response_time).total_seconds())
        if count < len(answers):
            line.client.run_task(name=task.name)
    return found


def test_the_wait_doubles_then_grows_in_steps_then_stays(
    client: CloudTasksClient, target: Target, request: pytest.FixtureRequest
) -> None:
    """The example of queue.proto."""
    line = Line(client, target, name_of(request), retry_config=backoff(10, 300, 3))
    assert waits(line, *[500] * 8) == pytest.approx([10, 20, 40, 80, 160, 240, 300, 300], abs=0.5)


@pytest.mark.parametrize("status", [429, 503])
def test_a_throttled_task_waits_longer_than_a_failed_one(
    client: CloudTasksClient, target: Target, request: pytest.FixtureRequest, status: int
) -> None:
    line = Line(client, target, name_of(request), retry_config=backoff(10, 300, 3))
    assert waits(line, status)[0] > 15


def test_retry_after_is_honoured_in_seconds_and_as_a_date(
    client: CloudTasksClient, target: Target, request: pytest.FixtureRequest
) -> None:
    line = Line(client, target, name_of(request), retry_config=backoff(1, 2, 1))
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2000), usegmt=True)
    found = waits(line, Answer(503, {"Retry-After": "1000"}), Answer(429, {"Retry-After": date}))
    assert found == pytest.approx([1000, 2000], abs=PATIENCE_SECONDS)


def test_after_its_last_attempt_a_task_is_gone_and_its_name_is_not(
    client: CloudTasksClient, target: Target, request: pytest.FixtureRequest
) -> None:
    line = Line(client, target, name_of(request), retry_config=RetryConfig(max_attempts=3))
    line.target.usual[line.path] = Answer(500)
    line.put("t")
    line.until_done()
    assert len(line.came(3)) == 3
    with pytest.raises(exceptions.AlreadyExists):
        line.put("t")


def test_attempts_go_on_until_the_retry_duration_has_passed_as_well(
    client: CloudTasksClient, target: Target, request: pytest.FixtureRequest
) -> None:
    settings = RetryConfig(max_attempts=2, max_retry_duration=LONG)
    line = Line(client, target, name_of(request), retry_config=settings)
    line.target.will_answer(line.path, 500, 500, 500)
    line.put("t")
    line.until_done()
    assert len(line.came()) == 4


def test_the_last_failure_can_be_read(line: Line) -> None:
    line.client.pause_queue(name=line.name)
    line.target.will_answer(line.path, 429)
    line.put("t")
    line.client.run_task(name=f"{line.name}/tasks/t")
    task = line.after_failures("t", 1)
    status = task.last_attempt.response_status
    assert (status.code, status.message) == (8, "HTTP status 429")  # RESOURCE_EXHAUSTED, google/rpc/code.proto
    assert task.first_attempt.dispatch_time <= task.last_attempt.response_time


# Limits of a queue


def test_no_more_tasks_are_under_way_than_the_queue_allows(
    client: CloudTasksClient, target: Target, request: pytest.FixtureRequest
) -> None:
    line = Line(client, target, name_of(request), rate_limits=RateLimits(max_concurrent_dispatches=2))
    released = threading.Event()
    target.usual[line.path] = Answer(after=released)
    for name in "abcde":
        line.put(name)
    line.came(2)
    assert sorted(line.waiting()) == list("abcde")
    released.set()
    line.came(5)
    assert target.peak[line.path] == 2


def test_a_full_queue_does_not_hold_up_another_one(
    client: CloudTasksClient, target: Target, request: pytest.FixtureRequest
) -> None:
    full = Line(client, target, f"{name_of(request)}-full", rate_limits=RateLimits(max_concurrent_dispatches=1))
    free, released = Line(client, target, f"{name_of(request)}-free"), threading.Event()
    target.usual[full.path] = Answer(after=released)
    full.put("first")
    full.put("second")
    full.came()
    free.put("t")
    free.came()
    assert len(full.came()) == 1
    released.set()
    full.came(2)


def test_a_queue_delivers_no_faster_than_its_rate(
    client: CloudTasksClient, target: Target, request: pytest.FixtureRequest
) -> None:
    line = Line(client, target, name_of(request), rate_limits=RateLimits(max_dispatches_per_second=0.01))
    for name in "abc":
        line.put(name)
    until(lambda: line.waiting() == ["b", "c"])
    Line(client, target, f"{line.path}-other").put("t")
    target.wait_for(f"{line.path}-other")
    assert (len(line.came()), line.waiting()) == (1, ["b", "c"])


def test_a_faster_rate_takes_effect_at_once(
    client: CloudTasksClient, target: Target, request: pytest.FixtureRequest
) -> None:
    line = Line(client, target, name_of(request), rate_limits=RateLimits(max_dispatches_per_second=0.01))
    for name in "abc":
        line.put(name)
    line.came()
    queue = Queue(name=line.name, rate_limits=RateLimits(max_dispatches_per_second=500))
    client.update_queue(queue=queue, update_mask=FieldMask(paths=["rate_limits.max_dispatches_per_second"]))
    assert len(line.came(3)) == 3


# The dispatch deadline: last, because the shortest that Google allows is 15 seconds


def test_a_handler_slower_than_its_deadline_is_called_again_while_it_still_works(overdue: Line) -> None:
    again = overdue.came(2)[1].headers
    assert again["X-CloudTasks-TaskRetryCount"] == "1"
    assert again["X-CloudTasks-TaskRetryReason"] == "no answer by the deadline"
    assert overdue.target.peak["overdue"] == 2
