"""Attempts that are due together travel together: which of them one call carries."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.decisions.reconcile import DueTask

Batch = Sequence[DueTask]
"""Attempts of one processor on several dates, in order, that one call carries."""


def form_batches(due: Iterable[DueTask], calendar: Calendar | None, now: datetime) -> list[Batch]:
    """Divide due attempts into what one call each carries.

    Together go those of one processor that may start at the same time, in the order of their dates, as many as each of
    them allows (``most_dates``). Where the worker is asked for a range, no date of the calendar lies between two of
    them that the call does not carry.

    calendar: None where nobody is asked for a range.
    """
    together: dict[tuple[str, datetime | None, date | None], list[DueTask]] = {}
    for task in due:
        starts_at = task.starts_at(now)
        is_waiting = starts_at is not None and starts_at > now
        alone = task.key.day if task.most_dates == 1 else None
        together.setdefault((task.task.ref, starts_at if is_waiting else None, alone), []).append(task)
    return [batch for tasks in together.values() for batch in _divided(tasks, calendar)]


def _divided(tasks: list[DueTask], calendar: Calendar | None) -> list[Batch]:
    if len(tasks) == 1:
        return [tasks]
    batches: list[list[DueTask]] = []
    for task in sorted(tasks, key=lambda each: each.key.day):
        if batches and _has_room(batches[-1], task, calendar):
            batches[-1].append(task)
        else:
            batches.append([task])
    return list(batches)


def _has_room(batch: Batch, task: DueTask, calendar: Calendar | None) -> bool:
    """Whether one more attempt, of a later date, may join a batch."""
    most = min(task.most_dates, *(each.most_dates for each in batch))
    return len(batch) < most and (
        calendar is None or task.task.batches != "range" or calendar.follows(batch[-1].key.day, task.key.day)
    )
