"""An existing system's message in Phasegate's words, and the attempt that it counts for."""

import json
from datetime import timedelta
from typing import Any

import pytest

from phasegate.domain.decisions.external_events import (
    Awaited,
    ExternalEvent,
    Unreadable,
    attempt_for,
    day_of,
    document_of,
    is_ignored,
    is_known,
    read_external_event,
    says_nothing_new,
)
from phasegate.domain.decisions.reconcile import TaskStatus, derive, overdue_dispatches, reconcile, silent_attempts
from phasegate.domain.decisions.retry import reach
from phasegate.domain.plan import WorkLetter, compile_plan
from phasegate.domain.protocol.worker import ErrorClass, ResultStatus
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import AttemptKey, Healed, HealedAs
from phasegate.domain.state.unsound import Failure
from tests.unit.builders import NOW, Day, dispatched, failed, observing, plan, reported

INDEX = compile_plan(plan(observing))
TASK = INDEX.by_ref["raw/a"]
OBSERVED = INDEX.observed[TASK.number]
FETCH_1 = [("fetch/a", 1)]


def said(**more: Any) -> dict[str, Any]:
    """A message that the mapping understands, changed."""
    return {"data": {"day": "2024-01-01"}, "who": "p2_a", "status": "ok", "rows": 4, "mood": "fine"} | more


def read(message: dict[str, Any]) -> ExternalEvent:
    """The message in our words."""
    return read_external_event(document_of(json.dumps(message)), OBSERVED, "raw", INDEX.plan.pipeline.registry)


def both_released() -> Day:
    """A date on which fetch and raw are released together."""
    return Day(observing).release("fetch", "raw")


def attempt(day: Day) -> Awaited | str:
    """The attempt of raw/a that an end would count for, or why there is none."""
    return attempt_for(day.facts, day.index, day.index.by_ref["raw/a"])


# Words


def test_a_message_is_read_by_its_paths_under_canonical_names() -> None:
    found = read(said())
    assert (found.day, found.processor, found.status, found.rows) == (INDEX.days[0], "a", ResultStatus.SUCCESS, 4)


@pytest.mark.parametrize(
    ("word", "error_class"),
    [("Schema", ErrorClass.BUG), ("TooEarly", ErrorClass.NOT_YET), ("Whatever", ErrorClass.TRANSIENT)],
)
def test_a_failure_has_the_class_of_its_word_or_is_transient(word: str, error_class: ErrorClass) -> None:
    found = read(said(status="broken", rows=0, error={"type": word}, said="on row 17"))
    assert (found.error_class, found.message, found.rows) == (error_class, f"{word}: on row 17", None)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"who": "p2_c"}, "who: unknown processor 'p2_c' of raw; did you mean 'p2_"),
        ({"who": "P2_A"}, "who: unknown processor 'P2_A' of raw"),
        ({"who": None}, "who: is required and not there"),
        ({"status": "OK"}, "status: unknown status 'OK'.*words count as they are written"),
        ({"status": ["ok"]}, "status: is required and not there"),
        ({"rows": -1}, "rows: '-1' is no number of rows"),
        ({"rows": "many"}, "rows: 'many' is no number of rows"),
        ({"rows": True}, "rows: 'True' is no number of rows"),
        ({"data": {"day": "yesterday"}}, "data.day: 'yesterday' is no date such as 2024-01-15"),
        ({"data": "2024-01-01"}, "data.day: is required and not there"),
    ],
)
def test_a_message_that_the_mapping_cannot_read_says_which_field_and_why(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(Unreadable, match=problem):
        read(said(**change))


@pytest.mark.parametrize("text", ["", "[]", "<html>", "[" * 100_000, '"ok"'])
def test_what_is_no_object_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable, match=r"not (a )?JSON"):
        document_of(text)


def test_a_message_without_a_count_has_none() -> None:
    assert read({key: value for key, value in said().items() if key != "rows"}).rows is None


def test_what_is_read_can_be_stored_whatever_was_written() -> None:
    with pytest.raises(Unreadable) as error:
        read(said(who="\ud800"))
    assert str(error.value).encode()


