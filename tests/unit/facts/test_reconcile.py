"""Reconciling one date: statuses, what is due, what has come to rest."""

import copy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.domain.decisions.reconcile import (
    DueTask,
    Reconciliation,
    TaskStatus,
    TaskView,
    derive,
    overdue_dispatches,
    reconcile,
)
from phasegate.domain.plan import WorkLetter, compile_plan
from phasegate.domain.protocol.worker import ErrorClass, ResultStatus
from phasegate.domain.state.facts import Abandoned, AttemptKey, DateFacts, Fact, Healed, HealedAs, record
from phasegate.domain.state.unsound import Failure
from tests.unit.builders import NOW, Day, dispatched, failed, plan, proved, reported

LEFT, RIGHT = "shape/left", "shape/right"
ON_LEFT_1 = [(LEFT, 1)]
GROUP = "shape.1"


def view(day: Day, ref: str) -> TaskView:
    """The derived state of a task."""
    return derive(day.facts, day.index)[day.index.by_ref[ref].number]


def status(day: Day, ref: str) -> TaskStatus:
    """The status of a task."""
    return view(day, ref).status


def due(day: Day) -> list[tuple[str, int]]:
    """(ref, attempt) of what is due."""
    return [(d.key.ref, d.key.attempt) for d in reconcile(day.facts, day.index).due]


def settled(day: Day) -> list[str]:
    """Release groups at rest."""
    return [day.index.groups[n].name for n in reconcile(day.facts, day.index).settled]


def shape() -> Day:
    """The first release group of ``shape``, released: left, and right which needs it."""
    return Day().release(GROUP)


# Statuses


def test_before_its_release_a_task_is_pending_and_not_due() -> None:
    day = Day()
    assert (status(day, LEFT), due(day)) == (TaskStatus.PENDING, [])


def test_a_released_task_without_needs_is_due() -> None:
    assert due(Day().release("fetch")) == [("fetch/a", 1), ("fetch/b", 1)]


def test_a_task_waits_for_what_it_needs() -> None:
    day = shape()
    assert (status(day, RIGHT), due(day)) == (TaskStatus.PENDING, [(LEFT, 1)])


def test_a_dispatched_attempt_is_queued() -> None:
    assert status(shape().note(LEFT, 1, dispatched()), LEFT) is TaskStatus.QUEUED


def test_a_report_unlocks_what_needs_it() -> None:
    day = shape().note(LEFT, 1, dispatched(), reported())
    assert (status(day, LEFT), due(day)) == (TaskStatus.REPORTED, [(RIGHT, 1)])


def test_a_due_task_names_the_attempts_that_it_will_be_made_from() -> None:
    day = shape().note(LEFT, 1, dispatched(), failed(ErrorClass.TRANSIENT)).note(LEFT, 2, dispatched(), reported())
    (found,) = reconcile(day.facts, day.index).due
    assert (found.key.ref, found.inputs) == (RIGHT, ((LEFT, 2),))


def test_a_proved_report_is_a_success() -> None:
    assert status(shape().note(LEFT, 1, dispatched(), reported(), proved()), LEFT) is TaskStatus.SUCCEEDED


@pytest.mark.parametrize(
    "facts",
    [
        (reported(ResultStatus.EMPTY, rows=0, message="nothing there"), proved(rows=0)),
        (reported(ResultStatus.EMPTY, rows=None), proved(rows=None)),
        (reported(rows=0), proved(rows=0)),
    ],
    ids=["an empty answer", "an empty answer without a table", "no row"],
)
def test_a_proved_emptiness_is_empty_ok(facts: tuple[Fact, ...]) -> None:
    assert status(shape().note(LEFT, 1, dispatched(), *facts), LEFT) is TaskStatus.EMPTY_OK


def test_a_report_counts_before_the_dispatcher_has_written_its_own_fact() -> None:
    assert status(shape().note(LEFT, 1, reported()), LEFT) is TaskStatus.REPORTED


@pytest.mark.parametrize(
    ("error_class", "expected"),
    [(ErrorClass.BUG, TaskStatus.FAILED), (ErrorClass.UNRECOVERABLE, TaskStatus.UNRECOVERABLE)],
)
def test_a_hopeless_failure_is_final_at_once(error_class: ErrorClass, expected: TaskStatus) -> None:
    day = shape().note(LEFT, 1, dispatched(), failed(error_class))
    assert (status(day, LEFT), due(day)) == (expected, [])


def test_what_needs_a_failed_task_is_upstream_failed() -> None:
    assert status(shape().note(LEFT, 1, dispatched(), failed(ErrorClass.BUG)), RIGHT) is TaskStatus.UPSTREAM_FAILED


