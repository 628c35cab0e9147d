"""The Cloud Tasks server obeys its operators and refuses what Google refuses, as client and ``gcloud`` see it."""

import json
import os
import shutil
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.tasks_v2 import CloudTasksClient
from google.cloud.tasks_v2.types import HttpMethod, Queue, RateLimits, RetryConfig, Task
from google.protobuf.field_mask_pb2 import FieldMask

from phasegate.stack.emulators import HOST
from tests.conftest import ROOT
from tests.stack.line import LOCATION, Line, backoff, name_of
from tests.stack.target import Answer, Target, TasksServer, cloud_tasks

LONG = timedelta(hours=1)


# Operators


def test_a_paused_queue_takes_tasks_and_delivers_none_until_it_is_resumed(line: Line, target: Target) -> None:
    assert line.client.pause_queue(name=line.name).state == Queue.State.PAUSED
    line.put("t")
    other = Line(line.client, target, f"{line.path[:90]}-other")
    other.put("t")
    other.came()
    assert (target.came(line.path), line.waiting()) == ([], ["t"])
    assert line.client.resume_queue(name=line.name).state == Queue.State.RUNNING
    line.came()


def test_run_delivers_a_task_of_a_paused_queue_before_its_time(line: Line) -> None:
    line.client.pause_queue(name=line.name)
    line.put("t", seconds=3600)
    line.client.run_task(name=f"{line.name}/tasks/t")
    line.came()
    line.until_done()


def test_a_forced_run_that_failed_leaves_one_delivery_to_make_at_the_end_of_its_backoff(
    client: CloudTasksClient, target: Target, request: pytest.FixtureRequest
) -> None:
    line = Line(client, target, name_of(request), retry_config=backoff(3600, 3600, 1))
    client.pause_queue(name=line.name)
    target.will_answer(line.path, 500)
    task = line.put("t", body="forced")
    client.run_task(name=task.name)
    line.after_failures("t", 1)
    client.resume_queue(name=line.name)
    line.put("next", body="next")
    assert line.bodies(2) == ["forced", "next"]
    assert line.task("t").dispatch_count == 1


def test_a_purge_deletes_the_tasks_keeps_their_names_and_leaves_the_queue_in_use(line: Line) -> None:
    line.client.pause_queue(name=line.name)
    line.put("a", body="purged")
    line.put("b", body="purged")
    assert line.client.purge_queue(name=line.name).purge_time
    assert line.waiting() == []
    line.client.resume_queue(name=line.name)
    with pytest.raises(exceptions.AlreadyExists):
        line.put("a")
    line.put("c", body="later")
    assert line.bodies(1) == ["later"]


def test_a_task_deleted_while_it_is_under_way_is_not_tried_again(
    client: CloudTasksClient, target: Target, request: pytest.FixtureRequest
) -> None:
    line = Line(client, target, name_of(request), rate_limits=RateLimits(max_concurrent_dispatches=1))
    released = threading.Event()
    target.will_answer(line.path, Answer(500, after=released))
    line.put("t", body="deleted")
    line.came()
    client.delete_task(name=f"{line.name}/tasks/t")
    line.put("next", body="next")
    released.set()
    assert line.bodies(2) == ["deleted", "next"]


def test_a_deleted_queue_is_gone_with_its_tasks(line: Line) -> None:
    line.put("t", seconds=3600)
    line.client.delete_queue(name=line.name)
    for call in (lambda: line.client.get_queue(name=line.name), lambda: line.put("u")):
        with pytest.raises(exceptions.NotFound):
            call()
    assert line.name not in [queue.name for queue in line.client.list_queues(parent=LOCATION)]


def test_a_new_queue_has_the_documented_defaults(line: Line) -> None:
    queue = line.client.get_queue(name=line.name)
    limits, retry = queue.rate_limits, queue.retry_config
    assert (limits.max_dispatches_per_second, limits.max_concurrent_dispatches, limits.max_burst_size) == (
        500,
        1000,
        100,
    )
    assert (retry.max_attempts, retry.max_doublings) == (100, 16)
    assert (retry.min_backoff, retry.max_backoff) == (timedelta(seconds=0.1), LONG)


