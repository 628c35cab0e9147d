"""Facts only grow; what is stored is what was written."""

from datetime import UTC, date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.adapters.fact_codec import cell_from_json, cell_to_json, fact_from_json, fact_to_json
from phasegate.domain.protocol.worker import ErrorClass, ResultStatus
from phasegate.domain.state.facts import (
    Abandoned,
    AttemptFacts,
    AttemptKey,
    Cell,
    DateFacts,
    Dispatched,
    Fact,
    GroupState,
    Healed,
    HealedAs,
    Proved,
    Reported,
    Verdict,
    fact_name,
    record,
)
from tests.unit.builders import NOW, dispatched, proved, reported

DAY = date(2024, 1, 1)
KEY = AttemptKey(DAY, "raw", "a", 1)
ONE_OF_EACH: list[Fact] = [
    dispatched(inputs=[("fetch/a", 1)]),
    Abandoned("the run is paused", NOW),
    reported(),
    Healed(HealedAs.LOST, "no completion", NOW),
    proved(),
]


def names(facts: list[Fact]) -> list[str]:
    """Names of facts, for the tests' own names."""
    return [fact_name(fact) for fact in facts]


@pytest.mark.parametrize("fact", ONE_OF_EACH, ids=names(ONE_OF_EACH))
def test_a_first_fact_is_added(fact: Fact) -> None:
    facts = DateFacts(DAY)
    assert record(facts, KEY, fact) == "added"
    assert getattr(facts.tasks["raw", "a"][0], fact_name(fact)) == fact


@pytest.mark.parametrize("fact", ONE_OF_EACH, ids=names(ONE_OF_EACH))
def test_the_same_fact_again_is_known(fact: Fact) -> None:
    facts = DateFacts(DAY)
    record(facts, KEY, fact)
    assert record(facts, KEY, fact) == "known"


OTHERS: list[Fact] = [
    Abandoned("another reason", NOW),
    reported(ResultStatus.EMPTY, rows=0, event_id="other"),
    Healed(HealedAs.VOID, "gone", NOW),
    proved(ok=False),
]


@pytest.mark.parametrize(("first", "other"), list(zip(ONE_OF_EACH[1:], OTHERS, strict=True)), ids=names(OTHERS))
def test_a_second_value_is_a_conflict_and_the_first_stands(first: Fact, other: Fact) -> None:
    facts = DateFacts(DAY)
    record(facts, KEY, first)
    assert record(facts, KEY, other) == "conflict"
    assert getattr(facts.tasks["raw", "a"][0], fact_name(first)) == first


def test_an_event_delivered_again_is_known_even_with_other_words() -> None:
    facts = DateFacts(DAY)
    record(facts, KEY, reported(event_id="e1"))
    assert record(facts, KEY, reported(event_id="e1", message="again")) == "known"


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)], ids=["later last", "later first"])
def test_of_two_dispatches_of_an_attempt_the_later_one_stands(first: int, second: int) -> None:
    facts = DateFacts(DAY)
    record(facts, KEY, dispatched(first))
    record(facts, KEY, dispatched(second))
    assert facts.tasks["raw", "a"][0].dispatched == dispatched(2)


def test_attempts_are_in_the_order_of_their_numbers_whatever_came_first() -> None:
    facts = DateFacts(DAY)
    for number in (3, 1, 2):
        record(facts, KEY._replace(attempt=number), reported())
    assert [a.number for a in facts.tasks["raw", "a"]] == [1, 2, 3]


# JSON

moments = st.datetimes(timezones=st.just(UTC))
counts = st.none() | st.integers(0, 10**12)
inputs = st.lists(st.tuples(st.text(), st.integers(0, 99)), max_size=4).map(tuple)
numbers = st.integers(1, 10**6)
FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.builds(Dispatched, numbers, numbers, inputs, moments),
    st.builds(Abandoned, st.text(), moments),
    st.builds(
        Reported,
        st.sampled_from(ResultStatus),
        counts,
        st.none() | st.sampled_from(ErrorClass),
        st.text(),
        numbers,
        numbers,
        inputs,
        moments,
        moments,
        st.text(),
    ),
    st.builds(Healed, st.sampled_from(HealedAs), st.text(), moments),
    st.builds(Proved, st.booleans(), counts, st.text(), st.none() | st.sampled_from(ErrorClass), moments),
)
verdicts = st.builds(
    Verdict,
    st.sampled_from(["PASS", "BLOCK", "UNKNOWN"]),
    st.text(),
    st.text(),
    st.integers(0),
    st.integers(0),
    st.text(),
    st.lists(st.text(), max_size=3).map(tuple),
)
states = st.builds(
    GroupState,
    numbers,
    moments,
    st.none() | st.sampled_from("pkbf"),
    st.none() | moments,
    st.lists(verdicts, max_size=2).map(tuple),
)
CELLS = st.builds(
    Cell, numbers, st.dictionaries(st.text(), states, max_size=3), st.dictionaries(st.text(), numbers, max_size=3)
)


@given(FACTS)
def test_a_fact_is_read_from_json_as_it_was_written(fact: Fact) -> None:
    assert fact_from_json(fact_name(fact), fact_to_json(fact)) == fact


@given(CELLS)
def test_a_cell_is_read_from_json_as_it_was_written(cell: Cell) -> None:
    assert cell_from_json(cell_to_json(cell)) == cell


def test_a_document_of_another_shape_is_no_fact() -> None:
    with pytest.raises(ValueError, match="validation error"):
        fact_from_json("reported", '{"at": "2024-01-01T00:00:00Z"}')


def test_reading_an_attempt_that_is_not_there_changes_nothing() -> None:
    facts = DateFacts(DAY)
    record(facts, AttemptKey(DAY, "raw", "a", 2), dispatched())
    for phase, processor, number in (("raw", "a", 1), ("raw", "a", 3), ("raw", "b", 1), ("fetch", "a", 1)):
        assert facts.attempt(phase, processor, number) == AttemptFacts(number)
    assert {name: [a.number for a in attempts] for name, attempts in facts.tasks.items()} == {("raw", "a"): [2]}
    assert facts.attempt("raw", "a", 2) is facts.tasks["raw", "a"][0]


def test_attempts_stand_in_order_of_number_whichever_was_recorded_first() -> None:
    facts = DateFacts(DAY)
    for number in (3, 1, 2):
        record(facts, AttemptKey(DAY, "raw", "a", number), dispatched())
    assert [attempt.number for attempt in facts.tasks["raw", "a"]] == [1, 2, 3]