def test_the_same_content_is_the_same_event_and_other_content_another() -> None:
    again = {key: said()[key] for key in reversed(said())}
    assert read(said()).event_id == read(again).event_id != read(said(mood="low")).event_id


def test_an_id_of_their_own_names_the_event_together_with_its_status() -> None:
    named = OBSERVED.model_copy(update={"fields": OBSERVED.fields.model_copy(update={"id": "run"})})
    ids = {
        read_external_event(
            said(run="x", mood=mood, status=status), named, "raw", INDEX.plan.pipeline.registry
        ).event_id
        for mood in ("fine", "low")
        for status in ("ok", "broken")
    }
    assert ids == {"raw-done/x/ok", "raw-done/x/broken"}


@pytest.mark.parametrize(
    ("change", "ignored"),
    [({"status": "begun"}, True), ({"data": {"day": "2024-01-01", "kind": "replay"}}, True), ({}, False)],
)
def test_what_the_file_ignores_is_about_nothing_that_ended(change: dict[str, Any], ignored: bool) -> None:
    assert is_ignored(said(**change), OBSERVED) is ignored


def test_the_date_is_read_even_where_the_rest_is_not() -> None:
    assert day_of(said(who="nobody", status=None), OBSERVED) == INDEX.days[0]


# Attempts


def test_the_awaited_attempt_is_the_one_that_an_end_counts_for() -> None:
    day = both_released().note("fetch/a", 1, dispatched(), reported())
    day.note("raw/a", 1, dispatched(inputs=FETCH_1))
    assert attempt(day) == Awaited(AttemptKey(day.facts.day, "raw", "a", 1), 1, tuple(FETCH_1))


def test_an_end_before_the_look_counts_for_the_next_attempt_made_from_what_is_under_way() -> None:
    day = both_released().note("fetch/a", 1, dispatched())
    found = attempt(day)
    assert isinstance(found, Awaited) and (found.key.attempt, found.inputs) == (1, tuple(FETCH_1))
    day.note("raw/a", 1, reported(inputs=found.inputs)).note("fetch/a", 1, reported())
    assert derive(day.facts, day.index)[TASK.number].status is TaskStatus.REPORTED


def test_an_early_end_whose_source_then_fails_does_not_count() -> None:
    day = both_released().note("fetch/a", 1, dispatched()).note("raw/a", 1, reported(inputs=FETCH_1))
    day.note("fetch/a", 1, failed(ErrorClass.TRANSIENT)).note("fetch/a", 2, dispatched(), reported())
    assert [d.key.attempt for d in reconcile(day.facts, day.index).due if d.key.ref == "raw/a"] == [2]


def test_an_end_of_what_has_not_begun_is_nobodys() -> None:
    assert attempt(both_released()) == "fetch/a, which it is made from, has not begun"


def test_after_a_failure_that_is_tried_again_an_end_counts_for_the_next_attempt() -> None:
    day = both_released().note("fetch/a", 1, dispatched(), reported())
    day.note("raw/a", 1, reported(ResultStatus.FAILED, error_class=ErrorClass.TRANSIENT, inputs=FETCH_1))
    found = attempt(day)
    assert isinstance(found, Awaited) and found.key.attempt == 2


def test_after_a_hopeless_failure_nobody_waits() -> None:
    day = both_released().note("fetch/a", 1, dispatched(), reported())
    bug = reported(ResultStatus.FAILED, error_class=ErrorClass.BUG, message="Schema", inputs=FETCH_1)
    assert attempt(day.note("raw/a", 1, bug)) == "attempt 1 has ended before: Schema"


def test_an_early_end_that_is_repeated_makes_no_further_attempt() -> None:
    day = both_released().note("fetch/a", 1, dispatched()).note("raw/a", 1, reported(inputs=FETCH_1))
    assert attempt(day) == "attempt 1 has ended before"


