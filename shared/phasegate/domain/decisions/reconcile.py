"""Reconciling one date says what the state of every task is, and what should be running and is not.

``derive`` turns facts into statuses, with a fixed precedence. ``reconcile`` adds what is due. Neither knows what had it
called; called twice on the same facts they give the same answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from phasegate.domain.decisions.failures import may_retry, wait
from phasegate.domain.plan import PlanIndex, ReleaseGroup, TaskSpec, WorkLetter
from phasegate.domain.protocol.worker import ErrorClass, ResultStatus
from phasegate.domain.state.facts import AttemptFacts, AttemptKey, Cell, DateFacts, GroupState, HealedAs, Inputs
from phasegate.domain.state.unsound import Failure


class TaskStatus(Enum):
    """The status says where a task stands. ``REPORTED`` and better unlock what needs it inside the cell."""

    PENDING = "pending"
    UPSTREAM_FAILED = "blocked"
    QUEUED = "queued"
    REPORTED = "reported"
    SUCCEEDED = "succeeded"
    EMPTY_OK = "empty_ok"
    NOT_NEEDED = "not_needed"
    FAILED = "failed"
    UNRECOVERABLE = "unrecoverable"

    __hash__ = object.__hash__
    """Members are compared by identity. ``Enum`` hashes their names, in Python, at each look into one of the sets
    below."""


UNLOCKING = frozenset({TaskStatus.REPORTED, TaskStatus.SUCCEEDED, TaskStatus.EMPTY_OK, TaskStatus.NOT_NEEDED})
UNSETTLED = frozenset({TaskStatus.PENDING, TaskStatus.QUEUED})
BAD = frozenset({TaskStatus.FAILED, TaskStatus.UNRECOVERABLE, TaskStatus.UPSTREAM_FAILED})
PROVED = frozenset({TaskStatus.SUCCEEDED, TaskStatus.EMPTY_OK})
DONE = PROVED | {TaskStatus.NOT_NEEDED}


@dataclass(slots=True)
class TaskView:
    """A view is a task's derived state."""

    status: TaskStatus
    """Where it stands."""
    attempt: int = 0
    """The number of the attempt that counts; 0: none, or adopted."""
    facts: AttemptFacts | None = None
    """What is known of that attempt."""
    due: bool = False
    """A further attempt is due."""
    not_before: datetime | None = None
    """The end of its backoff."""
    wait: timedelta = timedelta()
    """How long its backoff is."""
    failure: Failure | None = None
    """How the task failed; of a task that is tried again: how it failed before."""
    note: str = ""
    """What was said of a good end."""

    @property
    def message(self) -> str:
        """Say what there is to say of the task: its failure's message, or the note."""
        return self.note if self.failure is None else self.failure.message