def test_what_needs_an_upstream_failed_task_is_upstream_failed_too() -> None:
    def chain(document: dict[str, Any]) -> None:
        document["phases"][2]["processors"][2]["needs"] = ["right"]

    day = Day(chain).release(GROUP, "shape.2").note(LEFT, 1, dispatched(), failed(ErrorClass.BUG))
    assert status(day, "shape/ahead") is TaskStatus.UPSTREAM_FAILED


def test_an_adopted_task_has_succeeded_without_an_attempt() -> None:
    work = {
        task.ref: (WorkLetter.ADOPT if task.ref == LEFT else WorkLetter.RUN) * 6 for task in compile_plan(plan()).tasks
    }
    day = Day(work=work).release(GROUP)
    assert (status(day, LEFT), due(day)) == (TaskStatus.SUCCEEDED, [(RIGHT, 1)])


def test_an_adopted_task_runs_when_a_retry_wants_it_again() -> None:
    work = {
        task.ref: (WorkLetter.ADOPT if task.ref == LEFT else WorkLetter.RUN) * 6 for task in compile_plan(plan()).tasks
    }
    assert due(Day(work=work).release(GROUP, generation=2, redo={"left": 2})) == [(LEFT, 1)]


# Retries


def with_failures(error_class: ErrorClass, count: int) -> Day:
    """Left has failed so often."""
    day = shape()
    for number in range(1, count + 1):
        day.note(LEFT, number, dispatched(), failed(error_class))
    return day


@pytest.mark.parametrize("count", [1, 2])
def test_a_transient_failure_is_tried_again_as_often_as_the_policy_allows(count: int) -> None:
    day = with_failures(ErrorClass.TRANSIENT, count)
    assert (status(day, LEFT), due(day)) == (TaskStatus.PENDING, [(LEFT, count + 1)])


def test_after_the_last_retry_a_transient_failure_is_final() -> None:
    day = with_failures(ErrorClass.TRANSIENT, 3)
    assert (status(day, LEFT), due(day)) == (TaskStatus.FAILED, [])


def test_a_final_failure_says_what_it_was() -> None:
    found = view(with_failures(ErrorClass.TRANSIENT, 3), LEFT)
    assert (found.attempt, found.failure) == (3, Failure(ErrorClass.TRANSIENT, "it broke"))


def test_a_retry_waits_for_its_backoff_counted_from_the_failure() -> None:
    (found,) = reconcile((day := with_failures(ErrorClass.TRANSIENT, 1)).facts, day.index).due
    assert found.not_before is not None
    assert NOW + timedelta(seconds=0.5) <= found.not_before <= NOW + timedelta(seconds=1)


def test_throttles_cost_no_attempt() -> None:
    day = with_failures(ErrorClass.THROTTLE, 30).note(LEFT, 31, dispatched(), failed(ErrorClass.TRANSIENT))
    assert due(day) == [(LEFT, 32)]


def test_a_source_that_has_not_published_is_asked_again_as_often_as_its_own_limit() -> None:
    def patient(document: dict[str, Any]) -> None:
        document["phases"][2]["failure"]["not_yet_retries"] = 1

    day = Day(patient).release(GROUP)
    day.note(LEFT, 1, dispatched(), failed(ErrorClass.NOT_YET))
    first = due(day)
    day.note(LEFT, 2, dispatched(), failed(ErrorClass.NOT_YET))
    assert (first, status(day, LEFT)) == ([(LEFT, 2)], TaskStatus.FAILED)


def test_a_disproved_success_is_tried_again() -> None:
    day = shape().note(LEFT, 1, dispatched(), reported(), proved(ok=False, rows=0, error_class=ErrorClass.TRANSIENT))
    assert due(day) == [(LEFT, 2)]


def test_an_attempt_lost_with_its_lease_costs_a_retry() -> None:
    day = with_failures(ErrorClass.TRANSIENT, 2)
    day.note(LEFT, 3, dispatched(), Healed(HealedAs.LOST, "no completion", NOW))
    assert status(day, LEFT) is TaskStatus.FAILED


VOID: list[Fact] = [Healed(HealedAs.VOID, "the process is gone", NOW), Abandoned("the run is paused", NOW)]


@pytest.mark.parametrize("fact", VOID, ids=["the process that held it died", "the run was not running"])
def test_a_void_attempt_costs_nothing_and_is_made_again_at_once(fact: Fact) -> None:
    day = with_failures(ErrorClass.TRANSIENT, 2).note(LEFT, 3, dispatched(), fact)
    (found,) = reconcile(day.facts, day.index).due
    assert (found.key.attempt, found.not_before) == (4, None)


