"""Cloud Tasks' API is served over the embedded backend's queues: each method takes Google's request and gives Google's
answer.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import grpc
from google.cloud.tasks_v2 import types
from google.cloud.tasks_v2.types import HttpMethod, Queue, Task
from google.protobuf.field_mask_pb2 import FieldMask

from phasegate.adapters.embedded.tasks import HeldTask, SqliteTasks
from phasegate.ports import Clock, QueueTask
from phasegate.stack.cloud_tasks_courier import Courier
from phasegate.stack.cloud_tasks_limits import (
    DEFAULT_DEADLINE,
    LOCATION_NAME,
    CallRefused,
    Message,
    check_task,
    complete_queue,
    invalid,
    not_modelled,
)
from phasegate.stack.cloud_tasks_records import Queues, TaskRecord

RUN_ID = "cloud-tasks"
"""What the server's tasks are filed under; the embedded backend files them under the run."""

CHANGEABLE = ("rate_limits", "retry_config", "stackdriver_logging_config")
OUTPUT_ONLY = ("name", "state", "purge_time", "rate_limits.max_burst_size")
"""UpdateQueue ignores these (cloudtasks.proto)."""

MOST_QUEUES_A_PAGE, MOST_TASKS_A_PAGE = 9800, 1000

Listed = TypeVar("Listed")


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the API takes one of Google's messages and gives another."""

    request: Message
    """The class of the request."""

    answer: Message | None
    """The class of the answer; None: Empty."""

    call: Callable[[Any], Any]
    """What the method does: takes the request, returns the answer."""