def test_an_update_changes_what_its_mask_names_and_nothing_else(line: Line) -> None:
    asked = Queue(name=line.name, rate_limits=RateLimits(max_dispatches_per_second=7, max_concurrent_dispatches=9))
    asked.retry_config.max_attempts = 5
    mask = FieldMask(paths=["rate_limits.max_concurrent_dispatches", "retry_config", "state"])
    queue = line.client.update_queue(queue=asked, update_mask=mask)
    assert (queue.rate_limits.max_dispatches_per_second, queue.rate_limits.max_concurrent_dispatches) == (500, 9)
    assert (queue.retry_config.max_attempts, queue.state) == (5, Queue.State.RUNNING)
    assert line.client.get_queue(name=line.name) == queue


def test_an_update_of_a_queue_that_is_not_there_makes_it(client: CloudTasksClient) -> None:
    name = f"{LOCATION}/queues/made-by-update"
    client.update_queue(queue=Queue(name=name))
    assert client.get_queue(name=name).state == Queue.State.RUNNING


def test_tasks_are_listed_page_by_page_without_their_bodies_unless_asked_for(line: Line) -> None:
    line.client.pause_queue(name=line.name)
    for name in "abcde":
        line.put(name, body="secret")
    pages = [
        [task.name[-1] for task in page.tasks]
        for page in line.client.list_tasks(request={"parent": line.name, "page_size": 2}).pages
    ]
    assert pages == [["a", "b"], ["c", "d"], ["e"]]
    name = f"{line.name}/tasks/a"
    bodies = [
        line.client.get_task(request={"name": name, "response_view": view}).http_request.body
        for view in (Task.View.BASIC, Task.View.FULL)
    ]
    assert bodies == [b"", b"secret"]


# Refusals


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ({"request": {"body": b"x" * 103_000}}, exceptions.InvalidArgument),
        ({"request": {"url": "ftp://somewhere"}}, exceptions.InvalidArgument),
        ({"request": {"url": f"http://{'x' * 2080}"}}, exceptions.InvalidArgument),
        ({"request": {"http_method": HttpMethod.GET, "body": b"x"}}, exceptions.InvalidArgument),
        ({"dispatch_deadline": timedelta(seconds=14)}, exceptions.InvalidArgument),
        ({"dispatch_deadline": timedelta(minutes=31)}, exceptions.InvalidArgument),
        ({"seconds": 31 * 86_400}, exceptions.InvalidArgument),
        ({"task_id": "a b"}, exceptions.InvalidArgument),
        ({"task_id": "x" * 501}, exceptions.InvalidArgument),
        ({"retry_config": RetryConfig(max_attempts=1)}, exceptions.MethodNotImplemented),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value.__name__,
)
def test_a_task_that_cloud_tasks_would_not_take_is_refused(
    line: Line, task: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        line.put(**task)


def test_a_task_as_large_as_allowed_is_delivered(line: Line) -> None:
    line.put("t", body="x" * 102_000)
    assert len(line.came()[0].body) == 102_000


@pytest.mark.parametrize(
    "settings",
    [
        {"rate_limits": RateLimits(max_dispatches_per_second=501)},
        {"rate_limits": RateLimits(max_concurrent_dispatches=5001)},
        {"retry_config": RetryConfig(max_attempts=-2)},
        {"retry_config": backoff(10, 5, 1)},
        {"name": f"{LOCATION}/queues/under_score"},
        {"name": f"{LOCATION}/queues/{'x' * 101}"},
        {"name": "projects/demo/locations/elsewhere/queues/q"},
    ],
    ids=lambda value: next(iter(value.values())).__class__.__name__ + next(iter(value)),
)
def test_a_queue_that_cloud_tasks_would_not_make_is_refused(client: CloudTasksClient, settings: dict[str, Any]) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        client.create_queue(parent=LOCATION, queue=Queue(**{"name": f"{LOCATION}/queues/refused", **settings}))


def test_a_queue_is_made_once(line: Line) -> None:
    with pytest.raises(exceptions.AlreadyExists):
        line.client.create_queue(parent=LOCATION, queue=Queue(name=line.name))


def test_what_the_server_cannot_do_is_not_ignored(client: CloudTasksClient) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match="not modelled"):
        client.list_queues(request={"parent": LOCATION, "filter": "state: PAUSED"})