def test_a_report_outranks_an_abandonment() -> None:
    assert status(shape().note(LEFT, 1, dispatched(), reported(), VOID[1]), LEFT) is TaskStatus.REPORTED


def test_a_heal_outranks_a_report() -> None:
    assert due(shape().note(LEFT, 1, dispatched(), reported(), VOID[0])) == [(LEFT, 2)]


def test_a_healed_success_counts_as_reported() -> None:
    day = shape().note(LEFT, 1, dispatched(), Healed(HealedAs.SUCCESS, "the event was lost", NOW))
    assert status(day, LEFT) is TaskStatus.REPORTED


# What an attempt was made from


def test_a_result_made_from_an_older_attempt_is_stale_and_made_again() -> None:
    day = shape().note(LEFT, 1, dispatched(), reported(), proved(ok=False, error_class=ErrorClass.TRANSIENT))
    day.note(LEFT, 2, dispatched(), reported()).note(RIGHT, 1, dispatched(inputs=ON_LEFT_1), reported(inputs=ON_LEFT_1))
    (found,) = reconcile(day.facts, day.index).due
    assert (found.key.ref, found.key.attempt, found.inputs) == (RIGHT, 2, ((LEFT, 2),))


def test_a_result_made_from_the_attempt_that_counts_stands() -> None:
    day = (
        shape()
        .note(LEFT, 1, dispatched(), reported())
        .note(RIGHT, 1, dispatched(inputs=ON_LEFT_1), reported(inputs=ON_LEFT_1))
    )
    assert status(day, RIGHT) is TaskStatus.REPORTED


def test_a_disproof_takes_what_was_built_on_it_along() -> None:
    day = shape().note(RIGHT, 1, dispatched(inputs=ON_LEFT_1), reported(), proved())
    day.note(LEFT, 1, dispatched(), reported(), proved(ok=False, rows=0, error_class=ErrorClass.TRANSIENT))
    assert (status(day, RIGHT), due(day)) == (TaskStatus.PENDING, [(LEFT, 2)])


# Generations


def test_attempts_of_an_older_generation_do_not_count_after_a_retry() -> None:
    day = shape().note(LEFT, 1, dispatched(), reported(), proved()).release(GROUP, generation=2, redo={"left": 2})
    assert due(day) == [(LEFT, 2)]


def test_failures_of_an_older_generation_cost_no_retry_of_the_new_one() -> None:
    day = with_failures(ErrorClass.TRANSIENT, 3).release(GROUP, generation=2, redo={"left": 2})
    day.note(LEFT, 4, dispatched(generation=2), failed(ErrorClass.TRANSIENT))
    assert due(day) == [(LEFT, 5)]


def test_an_older_attempt_that_still_runs_is_waited_for_before_the_new_generation_begins() -> None:
    day = shape().note(LEFT, 1, dispatched()).release(GROUP, generation=2, redo={"left": 2})
    assert (status(day, LEFT), due(day)) == (TaskStatus.QUEUED, [])


def test_what_is_not_named_in_a_retry_keeps_its_attempts() -> None:
    day = shape().note(LEFT, 1, dispatched(), reported(), proved()).release(GROUP, generation=2, redo={"right": 2})
    assert (status(day, LEFT), due(day)) == (TaskStatus.SUCCEEDED, [(RIGHT, 1)])


# Rest


def test_a_lane_is_at_rest_when_nothing_in_it_is_left_to_run() -> None:
    day = (
        shape()
        .note(LEFT, 1, dispatched(), reported())
        .note(RIGHT, 1, dispatched(inputs=ON_LEFT_1), reported(inputs=ON_LEFT_1))
    )
    assert settled(day) == [GROUP]


def test_a_lane_with_a_failure_is_at_rest_when_the_others_are() -> None:
    assert settled(shape().note(LEFT, 1, dispatched(), failed(ErrorClass.BUG))) == [GROUP]


@pytest.mark.parametrize("facts", [(), (dispatched(),), (dispatched(), reported())], ids=["new", "queued", "reported"])
def test_a_lane_with_work_to_do_is_not_at_rest(facts: tuple[Fact, ...]) -> None:
    assert settled(shape().note(LEFT, 1, *facts)) == []


def test_lanes_settle_one_by_one() -> None:
    day = shape().release("shape.2").note("shape/ahead", 1, dispatched(), reported())
    assert settled(day) == ["shape.2"]


# Dispatches that nobody took


def late(day: Day, after: timedelta, claimed: set[AttemptKey] | None = None) -> list[DueTask]:
    """What is dispatched anew, a minute being the grace."""
    return overdue_dispatches(day.facts, day.index, claimed or set(), NOW + after, timedelta(minutes=1))


