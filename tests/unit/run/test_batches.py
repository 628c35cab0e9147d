"""Which attempts one call carries, and how many."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from phasegate.adapters.fact_codec import fact_from_json, fact_to_json
from phasegate.adapters.gcp.firestore.documents import fact_document
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.decisions.batches import form_batches
from phasegate.domain.decisions.reconcile import DueTask, overdue_dispatches, reconcile
from phasegate.domain.plan import compile_plan
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.state.facts import Abandoned, AttemptKey, Dispatched, Healed, HealedAs
from tests.unit.builders import NOW, Day, calendar, days, dispatched, failed, plan
from tests.world import batched

LATER = NOW + timedelta(seconds=5)
FAILED_TOGETHER = Abandoned("a call for 20 dates failed as a whole", NOW, failed_together=True)


def due(
    *numbers: int,
    ref: str = "raw/a",
    most: int = 7,
    starts: Any = None,
    batches: str = "list",
) -> list[DueTask]:
    """First attempts of a processor on the dates of these numbers."""
    with batched(7):
        index = compile_plan(plan(dates=20, change=lambda d: d["workers"]["world"].update(batches=batches)))
    task = index.by_ref[ref]
    return [
        DueTask(task, AttemptKey(index.days[n], *ref.split("/"), 1), 1, 1, (), starts, timedelta(hours=1), most)
        for n in numbers
    ]


def formed(tasks: Sequence[DueTask], among: Calendar | None = None) -> list[list[int]]:
    """The batches, each as the numbers of its dates."""
    first = days(1)[0]
    return [[(each.key.day - first).days for each in batch] for batch in form_batches(tasks, among, NOW)]


def test_dates_that_are_due_together_travel_in_order_as_many_as_are_asked_for() -> None:
    assert formed(due(4, 0, 9, 1, 2, 3, 8, 7, 6, 5)) == [[0, 1, 2, 3, 4, 5, 6], [7, 8, 9]]


def test_each_processor_has_batches_of_its_own() -> None:
    assert formed([*due(0, 1), *due(0, 1, ref="raw/b")]) == [[0, 1], [0, 1]]


def test_what_waits_for_a_backoff_goes_with_what_starts_at_the_same_moment_alone() -> None:
    tasks = [*due(0, 1), *due(2, 3, starts=LATER), *due(4, starts=LATER + timedelta(seconds=1))]
    assert formed(tasks) == [[0, 1], [2, 3], [4]]


def test_a_backoff_that_is_over_holds_nothing_back() -> None:
    assert formed([*due(0), *due(1, starts=NOW - timedelta(seconds=1))]) == [[0, 1]]


def test_a_batch_is_no_larger_than_any_of_its_dates_allows() -> None:
    tasks = [*due(0, 1), *due(2, most=3), *due(3, 4, 5), *due(6, most=1), *due(7)]
    assert formed(tasks) == [[0, 1, 2], [3, 4, 5, 7], [6]]


def test_what_travels_alone_keeps_its_place() -> None:
    assert formed(due(3, 1, 2, most=1)) == [[3], [1], [2]]


def test_a_range_has_no_date_of_the_calendar_between_its_own() -> None:
    off_day = calendar([day for day in days(9) if day != days(9)[3]])
    assert formed(due(0, 1, 2, 4, 6, 7, batches="range"), off_day) == [[0, 1, 2, 4], [6, 7]]


def due_again(*facts: Any, at_once: int = 20, **release: Any) -> DueTask:
    """The attempt that follows when ``fetch/a`` of a date has had these facts, an attempt each."""
    with batched(at_once):
        day = Day().release("fetch", "raw", **release)
    for number, of_attempt in enumerate(facts, 1):
        day.note("fetch/a", number, *of_attempt)
    return next(task for task in reconcile(day.facts, day.index).due if task.key.ref == "fetch/a")


def in_batch_of(dates: int, *facts: Any) -> tuple[Any, ...]:
    """The facts of an attempt that was dispatched with others."""
    return (Dispatched(1, 1, (), NOW, batch=dates), *facts)


@pytest.mark.parametrize(
    ("attempts", "most"),
    [
        ([], 20),
        ([in_batch_of(20, FAILED_TOGETHER)], 10),
        ([in_batch_of(20, FAILED_TOGETHER), in_batch_of(9, FAILED_TOGETHER)], 4),
        ([in_batch_of(2, FAILED_TOGETHER)], 1),
        ([in_batch_of(3, Healed(HealedAs.VOID, "gone", NOW))], 1),
        ([in_batch_of(20, Abandoned("the run is paused", NOW))], 20),
        ([in_batch_of(20, failed(ErrorClass.TRANSIENT))], 20),
        ([in_batch_of(2, FAILED_TOGETHER), in_batch_of(1, failed(ErrorClass.TRANSIENT))], 1),
    ],
    ids=["none", "once", "twice", "two", "void", "nobody was called", "in an answer", "alone at last"],
)
def test_a_call_that_failed_as_a_whole_is_tried_again_with_half_of_its_dates(attempts: Any, most: int) -> None:
    assert due_again(*attempts).most_dates == most


def test_a_call_that_failed_as_a_whole_is_no_failure_of_its_dates() -> None:
    found = due_again(in_batch_of(20, FAILED_TOGETHER))
    assert (found.key.attempt, found.not_before) == (2, None)


def test_what_a_person_asks_for_again_may_travel_with_all_others() -> None:
    assert due_again(in_batch_of(2, FAILED_TOGETHER), generation=2, redo={"a": 2}).most_dates == 20


def test_a_lost_dispatch_is_dispatched_anew_with_as_many_as_before() -> None:
    with batched(20):
        day = Day().release("fetch", "raw")
    day.note("fetch/a", 1, *in_batch_of(20, FAILED_TOGETHER)).note("fetch/a", 2, *in_batch_of(10))
    (late,) = overdue_dispatches(day.facts, day.index, set(), NOW + timedelta(hours=1), timedelta(minutes=10))
    assert (late.key.attempt, late.dispatch, late.most_dates) == (2, 2, 10)


def test_facts_of_what_travels_alone_are_stored_as_before() -> None:
    alone = dispatched()
    assert "batch" not in fact_to_json(alone) and "batch" not in fact_document(alone)
    stopped = Abandoned("the run was stopped", NOW)
    assert "together" not in fact_to_json(stopped) and "failed_together" not in fact_document(stopped)


@pytest.mark.parametrize(
    ("name", "fact"), [("dispatched", Dispatched(1, 1, (), NOW, batch=20)), ("abandoned", FAILED_TOGETHER)]
)
def test_facts_of_a_batch_are_read_back(name: str, fact: Any) -> None:
    assert fact_from_json(name, fact_to_json(fact)) == fact
