"""The look at one date: what is the state of every task, and what should be running and is not.

``derive`` turns facts into statuses, with a fixed precedence. ``look`` adds what is due. Neither knows what caused
the look; called twice on the same facts they give the same answer.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from shared.domain.facts import AttemptFacts, AttemptKey, Cell, DateFacts, HealedAs, Inputs
from shared.domain.failures import backoff, costs_an_attempt, may_retry
from shared.domain.plan import ADOPT, EXPECTED, PlanIndex, TaskSpec
from shared.domain.worker_protocol import ErrorClass, ResultStatus


class TaskStatus(Enum):
    """Where a task stands. ``REPORTED`` and better unlock what needs it inside the cell."""

    PENDING = "pending"
    UPSTREAM_FAILED = "blocked"
    QUEUED = "queued"
    REPORTED = "reported"
    SUCCEEDED = "succeeded"
    EMPTY_OK = "empty_ok"
    FAILED = "failed"
    UNRECOVERABLE = "unrecoverable"


UNLOCKING = frozenset({TaskStatus.REPORTED, TaskStatus.SUCCEEDED, TaskStatus.EMPTY_OK})
BAD = frozenset({TaskStatus.FAILED, TaskStatus.UNRECOVERABLE, TaskStatus.UPSTREAM_FAILED})
PROVED = frozenset({TaskStatus.SUCCEEDED, TaskStatus.EMPTY_OK})


@dataclass(slots=True)
class TaskView:
    """A task's derived state. ``attempt``: the one that counts (0: none, or adopted); ``due``: a further attempt is."""

    status: TaskStatus
    attempt: int = 0
    facts: AttemptFacts | None = None
    due: bool = False
    not_before: datetime | None = None
    error_class: ErrorClass | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class DueTask:
    """An attempt that should be dispatched. ``not_before``: the end of its backoff."""

    task: TaskSpec
    key: AttemptKey
    dispatch: int
    generation: int
    inputs: Inputs
    not_before: datetime | None


@dataclass(frozen=True, slots=True)
class Look:
    """What one date looks like. ``settled``: released lanes, not concluded, in which nothing is left to run."""

    views: list[TaskView]
    due: list[DueTask]
    settled: list[int]


_NO_CELL = Cell()


def derive(facts: DateFacts, index: PlanIndex) -> list[TaskView]:
    """Status of every task of the date, in the order of ``index.tasks``."""
    views: list[TaskView] = []
    position = index.position[facts.day]
    cells = facts.cells
    for task in index.tasks:
        cell = cells.get(task.phase, _NO_CELL)
        views.append(_derive(task, facts, cell, index.lanes[task.lane].name in cell.lanes, position, views))
    return views


def _derive(
    task: TaskSpec, facts: DateFacts, cell: Cell, released: bool, position: int, views: list[TaskView]
) -> TaskView:
    required = cell.redo.get(task.processor, 1)
    if required == 1 and task.work[position] == ADOPT:
        return TaskView(TaskStatus.SUCCEEDED, message="adopted: the table already holds it")
    attempts = facts.tasks.get((task.phase, task.processor))
    needs = [views[n] for n in task.needs]
    if not attempts:
        return TaskView(TaskStatus.PENDING) if not released else _unattempted(needs, None)
    if len(attempts) > 1 or required > 1:
        attempts = [a for a in attempts if a.origin is None or a.origin.generation >= required]
        if not attempts:
            last = facts.tasks[task.phase, task.processor][-1]
            waiting = TaskView(TaskStatus.QUEUED if last.is_open else TaskStatus.PENDING)
            return waiting if last.is_open or not released else _unattempted(needs, None)
    current = attempts[-1]
    if current.is_open:
        return TaskView(TaskStatus.QUEUED, current.number, current)
    failure = _failure(current)
    if failure is None:
        if (
            _is_void(current)
            or any(v.status not in UNLOCKING for v in needs)
            or _inputs(task, views) != _made_from(current)
        ):
            return _unattempted(needs, current) if released else TaskView(TaskStatus.PENDING)
        if current.proved is None:
            return TaskView(TaskStatus.REPORTED, current.number, current)
        empty = current.proved.rows == 0 or (
            current.reported is not None and current.reported.status is ResultStatus.EMPTY
        )
        why = current.reported.message if current.reported else ""
        return TaskView(TaskStatus.EMPTY_OK if empty else TaskStatus.SUCCEEDED, current.number, current, message=why)
    error_class, message, at = failure
    failures = [f[0] for a in attempts if (f := _failure(a)) is not None]
    cost = sum(map(costs_an_attempt, failures))
    if released and may_retry(error_class, cost, task.failure):
        view = _unattempted(needs, current)
        if view.due:
            view.not_before = at + backoff(task.failure, len(failures), f"{facts.day}/{task.ref}")
        view.error_class, view.message = error_class, message
        return view
    status = TaskStatus.UNRECOVERABLE if error_class is ErrorClass.UNRECOVERABLE else TaskStatus.FAILED
    return TaskView(status, current.number, current, error_class=error_class, message=message)