class DueTask(NamedTuple):
    """A due task is an attempt that should be dispatched, or awaited."""

    task: TaskSpec
    """What the plan says of its task."""
    key: AttemptKey
    """Which attempt it is."""
    dispatch: int
    """Counts the dispatches of the attempt, from 1."""
    generation: int
    """The generation of the (date, phase) that it belongs to."""
    inputs: Inputs
    """The attempts of its needs that it is made from."""
    not_before: datetime | None
    """The end of its backoff, if it is dispatched; None: at once."""
    wait: timedelta = timedelta()
    """How long its backoff is."""
    most_dates: int = 1
    """How many dates the call may carry that it travels in, itself included."""

    def starts_at(self, now: datetime) -> datetime | None:
        """Return when it may start: no later than its backoff from now, whoever's clock told when the last one ended.

        None: at once.
        """
        return None if self.not_before is None else min(self.not_before, now + self.wait)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A reconciliation says where one date stands, and what is missing there."""

    views: dict[int, TaskView]
    """The tasks of open release groups, by number."""
    due: list[DueTask]
    """The attempts that should be dispatched now."""
    settled: list[int]
    """Released groups, not concluded, in which nothing is left to run."""


@dataclass(frozen=True, slots=True)
class BadEnd:
    """An attempt ended badly."""

    failure: Failure
    """How."""
    at: datetime
    """When that came to be known."""


_NO_CELL = Cell()

_RUN, _NOTHING_DUE = WorkLetter.RUN, WorkLetter.NOTHING_DUE

_NO_VIEWS: Sequence[TaskView] = ()

LEFT_ALONE = "as it was: what it is made from came out the same, and nobody was called"
"""The note of a task whose inputs hold what its table was made from."""

_TAKEN_OVER: Mapping[str, tuple[TaskStatus, str]] = {
    WorkLetter.ADOPT: (TaskStatus.SUCCEEDED, "adopted: it was there when the run was planned"),
    WorkLetter.ADOPT_EMPTY: (TaskStatus.EMPTY_OK, "adopted: nothing is there, and that is right"),
    WorkLetter.NOT_NEEDED: (TaskStatus.NOT_NEEDED, "not needed: nothing that reads it runs"),
}
"""How a task stands that the run leaves alone, until a retry has it run; and the note that says so."""


class _Derivation:
    """Statuses of one date, each derived when it is asked for: of open release groups only, in ``reconcile``."""

    def __init__(self, facts: DateFacts, index: PlanIndex) -> None:
        self._facts, self._index = facts, index
        self._position = index.position[facts.day]
        self._views: list[TaskView | None] = [None] * len(index.tasks)
        self.released = [_released(facts, group) for group in index.groups]
        """By number of the release group: its cell, and what the conductor wrote of it; None: it was not released."""

    def view(self, number: int) -> TaskView:
        """The derived state of a task."""
        found = self._views[number]
        if found is None:
            found = self._views[number] = self._derive(self._index.tasks[number])
        return found

    def _derive(self, task: TaskSpec) -> TaskView:
        cell, group = self.released[task.group]
        released = group is not None
        required = cell.redo.get(task.processor, 1) if cell.redo else 1
        letter = task.work[self._position]
        if (letter != _RUN or (group is not None and group.same)) and (
            found := self._without_run(task, letter, group, is_asked_again=required > 1)
        ) is not None:
            return found
        needs = [self.view(n) for n in task.needs] if task.needs else _NO_VIEWS
        attempts = self._facts.tasks.get((task.phase, task.processor))
        if not attempts:
            return _unattempted(needs, None) if released else TaskView(TaskStatus.PENDING)
        if required > 1:
            last = attempts[-1]
            attempts = [a for a in attempts if a.origin is None or a.origin.generation >= required]
            if not attempts:
                if last.is_open:
                    return TaskView(TaskStatus.QUEUED, last.number, last)
                return _unattempted(needs, None) if released else TaskView(TaskStatus.PENDING)
        current = attempts[-1]
        if current.is_open:
            before = bad_end_of(attempts[-2]) if len(attempts) > 1 else None
            return TaskView(TaskStatus.QUEUED, current.number, current, failure=before.failure if before else None)
        bad_end = bad_end_of(current)
        if bad_end is None:
            return self._without_failure(task, current, needs, released)
        failure = bad_end.failure
        if not _is_current(task, current, needs):
            return _unattempted(needs, current) if released else TaskView(TaskStatus.PENDING)
        failures = [
            end.failure
            for attempt in attempts
            if _is_current(task, attempt, needs) and (end := bad_end_of(attempt)) is not None
        ]
        if released and may_retry(failures, task.failure):
            view = _unattempted(needs, current)
            if view.due:
                view.wait = wait(task.failure, failures, f"{self._facts.day}/{task.ref}")
                view.not_before = bad_end.at + view.wait
            view.failure = failure
            return view
        is_gone = failure.error_class is ErrorClass.UNRECOVERABLE
        status = TaskStatus.UNRECOVERABLE if is_gone else TaskStatus.FAILED
        return TaskView(status, current.number, current, failure=failure)

    def _without_run(
        self, task: TaskSpec, letter: str, group: GroupState | None, *, is_asked_again: bool
    ) -> TaskView | None:
        """A task that nobody need run; None: it is run like any other, as a retry asks for it."""
        if letter == _NOTHING_DUE:
            if group is None:
                return TaskView(TaskStatus.PENDING)
            begun = self._facts.tasks.get((task.phase, task.processor))
            if begun and begun[-1].is_open:
                # Of an earlier generation of the plan, by which something was due: what still writes is waited for.
                return TaskView(TaskStatus.QUEUED, begun[-1].number, begun[-1])
            return TaskView(TaskStatus.EMPTY_OK, note="nothing is expected on this date: nobody was called")
        if is_asked_again:
            return None
        if letter != _RUN and (taken := _TAKEN_OVER.get(letter)) is not None:
            return TaskView(taken[0], note=taken[1])
        if group is not None and task.processor in group.same:
            return TaskView(TaskStatus.SUCCEEDED, note=LEFT_ALONE)
        return None

    def _without_failure(
        self, task: TaskSpec, current: AttemptFacts, needs: Sequence[TaskView], released: bool
    ) -> TaskView:
        """An attempt that ended well, if it counts: it was not void, and was made from what counts now."""
        if _is_void(current) or (needs and not _is_current(task, current, needs)):
            return _unattempted(needs, current) if released else TaskView(TaskStatus.PENDING)
        if current.proved is None:
            return TaskView(TaskStatus.REPORTED, current.number, current)
        reported = current.reported
        is_empty = current.proved.rows == 0 or (reported is not None and reported.status is ResultStatus.EMPTY)
        status = TaskStatus.EMPTY_OK if is_empty else TaskStatus.SUCCEEDED
        return TaskView(status, current.number, current, note=reported.message if reported else "")


def _released(facts: DateFacts, group: ReleaseGroup) -> tuple[Cell, GroupState | None]:
    cell = facts.cells.get(group.phase, _NO_CELL)
    return cell, cell.groups.get(group.name)


def derive(facts: DateFacts, index: PlanIndex) -> list[TaskView]:
    """Derive the status of every task of the date, in the order of ``index.tasks``."""
    derivation = _Derivation(facts, index)
    return [derivation.view(task.number) for task in index.tasks]


def _unattempted(needs: Sequence[TaskView], last: AttemptFacts | None) -> TaskView:
    """A released task without a valid attempt: due, waiting for what it needs, or lost with it."""
    number = last.number if last else 0
    for need in needs:
        if need.status in BAD:
            return TaskView(TaskStatus.UPSTREAM_FAILED, number, last)
    for need in needs:
        if need.status not in UNLOCKING:
            return TaskView(TaskStatus.PENDING, number, last)
    return TaskView(TaskStatus.PENDING, number, last, due=True)


def _is_current(task: TaskSpec, attempt: AttemptFacts, needs: Sequence[TaskView]) -> bool:
    """Whether an attempt was made from the attempts of its needs that count now, and these still hold."""
    if not task.needs:
        return True
    made_from = dict(attempt.origin.inputs) if attempt.origin else {}
    now = {ref: view.attempt for ref, view in zip(task.need_refs, needs, strict=True)}
    return made_from == now and all(v.status in UNLOCKING for v in needs)


def _is_void(attempt: AttemptFacts) -> bool:
    if attempt.healed is not None:
        return attempt.healed.outcome is HealedAs.VOID
    return attempt.reported is None and attempt.abandoned is not None


def bad_end_of(attempt: AttemptFacts) -> BadEnd | None:
    """Find out how an attempt ended badly, if it did. A heal outranks a report, a proof outranks both."""
    healed, reported, proved = attempt.healed, attempt.reported, attempt.proved
    if healed is not None and healed.outcome is HealedAs.LOST:
        return BadEnd(Failure(ErrorClass.TRANSIENT, healed.reason), healed.at)
    if healed is None and reported is not None and reported.status is ResultStatus.FAILED:
        failure = Failure(reported.error_class or ErrorClass.TRANSIENT, reported.message, reported.http_status)
        return BadEnd(failure, reported.finished_at)
    if proved is not None and not proved.ok:
        return BadEnd(Failure(proved.error_class or ErrorClass.TRANSIENT, proved.detail), proved.at)
    return None


def reconcile(facts: DateFacts, index: PlanIndex) -> Reconciliation:
    """Find the attempts that should be dispatched now, and the release groups that have come to rest."""
    derivation = _Derivation(facts, index)
    views: dict[int, TaskView] = {}
    due: list[DueTask] = []
    settled: list[int] = []
    for group in index.groups:
        cell, state = derivation.released[group.number]
        if state is None or state.concluded is not None:
            continue
        is_at_rest = True
        for number in group.tasks:
            view = views[number] = derivation.view(number)
            if view.due:
                due.append(_due_task(facts, index, derivation, number, cell.generation))
            is_at_rest = is_at_rest and view.status not in UNSETTLED
        if is_at_rest:
            settled.append(group.number)
    return Reconciliation(views, due, settled)


def may_be_claimed(facts: DateFacts, index: PlanIndex, key: AttemptKey, generation: int) -> bool:
    """Tell whether an attempt of the facts' date was dispatched for a generation that its cell has come to.

    A task may be delivered before the fact that it was dispatched is written, and is due until then.
    """
    if generation > facts.cells.get(key.phase, _NO_CELL).generation:
        return False
    is_dispatched = facts.attempt(key.phase, key.processor, key.attempt).dispatched is not None
    return is_dispatched or any(due.key == key for due in reconcile(facts, index).due)


def _due_task(facts: DateFacts, index: PlanIndex, derivation: _Derivation, number: int, generation: int) -> DueTask:
    task = index.tasks[number]
    attempts = facts.tasks.get((task.phase, task.processor))
    following = attempts[-1].number + 1 if attempts else 1
    return DueTask(
        task=task,
        key=AttemptKey(facts.day, task.phase, task.processor, following),
        dispatch=1,
        generation=generation,
        inputs=tuple((index.tasks[n].ref, derivation.view(n).attempt) for n in task.needs),
        not_before=derivation.view(number).not_before if task.queue is not None else None,
        wait=derivation.view(number).wait,
        most_dates=_most_dates(task, attempts or (), derivation.released[task.group][0]),
    )


def _most_dates(task: TaskSpec, before: Iterable[AttemptFacts], cell: Cell) -> int:
    """How many dates the call of an attempt may carry: half of those of a call that failed as a whole, so that the date
    which made it fail is alone at last, and stays so until it is done or asked for anew."""
    if task.dates_at_once == 1:
        return 1
    required = cell.redo.get(task.processor, 1)
    failed = [a.failed_in_batch_of for a in before if a.origin is None or a.origin.generation >= required]
    return max(1, min([task.dates_at_once, *(dates // 2 for dates in failed if dates)]))


def silent_attempts(facts: DateFacts, index: PlanIndex, now: datetime) -> list[AttemptKey]:
    """Find the observed attempts that have been awaited for longer than their phase's timeout."""
    derivation = _Derivation(facts, index)
    silent: list[AttemptKey] = []
    for number, observed in index.observed.items():
        view, task = derivation.view(number), index.tasks[number]
        awaited = view.facts.dispatched if view.status is TaskStatus.QUEUED and view.facts else None
        if awaited and awaited.at + timedelta(seconds=observed.timeout_seconds) < now:
            silent.append(AttemptKey(facts.day, task.phase, task.processor, view.attempt))
    return silent