class CloudTasksApi:
    """The API holds its methods by name. They run in the event loop, one after the other; what they changed is durable
    on return.
    """

    def __init__(self, tasks: SqliteTasks, queues: Queues, courier: Courier, clock: Clock) -> None:
        self._tasks, self._queues, self._courier, self._clock = tasks, queues, courier, clock
        self.methods: Mapping[str, Method] = {
            "ListQueues": Method(types.ListQueuesRequest, types.ListQueuesResponse, self._list_queues),
            "GetQueue": Method(types.GetQueueRequest, Queue, lambda request: queues.get(request.name)),
            "CreateQueue": Method(types.CreateQueueRequest, Queue, self._create_queue),
            "UpdateQueue": Method(types.UpdateQueueRequest, Queue, self._update_queue),
            "DeleteQueue": Method(types.DeleteQueueRequest, None, lambda request: queues.remove(request.name)),
            "PurgeQueue": Method(types.PurgeQueueRequest, Queue, self._purge_queue),
            "PauseQueue": Method(types.PauseQueueRequest, Queue, self._pause_queue),
            "ResumeQueue": Method(types.ResumeQueueRequest, Queue, self._resume_queue),
            "ListTasks": Method(types.ListTasksRequest, types.ListTasksResponse, self._list_tasks),
            "GetTask": Method(types.GetTaskRequest, Task, self._get_task),
            "CreateTask": Method(types.CreateTaskRequest, Task, self._create_task),
            "DeleteTask": Method(types.DeleteTaskRequest, None, self._delete_task),
            "RunTask": Method(types.RunTaskRequest, Task, self._run_task),
        }

    def _list_queues(self, request: types.ListQueuesRequest) -> types.ListQueuesResponse:
        if request.filter:
            raise not_modelled("a filter on queues")
        here = [name for name in self._queues.names if name.startswith(f"{request.parent}/queues/")]
        page, token = _page(here, request.page_size, MOST_QUEUES_A_PAGE, request.page_token)
        return types.ListQueuesResponse(queues=[self._queues.get(name) for name in page], next_page_token=token)

    def _create_queue(self, request: types.CreateQueueRequest) -> Queue:
        name = request.queue.name
        if not LOCATION_NAME.fullmatch(request.parent) or not name.startswith(f"{request.parent}/queues/"):
            raise invalid(f"{name!r} is not the name of a queue in {request.parent!r}")
        if name in self._queues:
            raise CallRefused(grpc.StatusCode.ALREADY_EXISTS, f"there is a queue {name} already")
        return self._queues.put(Queue(complete_queue(request.queue), state=Queue.State.RUNNING))

    def _update_queue(self, request: types.UpdateQueueRequest) -> Queue:
        name = request.queue.name
        is_new = name not in self._queues
        changed = Queue(name=name, state=Queue.State.RUNNING) if is_new else Queue(self._queues.get(name))
        paths = [path for path in request.update_mask.paths or CHANGEABLE if path not in OUTPUT_ONLY]
        if strange := [path for path in paths if path.partition(".")[0] not in CHANGEABLE]:
            raise not_modelled(f"changing {strange[0]} of a queue")
        mask = FieldMask(paths=paths)
        mask.MergeMessage(Queue.pb(request.queue), Queue.pb(changed), replace_message_field=True)
        queue = self._queues.put(complete_queue(changed))
        self._courier.wake()
        return queue

    def _purge_queue(self, request: types.PurgeQueueRequest) -> Queue:
        queue: Message = Queue(self._queues.get(request.name))
        self._tasks.drop(held.task.name for held in self._tasks.held(queue.name))
        queue.purge_time = self._clock.now()
        return self._queues.put(queue)

    def _pause_queue(self, request: types.PauseQueueRequest) -> Queue:
        return self._set_state(request.name, Queue.State.PAUSED)

    def _resume_queue(self, request: types.ResumeQueueRequest) -> Queue:
        return self._set_state(request.name, Queue.State.RUNNING)

    def _set_state(self, name: str, state: int) -> Queue:
        queue = self._queues.put(Queue(self._queues.get(name), state=state))
        self._courier.wake()
        return queue

    def _list_tasks(self, request: types.ListTasksRequest) -> types.ListTasksResponse:
        held = {each.task.name: each for each in self._tasks.held(self._queues.get(request.parent).name)}
        page, token = _page(list(held), request.page_size, MOST_TASKS_A_PAGE, request.page_token)
        tasks = [self._shown(held[name], request.response_view) for name in page]
        return types.ListTasksResponse(tasks=tasks, next_page_token=token)

    def _get_task(self, request: types.GetTaskRequest) -> Task:
        return self._shown(self._held(request.name), request.response_view)

    def _create_task(self, request: types.CreateTaskRequest) -> Task:
        queue, now = self._queues.get(request.parent), self._clock.now()
        check_task(request.task, queue.name, now)
        task: Message = Task(request.task)
        task.name = task.name or f"{queue.name}/tasks/{uuid.uuid4().int >> 64}"
        if self._tasks.is_known(task.name):
            why = f"the task name {task.name} is in use or was not long ago"
            raise CallRefused(grpc.StatusCode.ALREADY_EXISTS, why)
        task.create_time = now.replace(microsecond=0)
        task.schedule_time = max(now, task.schedule_time) if "schedule_time" in task else now
        task.http_request.http_method = HttpMethod(task.http_request.http_method or HttpMethod.POST)
        task.dispatch_deadline = task.dispatch_deadline or DEFAULT_DEADLINE
        payload = TaskRecord(task).write()
        self._tasks.create([QueueTask(RUN_ID, queue.name, task.name, payload, task.schedule_time)])
        self._courier.wake()
        return self._shown(self._held(task.name), request.response_view)

    def _delete_task(self, request: types.DeleteTaskRequest) -> None:
        self._tasks.drop([self._held(request.name).task.name])

    def _run_task(self, request: types.RunTaskRequest) -> Task:
        held = self._held(request.name)
        self._courier.deliver(held)
        return self._shown(held, request.response_view, runs=1)

    def _held(self, name: str) -> HeldTask:
        held = self._tasks.find(name)
        if held is None:
            raise CallRefused(grpc.StatusCode.NOT_FOUND, f"there is no task {name}; it is done, deleted, or never was")
        return held

    def _shown(self, held: HeldTask, view: Task.View, runs: int = 0) -> Task:
        task: Message = TaskRecord.read(held.task.payload).task
        task.dispatch_count = held.tries + max(runs, self._tasks.is_delivering(held.task))
        task.schedule_time = datetime.fromtimestamp(held.not_before, UTC)
        if view == Task.View.FULL:
            return Task(task, view=Task.View.FULL)
        task.http_request.body = b""
        return Task(task, view=Task.View.BASIC)


def _page(names: Sequence[str], size: int, most: int, token: str) -> tuple[Sequence[str], str]:
    """A page of sorted names, and the token of the next one: the last name of this one."""
    rest = [name for name in names if name > token]
    page = rest[: min(size or most, most)]
    return page, page[-1] if len(page) < len(rest) else ""
