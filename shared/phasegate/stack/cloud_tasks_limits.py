"""Cloud Tasks refuses some names, sizes, deadlines and rates, and fills in others.

The numbers are those of Google's definitions (queue.proto, task.proto, cloudtasks.proto in google-cloud-tasks 2.26)
and of the quotas page (docs.cloud.google.com/tasks/docs/quotas); where the two differ, the stricter one holds.
"""

import re
from datetime import datetime, timedelta
from typing import Any

import grpc
from google.cloud.tasks_v2.types import HttpMethod, Queue, Task

from phasegate.adapters.embedded.tasks import UNLIMITED, QueueRules

Message = Any
"""A message of Google's where times matter: it is annotated with the wire's types, but gives and takes Python's."""

LONGEST_TASK_BYTES = 100 * 1024
"""cloudtasks.proto: the maximum task size is 100 KB (the quotas page says 1 MiB)."""
LONGEST_URL = 2083
MOST_CONCURRENT = 5000
FARTHEST_SCHEDULE = timedelta(days=30)
SHORTEST_DEADLINE, LONGEST_DEADLINE = timedelta(seconds=15), timedelta(minutes=30)
DEFAULT_DEADLINE = timedelta(minutes=10)
DEFAULT_CONCURRENT, DEFAULT_ATTEMPTS, DEFAULT_DOUBLINGS = 1000, 100, 16
DEFAULT_MIN_BACKOFF, DEFAULT_MAX_BACKOFF = timedelta(seconds=0.1), timedelta(hours=1)
"""What ``gcloud tasks queues describe`` shows for a queue that was created without options."""

LOCATION_NAME = re.compile(r"projects/[A-Za-z0-9.:-]+/locations/[a-z0-9-]+")
QUEUE_NAME = re.compile(LOCATION_NAME.pattern + r"/queues/[A-Za-z0-9-]{1,100}")
TASK_NAME = re.compile(QUEUE_NAME.pattern + r"/tasks/[A-Za-z0-9_-]{1,500}")

METHODS_WITH_BODY = (HttpMethod.HTTP_METHOD_UNSPECIFIED, HttpMethod.POST, HttpMethod.PUT, HttpMethod.PATCH)
"""The first one means POST."""


class CallRefused(Exception):
    """A call is refused when the API answers it with an error."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def invalid(message: str) -> CallRefused:
    """Return the answer to a request that can never be right."""
    return CallRefused(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_modelled(message: str) -> CallRefused:
    """Return the answer to what Cloud Tasks can do and this server cannot."""
    return CallRefused(grpc.StatusCode.UNIMPLEMENTED, f"{message} is not modelled by the local stack")


def complete_queue(given: Queue) -> Queue:
    """Return a queue with defaults for what was left out (0 counts as left out). Raises CallRefused for what Google
    refuses.
    """
    if not QUEUE_NAME.fullmatch(given.name):
        raise invalid(f"{given.name!r} is not a queue name: the id has letters, digits and -, at most 100")
    if "http_target" in given or "app_engine_routing_override" in given:
        raise not_modelled("a target of the whole queue")
    queue = Queue(given)
    limits = queue.rate_limits
    retry: Message = queue.retry_config
    limits.max_dispatches_per_second = limits.max_dispatches_per_second or UNLIMITED
    limits.max_concurrent_dispatches = limits.max_concurrent_dispatches or DEFAULT_CONCURRENT
    retry.max_attempts = retry.max_attempts or DEFAULT_ATTEMPTS
    retry.max_doublings = retry.max_doublings or DEFAULT_DOUBLINGS
    if "min_backoff" not in retry:
        retry.min_backoff = DEFAULT_MIN_BACKOFF
    if "max_backoff" not in retry:
        retry.max_backoff = max(DEFAULT_MAX_BACKOFF, retry.min_backoff)
    checks = {
        "rate_limits.max_dispatches_per_second": 0 < limits.max_dispatches_per_second <= UNLIMITED,
        "rate_limits.max_concurrent_dispatches": 1 <= limits.max_concurrent_dispatches <= MOST_CONCURRENT,
        "retry_config.max_attempts": retry.max_attempts >= -1,
        "retry_config.max_doublings": retry.max_doublings >= 0,
        "retry_config.min_backoff": timedelta(0) <= retry.min_backoff <= retry.max_backoff,
    }
    if wrong := [field for field, is_right in checks.items() if not is_right]:
        raise invalid(f"{queue.name}: {wrong[0]} is outside its limits")
    limits.max_burst_size = int(rules_of(queue).burst)
    return queue


def rules_of(queue: Queue) -> QueueRules:
    """Say how a complete queue delivers."""
    limits = queue.rate_limits
    retry: Message = queue.retry_config
    return QueueRules(
        max_per_second=limits.max_dispatches_per_second,
        max_concurrent=limits.max_concurrent_dispatches,
        min_backoff_seconds=retry.min_backoff.total_seconds(),
        max_backoff_seconds=retry.max_backoff.total_seconds(),
        max_doublings=retry.max_doublings,
        is_paused=queue.state == Queue.State.PAUSED,
    )


def check_task(task: Message, queue: str, now: datetime) -> None:
    """Raise CallRefused for what Google refuses in a new task of a queue."""
    request = task.http_request
    if "http_request" not in task:
        raise not_modelled("a task without http_request")
    if "retry_config" in task:
        raise not_modelled("retry_config of a single task")
    if task.name and not (TASK_NAME.fullmatch(task.name) and task.name.startswith(f"{queue}/tasks/")):
        raise invalid(f"{task.name!r} is not a task name in {queue}: the id has letters, digits, - and _, at most 500")
    if not request.url.startswith(("http://", "https://")) or len(request.url) > LONGEST_URL:
        raise invalid(f"http_request.url must begin with http:// or https:// and have at most {LONGEST_URL} characters")
    if request.body and request.http_method not in METHODS_WITH_BODY:
        raise invalid(f"a {request.http_method.name} request cannot have a body")
    if "dispatch_deadline" in task and not SHORTEST_DEADLINE <= task.dispatch_deadline <= LONGEST_DEADLINE:
        raise invalid(f"dispatch_deadline must be between {SHORTEST_DEADLINE} and {LONGEST_DEADLINE}")
    if "schedule_time" in task and task.schedule_time > now + FARTHEST_SCHEDULE:
        raise invalid(f"schedule_time must be within {FARTHEST_SCHEDULE.days} days")
    if (size := len(Task.serialize(task))) > LONGEST_TASK_BYTES:
        raise invalid(f"the task has {size} bytes; at most {LONGEST_TASK_BYTES} are allowed")