MOST_DISPATCHES = 13
"""Dispatches of one attempt in a month, which is how long Cloud Tasks keeps a task (31 days): each waits twice as long
as the one before, and the first ten minutes."""


def patience(dispatch: int, grace: timedelta) -> timedelta:
    """Return how long the dispatch of this number is waited for: ``grace`` the first, twice as long each further one.

    From the ``MOST_DISPATCHES``-th on it grows no more: an earlier version dispatched as often as it liked.
    """
    return grace * (1 << min(dispatch - 1, MOST_DISPATCHES - 1))


def overdue_dispatches(
    facts: DateFacts, index: PlanIndex, claimed: set[AttemptKey], now: datetime, grace: timedelta
) -> list[DueTask]:
    """Find the attempts that nobody claimed in time: their task is slow, used up or lost.

    grace: the patience with a first dispatch. With further ones it grows: a queue that somebody paused for weeks is no
    reason to fill it, and the date's document, with the same attempt.
    """
    views = derive(facts, index)
    overdue: list[DueTask] = []
    for task in index.tasks:
        view = views[task.number]
        dispatched = view.facts.dispatched if view.facts else None
        if task.queue is None or view.status is not TaskStatus.QUEUED or view.facts is None or dispatched is None:
            continue
        key = AttemptKey(facts.day, task.phase, task.processor, view.facts.number)
        waits_since = max(dispatched.at, dispatched.not_before or dispatched.at)
        if key not in claimed and waits_since + patience(dispatched.dispatch, grace) < now:
            earlier = (a for a in facts.tasks[task.phase, task.processor] if a.number < key.attempt)
            overdue.append(
                DueTask(
                    task=task,
                    key=key,
                    dispatch=dispatched.dispatch + 1,
                    generation=dispatched.generation,
                    inputs=dispatched.inputs,
                    not_before=None,
                    most_dates=_most_dates(task, earlier, facts.cells.get(task.phase, _NO_CELL)),
                )
            )
    return overdue
