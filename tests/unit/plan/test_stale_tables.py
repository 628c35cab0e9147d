"""What fences, records and contents say of the age of a table; nothing is asked here."""

from datetime import date

import pytest

from phasegate.domain.checks.fingerprint import NOTHING, Content
from phasegate.domain.checks.proof import Found
from phasegate.domain.decisions.stale import (
    Fingerprints,
    MadeRecord,
    Records,
    judge_ages,
    look,
    made_from,
    made_from_the_same,
    made_from_what_is_there,
    waits_for_its_inputs,
)
from phasegate.domain.plan import PlanIndex, compile_plan
from tests.unit.builders import days, plan

DAY, NEXT = days(2)
MADE = 10
Fences = dict[str, int | None]


@pytest.fixture(scope="module")
def index() -> PlanIndex:
    """``shape/left`` of a date reads ``raw/a``; ``shape/right`` needs it, and reads ``raw/b``."""
    return compile_plan(plan())


def held(fences: Fences, day: date = DAY) -> dict[str, dict[date, Found]]:
    """One row per table on a date, under these fences."""
    return {ref: {day: Found(1, fence, fence)} for ref, fence in fences.items()}


def recorded(fence: int = MADE, content: str = "L", a: str = "A") -> Records:
    """``shape/left`` was made from this content of ``raw/a``."""
    return {"shape/left": {DAY: MadeRecord(fence, content, {"raw.a": made_from([DAY], {DAY: a})})}}


def stale(index: PlanIndex, fences: Fences, records: Records, contents: Fingerprints) -> dict[str, str]:
    """What is stale on the date, by ref, and why."""
    ages = judge_ages(look(index, held(fences), records), index, contents)
    return {ref: str(found[DAY]) for ref, found in ages.stale.items()}


def unknown(index: PlanIndex, fences: Fences, records: Records) -> set[str]:
    return set(look(index, held(fences), records).unknown)


LATER: Fences = {"raw/a": MADE + 1, "shape/left": MADE}


def test_without_a_record_the_fence_decides(index: PlanIndex) -> None:
    why = f"raw/a of {DAY} was written later (fence 11, and 10 here)"
    assert stale(index, LATER, {}, {}) == {"shape/left": why}
    assert stale(index, {"raw/a": MADE - 1, "shape/left": MADE}, {}, {}) == {}


def test_with_a_record_the_content_does(index: PlanIndex) -> None:
    assert stale(index, LATER, recorded(), {"raw/a": {DAY: "A"}}) == {}
    why = f"raw/a of {DAY} holds something else since"
    assert stale(index, LATER, recorded(), {"raw/a": {DAY: "B"}}) == {"shape/left": why}


def test_a_record_of_other_rows_says_nothing(index: PlanIndex) -> None:
    assert "shape/left" in stale(index, LATER, recorded(fence=MADE - 5), {"raw/a": {DAY: "A"}})


def test_only_a_later_fence_has_the_content_asked_for(index: PlanIndex) -> None:
    assert look(index, held({"raw/a": MADE - 1, "shape/left": MADE}), recorded()).asked == {}
    assert look(index, held(LATER), recorded()).asked == {"raw/a": {DAY}}


def test_an_input_whose_content_could_not_be_asked_is_taken_for_changed(index: PlanIndex) -> None:
    assert "its content could not be asked" in stale(index, LATER, recorded(), {})["shape/left"]


def test_an_input_that_nothing_is_recorded_of_is_new(index: PlanIndex) -> None:
    fences: Fences = {"raw/a": MADE - 1, "raw/b": MADE + 1, "shape/left": MADE - 1, "shape/right": MADE}
    records = {"shape/right": {DAY: MadeRecord(MADE, "R", {"shape.left_side": made_from([DAY], {DAY: "L"})})}}
    assert stale(index, fences, records, {"raw/b": {DAY: "B"}}).keys() == {"shape/right"}


def test_rows_without_a_fence_are_of_unknown_age_and_so_is_what_was_made_from_them(index: PlanIndex) -> None:
    assert unknown(index, {"raw/a": MADE, "shape/left": None}, {}) == {"shape/left"}
    assert unknown(index, {"raw/a": None, "shape/left": MADE}, {}) == {"shape/left"}
    assert unknown(index, {"raw/a": None, "shape/left": MADE}, recorded()) == set()
    assert unknown(index, {"raw/a": None}, {}) == set(), "it is made from no table"


def test_a_table_that_was_made_empty_is_stale_when_its_input_changes(index: PlanIndex) -> None:
    there = {**held({"raw/a": MADE + 1}), "shape/left": {}}
    seen = look(index, there, recorded(content=NOTHING))
    assert "shape/left" in judge_ages(seen, index, {"raw/a": {DAY: "B"}}).stale
    assert judge_ages(seen, index, {"raw/a": {DAY: "A"}}).stale == {}
    assert look(index, there, recorded(content="L")).candidates == [], "rows that are gone are missing, not stale"


@pytest.mark.parametrize(
    ("fences", "is_recorded"),
    [
        ({"raw/a": MADE - 1, "shape/left": MADE}, True),
        ({"raw/a": MADE + 1, "shape/left": MADE}, False),
        ({"raw/a": None, "shape/left": MADE}, False),
        ({"shape/left": MADE}, False),
        ({"raw/a": MADE - 1, "shape/left": MADE + 5}, False),
        ({"raw/a": MADE - 1, "shape/left": None}, False),
    ],
    ids=["as made", "input since", "input unfenced", "input unasked", "rows of another", "rows of nobody"],
)
def test_recorded_is_what_nothing_was_written_under_since(index: PlanIndex, fences: Fences, is_recorded: bool) -> None:
    found = [
        (each.ref, each.read) for each in made_from_what_is_there(index, {"shape/left": {DAY: MADE}}, held(fences))
    ]
    assert found == ([("shape/left", {"raw/a": [DAY]})] if is_recorded else [])


def content(fingerprint: str, fence: int = MADE) -> dict[date, Content]:
    return {DAY: Content(fingerprint, fence, fence)}


@pytest.mark.parametrize(
    ("own", "a", "is_same"),
    [
        (content("L"), content("A", MADE + 1), True),
        (content("L"), content("B", MADE + 1), False),
        (content("X"), content("A", MADE + 1), False),
        (content("L", MADE + 1), content("A"), False),
        ({}, content("A"), False),
    ],
    ids=["the same", "another input", "rows changed by hand", "rows of a later attempt", "rows gone"],
)
def test_left_alone_is_only_what_would_be_made_from_the_same(
    index: PlanIndex, own: dict[date, Content], a: dict[date, Content], is_same: bool
) -> None:
    contents = {"shape/left": own, "raw/a": a}
    found = made_from_the_same(index, {"shape/left": {DAY}}, recorded(), contents)
    assert found == {"shape/left": frozenset({DAY} if is_same else ())}
    assert made_from_the_same(index, {"shape/left": {DAY}}, recorded(), {"shape/left": own}) == {
        "shape/left": frozenset()
    }, "its input could not be asked"


def test_what_runs_beside_a_task_that_needs_it_is_not_known_when_that_is_released(index: PlanIndex) -> None:
    left, right = index.by_ref["shape/left"], index.by_ref["shape/right"]
    assert waits_for_its_inputs(index, left, 0, ())
    assert not waits_for_its_inputs(index, right, 0, ())
    assert waits_for_its_inputs(index, right, 0, {left.number})
    assert not waits_for_its_inputs(index, index.by_ref["raw/a"], 0, ()), "its object is fetched anew"