def test_a_dispatch_that_nobody_claimed_in_time_is_made_again_under_the_next_number() -> None:
    (found,) = late(shape().note(LEFT, 1, dispatched()), timedelta(minutes=2))
    assert (found.key.ref, found.key.attempt, found.dispatch) == (LEFT, 1, 2)


def test_a_dispatch_within_its_grace_is_left_alone() -> None:
    assert late(shape().note(LEFT, 1, dispatched()), timedelta(seconds=59)) == []


def test_each_further_dispatch_has_twice_the_time_of_the_one_before() -> None:
    fourth = shape().note(LEFT, 1, *(dispatched(number) for number in range(1, 5)))
    assert late(fourth, timedelta(minutes=8)) == []
    assert [due.dispatch for due in late(fourth, timedelta(minutes=8, seconds=1))] == [5]


def test_what_an_earlier_version_dispatched_hundreds_of_times_is_dispatched_anew_after_weeks() -> None:
    often = shape().note(LEFT, 1, dispatched(500))
    assert late(often, timedelta(minutes=2**12)) == []
    assert [due.dispatch for due in late(often, timedelta(minutes=2**12, seconds=1))] == [501]


def test_a_claimed_dispatch_is_left_alone() -> None:
    day = shape().note(LEFT, 1, dispatched())
    assert late(day, timedelta(hours=1), {AttemptKey(day.facts.day, "shape", "left", 1)}) == []


# Properties

INDEX = compile_plan(plan())
REFS = [task.ref for task in INDEX.tasks]
GROUPS = [group.name for group in INDEX.groups]
some_fact: st.SearchStrategy[Fact] = st.one_of(
    st.builds(
        dispatched,
        st.integers(1, 2),
        generation=st.just(1),
        inputs=st.sampled_from([(), tuple(ON_LEFT_1), ((LEFT, 2),), (("fetch/a", 1),)]),
    ),
    st.just(VOID[1]),
    st.sampled_from([reported(), reported(ResultStatus.EMPTY, rows=0)]),
    st.builds(failed, st.sampled_from(ErrorClass)),
    st.sampled_from([Healed(kind, "why", NOW) for kind in HealedAs]),
    st.sampled_from([proved(), proved(rows=0), proved(ok=False, error_class=ErrorClass.TRANSIENT)]),
)
notes = st.lists(
    st.tuples(st.sampled_from(REFS), st.integers(1, 3), some_fact),
    max_size=25,
    unique_by=lambda note: (note[0], note[1], type(note[2])),
)


def noted(all_notes: list[tuple[str, int, Fact]], released: set[str]) -> Day:
    """A date with these facts and released groups."""
    day = Day().release(*sorted(released))
    for ref, attempt, fact in all_notes:
        day.note(ref, attempt, fact)
    return day


def reconciled(day: Day) -> tuple[list[TaskView], Reconciliation]:
    """Everything that is derived."""
    return derive(day.facts, day.index), reconcile(day.facts, day.index)


@given(st.data(), notes, st.sets(st.sampled_from(GROUPS)))
def test_a_look_does_not_depend_on_the_order_in_which_facts_came(
    data: st.DataObject, all_notes: list[tuple[str, int, Fact]], released: set[str]
) -> None:
    shuffled = data.draw(st.permutations(all_notes))
    assert reconciled(noted(all_notes, released)) == reconciled(noted(shuffled, released))


@given(notes, st.sets(st.sampled_from(GROUPS)))
def test_a_look_changes_nothing(all_notes: list[tuple[str, int, Fact]], released: set[str]) -> None:
    day = noted(all_notes, released)
    before: DateFacts = copy.deepcopy(day.facts)
    reconciled(day)
    assert day.facts == before


@given(notes, st.sets(st.sampled_from(GROUPS)))
def test_facts_delivered_twice_are_looked_at_as_if_delivered_once(
    all_notes: list[tuple[str, int, Fact]], released: set[str]
) -> None:
    assert reconciled(noted(all_notes * 2, released)) == reconciled(noted(all_notes, released))


@given(notes, st.sets(st.sampled_from(GROUPS)))
def test_after_what_is_due_was_dispatched_the_next_look_finds_nothing_due(
    all_notes: list[tuple[str, int, Fact]], released: set[str]
) -> None:
    day = noted(all_notes, released)
    for found in reconcile(day.facts, day.index).due:
        record(day.facts, found.key, dispatched(inputs=found.inputs))
    assert reconcile(day.facts, day.index).due == []


@given(notes, st.sets(st.sampled_from(GROUPS)))
def test_only_released_work_is_ever_due(all_notes: list[tuple[str, int, Fact]], released: set[str]) -> None:
    day = noted(all_notes, released)
    assert {INDEX.groups[d.task.group].name for d in reconcile(day.facts, day.index).due} <= released