# The process


def test_queues_tasks_and_names_outlive_the_server(tmp_path: Path, target: Target) -> None:
    with cloud_tasks(tmp_path) as server, server.client() as client:
        line = Line(client, target, "outlives")
        line.put("done")
        line.until_done()
        client.pause_queue(name=line.name)
        line.put("kept", body="kept")
        target.will_answer(line.path, 500)
        client.run_task(name=f"{line.name}/tasks/kept")
        line.after_failures("kept", 1)
    assert server.process.process.returncode == 0
    with cloud_tasks(tmp_path) as server, server.client() as client:
        assert client.get_queue(name=line.name).state == Queue.State.PAUSED
        line.client = client
        with pytest.raises(exceptions.AlreadyExists):
            line.put("done")
        client.resume_queue(name=line.name)
        delivery = line.came(3)[-1]
    assert (delivery.body, delivery.headers["X-CloudTasks-TaskRetryCount"]) == ("kept", "1")


def test_a_delivery_that_was_cut_off_by_a_kill_is_made_again(tmp_path: Path, target: Target) -> None:
    released = threading.Event()
    target.will_answer("killed", Answer(after=released))
    with cloud_tasks(tmp_path) as server, server.client() as client:
        line = Line(client, target, "killed")
        line.put("t", body="again")
        line.came()
        server.process.process.kill()
        server.process.process.wait()
    with cloud_tasks(tmp_path) as server:
        assert line.bodies(2) == ["again", "again"]
    released.set()


def test_a_server_that_is_stopped_does_not_wait_for_a_slow_handler(tmp_path: Path, target: Target) -> None:
    released = threading.Event()
    target.will_answer("stopped", Answer(after=released))
    with cloud_tasks(tmp_path) as server, server.client() as client:
        Line(client, target, "stopped").put("t")
        target.wait_for("stopped")
    released.set()
    assert server.process.process.returncode == 0


def test_a_port_that_is_taken_is_said(cloud_tasks_server: TasksServer) -> None:
    command = [sys.executable, "-m", "phasegate.stack.cloud_tasks", "--port", str(cloud_tasks_server.process.port)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)
    assert done.returncode == 2
    assert str(cloud_tasks_server.process.port) in done.stderr


# gcloud


def gcloud(server: TasksServer, *words: str) -> subprocess.CompletedProcess[str]:
    """Type a ``gcloud tasks`` command."""
    command = shutil.which("gcloud")
    if command is None:
        pytest.skip("gcloud is not installed: https://cloud.google.com/sdk/docs/install")
    environment = {
        **os.environ,
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": "demo",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS": f"http://{HOST}:{server.rest_port}/",
    }
    return subprocess.run(
        [command, "tasks", *words, "--location=us-central1", "--format=json"],
        capture_output=True, text=True, env=environment, timeout=60, check=False,
    )  # fmt: skip


def test_gcloud_makes_tasks_and_the_handler_gets_them(cloud_tasks_server: TasksServer, line: Line) -> None:
    done = gcloud(
        cloud_tasks_server, "create-http-task", "t", f"--queue={line.path}", f"--url={line.target.url(line.path)}",
        "--body-content=from gcloud", "--header=A:b",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (delivery,) = line.came()
    assert (delivery.body, delivery.headers["A"]) == ("from gcloud", "b")


def test_gcloud_changes_a_queue_and_says_why_it_cannot(cloud_tasks_server: TasksServer, line: Line) -> None:
    done = gcloud(cloud_tasks_server, "queues", "update", line.path, "--max-attempts=7")
    assert json.loads(done.stdout)["retryConfig"]["maxAttempts"] == 7, done.stderr
    assert line.client.get_queue(name=line.name).rate_limits.max_dispatches_per_second == 500
    done = gcloud(cloud_tasks_server, "queues", "describe", "nowhere")
    assert "NOT_FOUND" in done.stderr
