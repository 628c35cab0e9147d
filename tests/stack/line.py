"""A queue of the Cloud Tasks server and the path that it delivers to, as tests use them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.tasks_v2 import CloudTasksClient
from google.cloud.tasks_v2.types import Queue, RetryConfig, Task

from tests.stack.target import Delivery, Target, until

LOCATION = "projects/demo/locations/us-central1"


class Line:
    """A queue, and the path of the target that its tasks go to: both named after the test."""

    def __init__(self, client: CloudTasksClient, target: Target, name: str, **settings: Any) -> None:
        self.client, self.target, self.path = client, target, name
        self.name = f"{LOCATION}/queues/{name}"
        client.create_queue(parent=LOCATION, queue=Queue(name=self.name, **settings))

    def put(self, task_id: str = "", *, seconds: float | None = None, body: str = "", **more: Any) -> Task:
        """Create a task, scheduled in so many seconds."""
        request: dict[str, Any] = {"url": self.target.url(self.path), "body": body.encode(), **more.pop("request", {})}
        if seconds is not None:
            more["schedule_time"] = datetime.now(UTC) + timedelta(seconds=seconds)
        name = f"{self.name}/tasks/{task_id}" if task_id else ""
        return self.client.create_task(parent=self.name, task=Task(name=name, http_request=request, **more))

    def task(self, task_id: str) -> Task:
        """The task as the server shows it."""
        return self.client.get_task(name=f"{self.name}/tasks/{task_id}")

    def waiting(self) -> list[str]:
        """Ids of the tasks that are not done."""
        return [task.name.rpartition("/")[2] for task in self.client.list_tasks(parent=self.name)]

    def came(self, count: int = 1) -> list[Delivery]:
        """Deliveries, when there are so many."""
        return self.target.wait_for(self.path, count)

    def bodies(self, count: int) -> list[str]:
        """What was delivered, when there is so much."""
        return [delivery.body for delivery in self.came(count)]

    def until_done(self) -> None:
        """Wait until no task is left."""
        until(lambda: not self.waiting())

    def after_failures(self, task_id: str, count: int) -> Task:
        """The task when so many deliveries have failed and none is under way."""

        def look() -> Task | None:
            task = self.task(task_id)
            return task if task.dispatch_count == task.response_count == count else None

        found = until(look)
        assert found is not None
        return found


def name_of(request: pytest.FixtureRequest) -> str:
    """A queue id made of the test's name."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name.removeprefix("test_"))[:100]


def backoff(shortest: float, longest: float, doublings: int) -> RetryConfig:
    """Settings of a queue."""
    return RetryConfig(
        min_backoff=timedelta(seconds=shortest), max_backoff=timedelta(seconds=longest), max_doublings=doublings
    )