def test_a_second_early_end_counts_when_its_source_began_anew_in_between() -> None:
    day = both_released().note("fetch/a", 1, dispatched()).note("raw/a", 1, reported(inputs=FETCH_1))
    day.note("fetch/a", 1, failed(ErrorClass.TRANSIENT)).note("fetch/a", 2, dispatched())
    assert attempt(day) == Awaited(AttemptKey(day.facts.day, "raw", "a", 2), 1, (("fetch/a", 2),))


def test_an_end_before_the_look_counts_for_a_task_that_was_asked_for_anew() -> None:
    day = both_released().note("fetch/a", 1, dispatched(), reported()).note("raw/a", 1, reported(inputs=FETCH_1))
    day.release("raw", generation=2, redo={"a": 2})
    assert attempt(day) == Awaited(AttemptKey(day.facts.day, "raw", "a", 2), 2, tuple(FETCH_1))


def test_a_table_that_the_run_adopted_waits_for_nothing() -> None:
    work = dict.fromkeys(INDEX.by_ref, WorkLetter.RUN * 6) | {"raw/a": WorkLetter.ADOPT * 6}
    day = Day(observing, work=work).release("fetch", "raw")
    assert attempt(day) == "the run adopted its output when it was planned"


def test_the_same_delivery_is_known_and_the_same_words_are_nothing_new() -> None:
    end = read(said())
    there = reported(rows=4, inputs=FETCH_1, event_id=end.event_id)
    day = both_released().note("fetch/a", 1, dispatched(), reported()).note("raw/a", 1, there)
    other = read(said(mood="low"))
    assert (is_known(end, day.facts, TASK), is_known(other, day.facts, TASK)) == (True, False)
    assert says_nothing_new(other, day.facts, TASK)
    assert not says_nothing_new(read(said(rows=3)), day.facts, TASK)


@pytest.mark.parametrize(
    ("outcome", "status", "is_old"),
    [(HealedAs.SUCCESS, "ok", True), (HealedAs.SUCCESS, "broken", False), (HealedAs.LOST, "ok", False)],
)
def test_a_late_end_is_nothing_new_only_where_the_table_had_told_the_same(
    outcome: HealedAs, status: str, is_old: bool
) -> None:
    day = both_released().note("raw/a", 1, dispatched(inputs=FETCH_1), Healed(outcome, "silent", NOW))
    assert says_nothing_new(read(said(status=status)), day.facts, TASK) is is_old


# Waiting


def test_an_observed_attempt_is_due_at_once_even_after_a_failure() -> None:
    day = both_released().note("fetch/a", 1, dispatched(), reported())
    day.note("raw/a", 1, reported(ResultStatus.FAILED, error_class=ErrorClass.TRANSIENT, inputs=FETCH_1))
    (found,) = (d for d in reconcile(day.facts, day.index).due if d.key.ref == "raw/a")
    assert (found.key.attempt, found.not_before) == (2, None)


def test_an_awaited_attempt_is_never_dispatched_anew() -> None:
    day = both_released().note("fetch/a", 1, dispatched(), reported()).note("raw/a", 1, dispatched(inputs=FETCH_1))
    late = overdue_dispatches(day.facts, day.index, set(), NOW + timedelta(days=1), timedelta(minutes=10))
    assert not any(d.key.ref == "raw/a" for d in late)


@pytest.mark.parametrize(("seconds", "silent"), [(600, 0), (601, 1)])
def test_an_attempt_is_silent_when_its_timeout_has_passed(seconds: int, silent: int) -> None:
    day = both_released().note("fetch/a", 1, dispatched(), reported()).note("raw/a", 1, dispatched(inputs=FETCH_1))
    assert len(silent_attempts(day.facts, day.index, NOW + timedelta(seconds=seconds))) == silent


def test_a_retry_of_an_observed_task_begins_at_its_source_which_alone_can_start_it() -> None:
    board = Board.blank("r", INDEX, NOW)
    for group in ("fetch", "raw"):
        board.set_letter(group, 0, "f")
    board.bad[INDEX.days[0]] = {"raw/a": Failure(ErrorClass.TRANSIENT, "silent")}
    changes = reach(INDEX, board, [(INDEX.days[0], "raw/a")])
    assert changes[0, "fetch"].redo == {"a"} and "a" in changes[0, "raw"].redo
