"""Cloud Tasks serves the ``Tasks`` port over queues that deployment made (``layout.py``); each calls one function."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from phasegate.adapters.gcp.clients import tasks_client
from phasegate.adapters.gcp.layout import queue_id
from phasegate.adapters.gcp.retries import retry_within
from phasegate.adapters.gcp.settings import PREFIX, CloudSettings
from phasegate.domain.errors import HaltError, PhasegateError, TransientError
from phasegate.domain.protocol.names import CONDUCTOR_QUEUE, DISPATCH_QUEUE, SWEEP_QUEUE, VERIFY_QUEUE
from phasegate.domain.spec.dispatch import Dispatch
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.ports import QueueTask
from phasegate.telemetry import outgoing

if TYPE_CHECKING:
    from google.cloud.tasks_v2.types import Task

AT_ONCE = 8
"""Creations under way in one call: named tasks are slow to create (cloudtasks.proto), one after the other too slow."""

CREATION_SECONDS = 10.0
"""How long one try of a creation may take; the client's own default is 20."""

RETRIED_SECONDS = 30.0
"""How long one creation is tried again; a page must end before the deadline of the request that asks for it."""

SHORTEST_DEADLINE_SECONDS, LONGEST_DEADLINE_SECONDS = 15.0, 1800.0
"""task.proto, ``dispatch_deadline`` of HTTP tasks. A queue without one of its own has Google's default, 10 minutes."""

DEADLINE_MARGIN_SECONDS = 30.0
"""What the runner needs around the worker's own time: its claim, and the completion that it publishes."""


_CONTROL = {
    DISPATCH_QUEUE: "dispatcher",
    CONDUCTOR_QUEUE: "conductor",
    SWEEP_QUEUE: "sweeper",
    VERIFY_QUEUE: "verifier",
}
"""The functions of Phasegate's own queues; those of the pipeline call the runner."""


def delivery_deadlines(pipeline: Pipeline) -> dict[str, float]:
    """Return the seconds that a delivery may take, by queue: the longest timeout of its work, for each of the dates
    that travel together, and the margin."""
    longest: dict[str, float] = {}
    for phase in pipeline.phases:
        if isinstance(phase.dispatch, Dispatch):
            for processor in phase.processors:
                queue = processor.queue or phase.dispatch.queue
                seconds = phase.how_of(processor).timeout_seconds * pipeline.dates_at_once(phase, processor)
                longest[queue] = max(longest.get(queue, 0.0), seconds)
    return {
        queue: min(LONGEST_DEADLINE_SECONDS, max(SHORTEST_DEADLINE_SECONDS, seconds + DEADLINE_MARGIN_SECONDS))
        for queue, seconds in longest.items()
    }


class CloudTasks:
    """This is the ``Tasks`` port on Google Cloud. Thread-safe.

    Every creation is a call of its own, a few at a time: some 500 of them run into the deadline of the request that
    makes them (cloud.google.com/tasks/docs/common-pitfalls), so that callers page what they create.

    deadlines: seconds that a delivery may take, by queue (``delivery_deadlines``).
    """

    def __init__(self, settings: CloudSettings, deadlines: Mapping[str, float]) -> None:
        self._settings, self._deadlines = settings, deadlines

    def create(self, tasks: Sequence[QueueTask]) -> None:
        """See the port. When some creations fail the others stand; creating all of them again is harmless.

        Raises HaltError for what no retry mends (no such queue, no permission, a task that is too large),
        TransientError when Cloud Tasks did not answer in time.
        """
        trace = outgoing()  # a thread of the pool has no trace of its own
        requests = [self._request(task, trace) for task in tasks]
        if len(tasks) == 1:
            failures = [self._failure(tasks[0], requests[0])]
        else:
            with ThreadPoolExecutor(AT_ONCE, "create-task") as pool:
                failures = list(pool.map(self._failure, tasks, requests))
        found = sorted((f for f in failures if f), key=lambda failure: isinstance(failure, TransientError))
        if found:
            raise type(found[0])(f"{len(found)} of {len(tasks)} tasks were not created: {found[0]}") from found[0]

    def _request(self, task: QueueTask, trace: Mapping[str, str]) -> "Task":
        from google.cloud.tasks_v2.types import HttpMethod, HttpRequest, OidcToken, Task

        url = self._target(task.queue)
        parent = self._parent(task.queue)
        request = HttpRequest(
            url=url,
            http_method=HttpMethod.POST,
            headers={"Content-Type": "application/json", **trace},
            body=task.payload.encode(),
        )
        if self._settings.invoker:
            request.oidc_token = OidcToken(service_account_email=self._settings.invoker, audience=url)
        more: dict[str, Any] = {}
        if task.not_before is not None:
            more["schedule_time"] = task.not_before
        if seconds := self._deadlines.get(task.queue):
            more["dispatch_deadline"] = timedelta(seconds=seconds)
        return Task(name=f"{parent}/tasks/{task.name}", http_request=request, **more)

    def _parent(self, queue: str) -> str:
        return f"projects/{self._settings.project}/locations/{self._settings.region}/queues/{queue_id(queue)}"

    def _target(self, queue: str) -> str:
        function = _CONTROL.get(queue, "runner")
        url = str(getattr(self._settings, f"{function}_url"))
        if not url:
            raise HaltError(
                f"queue '{queue}' has no target: set {PREFIX}{function.upper()}_URL to the {function}'s URL"
            )
        return url

    def _failure(self, task: QueueTask, request: "Task") -> PhasegateError | None:
        """Create one task; what went wrong, if anything did."""
        parent = self._parent(task.queue)
        try:
            tasks_client().create_task(
                parent=parent,
                task=request,
                retry=retry_within(RETRIED_SECONDS),
                timeout=CREATION_SECONDS,
            )
        except exceptions.AlreadyExists:
            return None  # the name carries attempt and dispatch number: it is the same task
        except exceptions.NotFound as error:
            return HaltError(
                f"there is no Cloud Tasks queue {parent} for '{task.queue}': apply the Terraform of this pipeline, or "
                f"start the local stack with it ({error.message})"
            )
        except exceptions.RetryError as error:
            return TransientError(
                f"queue '{task.queue}': Cloud Tasks took no task for {RETRIED_SECONDS:.0f} s ({error})"
            )
        except exceptions.ClientError as error:
            return HaltError(f"queue '{task.queue}', task {task.name}: Cloud Tasks refused it: {error.message}")
        except exceptions.GoogleAPICallError as error:
            return TransientError(f"queue '{task.queue}', task {task.name}: {error.message}")
        return None
