"""Proof and checks: how the tables' answers are judged."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlglot import exp

from phasegate.adapters.bigquery_sql import read_statement
from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.checks.proof import Found, count_rows, judge_proof
from phasegate.domain.checks.question import Question
from phasegate.domain.checks.registry import ask, judge, unasked
from phasegate.domain.checks.subject import CheckSubject, checked_days
from phasegate.domain.protocol.worker import ErrorClass, ResultStatus
from phasegate.domain.spec.checks import (
    Check,
    CoverageCheck,
    DuplicatesCheck,
    EntitiesCheck,
    NullsCheck,
    RangeCheck,
    RowsCheck,
)
from phasegate.domain.spec.pipeline import (
    NoOutput,
    ObjectOutput,
    Output,
    Pipeline,
    TableOutput,
)
from phasegate.domain.state.facts import BLOCK, PASS, UNKNOWN, AttemptFacts, Healed, HealedAs, Proved, Verdict
from tests.unit.builders import NOW, calendar, days, pipeline, reported

TABLE = TableOutput(table="shape.left_side", date_column="d", keys=["k"])
OBJECT = ObjectOutput(path="a/{date}.jsonl")
DAYS = days(3)


def proof(output: Output, expects: str, found: int | None, claimed: int | None = 4, **report: Any) -> Proved:
    """The proof of an attempt that reported."""
    held = None if found is None else Found(found)
    attempt = AttemptFacts(1, reported=reported(rows=claimed, **report))
    return judge_proof(attempt, output, [], expects, held, NOW)


# Proof


def test_rows_that_agree_with_the_report_are_a_proof() -> None:
    assert proof(TABLE, ExpectationLetter.EXPECTED, 4) == Proved(True, 4, "", None, NOW)


def test_another_number_of_rows_than_reported_is_disproved_and_tried_again() -> None:
    found = proof(TABLE, ExpectationLetter.EXPECTED, 2)
    assert (found.ok, found.error_class, found.detail) == (
        False,
        ErrorClass.TRANSIENT,
        "reported 4 rows, the table holds 2",
    )


def test_a_success_that_names_no_rows_is_proved_by_rows_in_the_table() -> None:
    assert proof(TABLE, ExpectationLetter.EXPECTED, 4, claimed=None).ok


def test_a_success_without_a_row_is_disproved_and_tried_again() -> None:
    found = proof(TABLE, ExpectationLetter.EXPECTED, 0, claimed=None)
    assert (found.ok, found.error_class, found.detail) == (
        False,
        ErrorClass.TRANSIENT,
        "reported success, the table holds no row",
    )


def test_an_empty_answer_where_rows_are_expected_is_not_published_yet() -> None:
    found = proof(TABLE, ExpectationLetter.EXPECTED, 0, claimed=0, status=ResultStatus.EMPTY, message="no odds")
    assert (found.ok, found.error_class, found.detail) == (
        False,
        ErrorClass.NOT_YET,
        "empty where rows are expected: no odds",
    )


def test_an_empty_answer_without_a_reason_is_disproved_as_such() -> None:
    assert "no reason given" in proof(TABLE, ExpectationLetter.EXPECTED, 0, claimed=0, status=ResultStatus.EMPTY).detail


@pytest.mark.parametrize("expects", [ExpectationLetter.EMPTY, ExpectationLetter.OPTIONAL])
def test_no_row_is_a_proof_where_none_is_right(expects: str) -> None:
    assert proof(TABLE, expects, 0, claimed=0, status=ResultStatus.EMPTY) == Proved(True, 0, "", None, NOW)


def test_rows_are_a_proof_where_they_are_optional() -> None:
    assert proof(TABLE, ExpectationLetter.OPTIONAL, 4).ok


def test_rows_where_none_are_right_are_a_bug() -> None:
    found = proof(TABLE, ExpectationLetter.EMPTY, 4)
    assert (found.ok, found.error_class, found.detail) == (
        False,
        ErrorClass.BUG,
        "0 rows are right here, the table holds 4",
    )


def test_an_object_that_is_there_is_a_proof() -> None:
    assert proof(OBJECT, ExpectationLetter.EXPECTED, 1, claimed=None).ok


def test_an_object_that_is_not_there_is_disproved_and_tried_again() -> None:
    found = proof(OBJECT, ExpectationLetter.EXPECTED, 0, claimed=None)
    assert (found.ok, found.error_class) == (False, ErrorClass.TRANSIENT)


def test_where_there_is_nothing_to_look_at_the_word_is_taken() -> None:
    assert proof(NoOutput(), ExpectationLetter.EXPECTED, None, claimed=None) == Proved(True, None, "", None, NOW)


def test_a_healed_success_is_proved_by_the_rows_in_the_table() -> None:
    healed = AttemptFacts(1, healed=Healed(HealedAs.SUCCESS, "the event was lost", NOW))
    assert judge_proof(healed, TABLE, [], ExpectationLetter.EXPECTED, Found(4, 1, 1), NOW).ok


def test_rows_that_an_earlier_attempt_left_behind_prove_nothing() -> None:
    attempt = AttemptFacts(1, reported=replace(reported(rows=4), fence=7))
    assert judge_proof(attempt, TABLE, [], ExpectationLetter.EXPECTED, Found(4, 7, 7), NOW).ok
    found = judge_proof(attempt, TABLE, [], ExpectationLetter.EXPECTED, Found(4, 6, 6), NOW)
    assert (found.ok, found.detail) == (False, "the table holds 4 rows, of an earlier attempt: this one wrote none")


@pytest.mark.parametrize(
    ("expects", "found", "error_class"),
    [
        (ExpectationLetter.EXPECTED, Found(4, 6, 6), ErrorClass.NOT_YET),
        (ExpectationLetter.OPTIONAL, Found(4, 6, 6), ErrorClass.BUG),
        (ExpectationLetter.EMPTY, Found(4), ErrorClass.BUG),
    ],
)
def test_an_empty_answer_over_rows_of_an_earlier_attempt_is_disproved_by_name_and_not_tried_in_vain(
    expects: str, found: Found, error_class: ErrorClass
) -> None:
    empty = replace(reported(ResultStatus.EMPTY, rows=0, message="no such page"), fence=7)
    proved = judge_proof(AttemptFacts(1, reported=empty), TABLE, [], expects, found, NOW)
    words = "the table holds 4 rows, which this attempt left there when it answered empty (no such page)"
    assert (proved.ok, proved.detail, proved.error_class) == (False, words, error_class)


def test_an_empty_answer_beside_rows_of_the_same_attempt_is_disproved_and_tried_again() -> None:
    empty = replace(reported(ResultStatus.EMPTY, rows=None), fence=7)
    proved = judge_proof(AttemptFacts(1, reported=empty), TABLE, [], ExpectationLetter.EXPECTED, Found(4, 7, 7), NOW)
    assert (proved.ok, proved.error_class) == (False, ErrorClass.TRANSIENT)


@pytest.mark.parametrize(
    ("checks", "is_proved"),
    [
        ([], False),
        ([RowsCheck(exactly="4", severity="warn")], False),
        ([DuplicatesCheck(), NullsCheck(column="v"), RangeCheck(column="v", min=0)], False),
        ([RowsCheck(exactly="4")], True),
        ([DuplicatesCheck(), CoverageCheck(processor="a", keys=["k"])], True),
    ],
    ids=["none", "one that warns", "of values and doubled keys", "of rows", "of keys"],
)
def test_a_partial_success_needs_a_check_that_says_whether_it_is_enough(checks: list[Check], is_proved: bool) -> None:
    attempt = AttemptFacts(1, reported=reported(ResultStatus.PARTIAL, rows=4))
    assert judge_proof(attempt, TABLE, checks, ExpectationLetter.EXPECTED, Found(4), NOW).ok is is_proved


# Which dates checks apply to


@pytest.mark.parametrize(
    ("letter", "rows", "applies"),
    [
        (ExpectationLetter.EXPECTED, 0, True),
        (ExpectationLetter.EXPECTED, 4, True),
        (ExpectationLetter.OPTIONAL, 0, False),
        (ExpectationLetter.OPTIONAL, 4, True),
        (ExpectationLetter.EMPTY, 0, False),
    ],
)
def test_checks_apply_where_rows_are_expected_or_optional_and_there(letter: str, rows: int, applies: bool) -> None:
    assert bool(checked_days({DAYS[0]: letter}, {DAYS[0]: Found(rows)})) is applies


# Questions


def subject(world: Pipeline, counts: Mapping[date, int] | None = None) -> CheckSubject:
    """``shape/left`` over three dates of two games each."""
    left = world.phase("shape").processors[0]
    assert isinstance(left.output, TableOutput)
    return CheckSubject(
        world, calendar(DAYS), "shape", left, left.output, tuple(DAYS), {d: Found(n) for d, n in (counts or {}).items()}
    )


def test_rows_of_many_dates_are_counted_in_one_question() -> None:
    found = count_rows(TABLE, reversed(DAYS))
    assert found.parameters == {"first": DAYS[0], "last": DAYS[2], "days": DAYS}
    assert "FROM `shape.left_side`" in found.sql and "GROUP BY 1" in found.sql


def test_the_rows_check_asks_nothing_beyond_the_counts() -> None:
    assert ask(RowsCheck(exactly="games"), subject(pipeline())) is None


def test_the_entities_check_reads_the_other_table_on_its_own_date_column() -> None:
    def other_column(document: dict[str, Any]) -> None:
        document["phases"][1]["processors"][0]["output"]["date_column"] = "played_on"

    question = ask(EntitiesCheck(key="k", processor="raw/a"), subject(pipeline(other_column)))
    assert isinstance(question, Question)
    assert "SELECT `played_on` AS d, `k` AS k0, 1 AS due, 0 AS here FROM `raw.a` WHERE" in question.sql


@pytest.mark.parametrize(
    "check",
    [
        EntitiesCheck(key="rows", calendar="teams"),
        EntitiesCheck(key="rows", processor="raw/a"),
        CoverageCheck(processor="raw/a", keys=["rows", "group"]),
        DuplicatesCheck(keys=["rows", "group"]),
        NullsCheck(column="order"),
        RangeCheck(column="order", min=0, max=1),
    ],
    ids=str,
)
def test_columns_may_be_named_by_words_of_sql(check: Check) -> None:
    def change(document: dict[str, Any]) -> None:
        for place in (document["phases"][1]["processors"][0], document["phases"][2]["processors"][0]):
            place["output"] |= {"date_column": "end", "fence_column": "from"}

    about = subject(pipeline(change))
    for asked in (ask(check, about), count_rows(about.output, DAYS)):
        assert asked is not None
        tree = read_statement(asked.sql)
        assert {"end", "order", "rows", "group", "from"} & {column.name for column in tree.find_all(exp.Column)}


# Verdicts


def rows(check: RowsCheck, counts: Mapping[date, int]) -> list[Verdict]:
    """Verdicts of a rows check, by date."""
    found = judge(check, subject(pipeline(), counts), [])
    return [found[day] for day in DAYS]


def test_exactly_so_many_rows_pass_and_fewer_or_more_block() -> None:
    found = rows(RowsCheck(exactly="2 * games"), dict(zip(DAYS, (4, 3, 5), strict=True)))
    assert [v.outcome for v in found] == [PASS, BLOCK, BLOCK]


def test_at_least_so_many_rows_pass_and_fewer_block() -> None:
    found = rows(RowsCheck(at_least="2 * games"), dict(zip(DAYS, (4, 3, 5), strict=True)))
    assert [v.outcome for v in found] == [PASS, BLOCK, PASS]


def test_a_date_with_rows_missing_says_how_many() -> None:
    found = rows(RowsCheck(exactly="2 * games"), {DAYS[0]: 2})[0]
    assert (found.expected, found.found, str(found)) == (4, 2, "left: 2 of 4 rows")


def test_a_date_that_is_absent_from_the_counts_has_no_rows() -> None:
    assert rows(RowsCheck(at_least="games"), {})[0].detail == "0 of at least 2 rows"


def entities(check: EntitiesCheck, answer: list[dict[str, Any]]) -> Verdict:
    """The verdict of an entities check on the first date."""
    return judge(check, subject(pipeline()), answer)[DAYS[0]]


def keys(*names: str, **more: Any) -> list[dict[str, Any]]:
    """An answer about the first date."""
    return [{"d": DAYS[0], "k": name, "present": True, **more} for name in names]


TEAMS = EntitiesCheck(key="k", calendar="teams")


def test_all_expected_keys_present_pass() -> None:
    found = entities(TEAMS, keys("T0", "T1", "T2", "T3"))
    assert (found.outcome, found.expected, found.found, found.missing) == (PASS, 4, 4, ())


def test_a_missing_key_blocks_and_is_named() -> None:
    found = entities(TEAMS, keys("T0", "T2", "T3"))
    assert (found.outcome, found.missing, found.detail) == (BLOCK, ("T1",), "3 of 4 teams (missing: T1)")


def test_a_key_that_nobody_expects_does_not_stand_in_for_a_missing_one() -> None:
    assert entities(TEAMS, keys("T0", "T2", "T3", "T9")).outcome == BLOCK


def test_a_share_of_the_keys_suffices_where_the_check_says_so() -> None:
    half = EntitiesCheck(key="k", calendar="teams", at_least=0.5)
    assert [entities(half, keys(*found)).outcome for found in (["T0", "T1"], ["T0"])] == [PASS, BLOCK]


@given(st.integers(1, 400), st.integers(1, 100))
@example(count=20, percent=95)
@example(count=25, percent=28)
def test_exactly_the_demanded_share_passes(count: int, percent: int) -> None:
    wanted = -(-count * percent // 100)
    check = EntitiesCheck(key="k", processor="raw/a", at_least=percent / 100)
    answer = [{"d": DAYS[0], "k": str(n), "present": n < wanted} for n in range(count)]
    assert entities(check, answer).outcome == PASS


BY_TABLE = EntitiesCheck(key="k", processor="raw/a")


def test_keys_of_another_table_are_expected_whether_present_or_not() -> None:
    found = entities(BY_TABLE, keys("7", "8", present=True) + keys("9", present=False))
    assert (found.outcome, found.expected, found.found, found.missing) == (BLOCK, 3, 2, ("9",))


def test_five_missing_keys_are_named_twenty_listed_and_all_counted() -> None:
    found = entities(BY_TABLE, keys(*(f"{n:03}" for n in range(30)), present=False))
    assert found.detail == "0 of 30 k (missing: 000, 001, 002, 003, 004, …)"
    assert found.missing == tuple(f"{n:03}" for n in range(20))


def test_each_date_is_judged_by_its_own_keys() -> None:
    answer = [{"d": day, "k": f"T{n}", "present": True} for day in DAYS[:2] for n in range(4)]
    found = judge(TEAMS, subject(pipeline()), answer)
    assert [found[day].outcome for day in DAYS] == [PASS, PASS, BLOCK]


@pytest.mark.parametrize("check", [RowsCheck(exactly="games"), TEAMS], ids=["rows", "entities"])
def test_a_check_that_could_not_be_asked_is_unknown_on_every_date_and_never_a_pass(check: Check) -> None:
    found = unasked(check, subject(pipeline()), UNKNOWN, "the warehouse is away")
    assert {day: (v.outcome, v.detail) for day, v in found.items()} == dict.fromkeys(
        DAYS, (UNKNOWN, "the warehouse is away")
    )