def _unattempted(needs: list[TaskView], last: AttemptFacts | None) -> TaskView:
    """A released task without a valid attempt: due, waiting for what it needs, or lost with it."""
    number = last.number if last else 0
    for need in needs:
        if need.status in BAD:
            return TaskView(TaskStatus.UPSTREAM_FAILED, number, last)
    for need in needs:
        if need.status not in UNLOCKING:
            return TaskView(TaskStatus.PENDING, number, last)
    return TaskView(TaskStatus.PENDING, number, last, due=True)


def _inputs(task: TaskSpec, views: list[TaskView]) -> list[int]:
    return [views[n].attempt for n in task.needs]


def _made_from(attempt: AttemptFacts) -> list[int]:
    return [number for _, number in attempt.origin.inputs] if attempt.origin else []


def _is_void(attempt: AttemptFacts) -> bool:
    if attempt.healed is not None:
        return attempt.healed.outcome is HealedAs.VOID
    return attempt.reported is None and attempt.abandoned is not None


def _failure(attempt: AttemptFacts) -> tuple[ErrorClass, str, datetime] | None:
    """(class, message, when) if the attempt ended badly. A heal outranks a report, a proof outranks both."""
    if attempt.healed is not None and attempt.healed.outcome is HealedAs.LOST:
        return ErrorClass.TRANSIENT, attempt.healed.reason, attempt.healed.at
    if attempt.healed is None and attempt.reported is not None and attempt.reported.status is ResultStatus.FAILED:
        error_class = attempt.reported.error_class or ErrorClass.TRANSIENT
        return error_class, attempt.reported.message, attempt.reported.finished_at
    if attempt.proved is not None and not attempt.proved.ok:
        return attempt.proved.error_class or ErrorClass.TRANSIENT, attempt.proved.detail, attempt.proved.at
    return None


def look(facts: DateFacts, index: PlanIndex) -> Look:
    """Statuses, the attempts that should be dispatched now, and the lanes that have come to rest."""
    views = derive(facts, index)
    due: list[DueTask] = []
    settled: list[int] = []
    for lane in index.lanes:
        cell = facts.cells.get(lane.phase)
        state = cell.lanes.get(lane.name) if cell else None
        if cell is None or state is None or state.concluded is not None:
            continue
        at_rest = True
        for number in lane.tasks:
            view = views[number]
            if view.due:
                at_rest = False
                due.append(_due_task(facts, index, number, view, views, cell.generation))
            elif view.status is TaskStatus.PENDING or view.status is TaskStatus.QUEUED:
                at_rest = False
        if at_rest:
            settled.append(lane.number)
    return Look(views, due, settled)


def _due_task(
    facts: DateFacts, index: PlanIndex, number: int, view: TaskView, views: list[TaskView], generation: int
) -> DueTask:
    task = index.tasks[number]
    attempts = facts.tasks.get((task.phase, task.processor))
    following = attempts[-1].number + 1 if attempts else 1
    return DueTask(
        task=task,
        key=AttemptKey(facts.day, task.phase, task.processor, following),
        dispatch=1,
        generation=generation,
        inputs=tuple((index.tasks[n].ref, views[n].attempt) for n in task.needs),
        not_before=view.not_before,
    )


def overdue_dispatches(
    facts: DateFacts, index: PlanIndex, claimed: set[AttemptKey], now: datetime, grace: timedelta
) -> list[DueTask]:
    """Attempts dispatched longer ago than ``grace`` that nobody claimed: their task name is used up or lost."""
    views = derive(facts, index)
    found: list[DueTask] = []
    for task in index.tasks:
        view = views[task.number]
        dispatched = view.facts.dispatched if view.facts else None
        if view.status is not TaskStatus.QUEUED or view.facts is None or dispatched is None:
            continue
        key = AttemptKey(facts.day, task.phase, task.processor, view.facts.number)
        if key not in claimed and dispatched.at + grace < now:
            found.append(DueTask(task, key, dispatched.dispatch + 1, dispatched.generation, dispatched.inputs, None))
    return found


def expects_rows(task: TaskSpec, position: int) -> bool:
    """Whether a date without rows would be wrong for this task."""
    return task.expects[position] == EXPECTED
