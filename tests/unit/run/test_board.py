"""The board: a document that is read as it was written, and a copy that stands for itself."""

from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.adapters.state_codec import board_of
from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.errors import InputError
from phasegate.domain.plan import WorkLetter, compile_plan
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.state.board import Board, BoardLetter, Unasked
from phasegate.domain.state.run import RetryIntent, RunStatus
from phasegate.domain.state.unsound import Blocked, Failure, NotRun, Unsound
from tests.unit.builders import NOW, Conduct, plan, run

moments = st.datetimes(timezones=st.just(UTC))
names = st.text(max_size=8)
unsound = st.builds(Failure, st.sampled_from(ErrorClass), names) | st.builds(Blocked, names) | st.builds(NotRun, names)
unasked = st.builds(Unasked, st.integers(1, 99), moments, st.text())
BOARDS = st.builds(
    Board,
    run_id=names,
    status=st.sampled_from(RunStatus),
    started_at=moments,
    finished_at=st.none() | moments,
    cursor=names,
    groups=st.dictionaries(
        names, st.text("., rpkbfu".replace(", ", ""), max_size=9).map(lambda s: bytearray(s, "ascii"))
    ),
    bad=st.dictionaries(st.dates(), st.dictionaries(names, unsound), max_size=3),
    outside=st.none() | st.dictionaries(names, st.dictionaries(st.dates(), names, max_size=3), max_size=3),
    outside_unasked=st.none() | unasked,
    unjudged=st.dictionaries(st.dates(), unasked, max_size=3),
    applied=st.lists(names, max_size=3).map(tuple),
    halted_because=names,
)


@given(BOARDS)
def test_a_board_is_read_from_its_document_as_it_was_written(board: Board) -> None:
    assert Board.from_document(board.to_document()) == board


@pytest.mark.parametrize(
    ("why", "stored"),
    [
        (Failure(ErrorClass.BUG, "no team: 'BOS'"), ["f", "bug: no team: 'BOS'"]),
        (Failure(ErrorClass.NOT_YET, ""), ["f", "not_yet: "]),
        (Blocked("a: 2 of 4 rows", ("rows", "entities")), ["b", "a: 2 of 4 rows", "rows", "entities"]),
        (Blocked("a: 2 of 4 rows"), ["b", "a: 2 of 4 rows"]),
        (NotRun("not run: something it needs ended badly"), ["n", "not run: something it needs ended badly"]),
    ],
    ids=["a failure", "a failure without a word", "blocked", "blocked by nobody knows what", "not run"],
)
def test_why_something_is_not_sound_is_stored_as_a_letter_and_a_sentence(why: Unsound, stored: list[str]) -> None:
    index = compile_plan(plan())
    board = Board.blank("r", index, NOW)
    board.bad[index.days[0]] = {"raw/a": why}
    document = board.to_document()
    assert document["bad"] == {index.days[0].isoformat(): {"raw/a": stored}}
    assert Board.from_document(document).bad == board.bad


def test_a_board_of_another_version_is_refused() -> None:
    document = Board.blank("r", compile_plan(plan()), NOW).to_document()
    with pytest.raises(InputError, match="the board of run 'r' has version 2, this program reads 1"):
        board_of("r", {**document, "schema_version": 2})


def test_letters_are_stored_as_they_always_were() -> None:
    assert {letter.name: letter.value for letter in BoardLetter} == {
        "PENDING": ".", "RELEASED": "r", "PASSED": "p", "SKIPPED": "k", "BLOCKED": "b", "FAILED": "f", "UNJUDGED": "u",
        "UPSTREAM": "n",
    }  # fmt: skip
    assert {letter.name: letter.value for letter in WorkLetter} == {
        "RUN": "r", "ADOPT": "a", "ADOPT_EMPTY": "o", "NOT_NEEDED": "n", "NOTHING_DUE": "z",
    }  # fmt: skip
    assert {letter.name: letter.value for letter in ExpectationLetter} == {
        "EXPECTED": "e",
        "OPTIONAL": "o",
        "EMPTY": "z",
    }


def test_a_board_is_written_in_plain_letters() -> None:
    board = Board.blank("r", compile_plan(plan(dates=3)), NOW)
    board.set_letter("raw", 1, BoardLetter.FAILED)
    board.bad[plan().days[1]] = {"raw/a": Failure(ErrorClass.BUG, "why")}
    document = board.to_document()
    assert (document["lanes"]["raw"], document["bad"]) == (".f.", {"2024-01-02": {"raw/a": ["f", "bug: why"]}})
    assert type(document["bad"]["2024-01-02"]["raw/a"][0]) is str


@pytest.mark.parametrize("strip", ["..x", "..n", "..ä"])
def test_a_board_with_a_letter_that_is_none_is_refused(strip: str) -> None:
    document = Board.blank("r", compile_plan(plan(dates=3)), NOW).to_document()
    document["lanes"]["raw"] = strip
    with pytest.raises(InputError, match="the board of run 'r' cannot be read"):
        board_of("r", document)


def test_a_blank_board_has_every_lane_pending_on_every_date() -> None:
    board = Board.blank("r", compile_plan(plan(dates=3)), NOW)
    assert {name: strip.decode() for name, strip in board.groups.items()} == dict.fromkeys(
        ["fetch", "raw", "shape.1", "shape.2", "final"], "..."
    )


def test_changing_a_copy_leaves_the_board_alone() -> None:
    board = Board.blank("r", compile_plan(plan()), NOW)
    board.bad[plan().days[0]] = {"raw/a": Blocked("why")}
    before = board.to_document()
    other = board.copy()
    other.set_letter("fetch", 0, BoardLetter.FAILED)
    other.bad[plan().days[0]]["raw/b"] = Blocked("why")
    other.unjudged[plan().days[1]] = Unasked(1, NOW, "why")
    assert board.to_document() == before


def test_what_gets_no_answer_is_asked_again_after_twice_the_time_but_within_five_minutes() -> None:
    waits: list[float] = []
    last: Unasked | None = None
    for _ in range(10):
        last = Unasked.again(last, "quota", NOW)
        waits.append((last.at - NOW).total_seconds())
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_finished_run_is_over() -> None:
    done = Conduct()
    done.pass_all()
    assert done.board.is_over(run())


def test_a_finished_run_is_not_over_while_a_retry_is_still_to_be_done() -> None:
    done = Conduct()
    done.pass_all()
    asked = run(retries=(RetryIntent(id="x", at=NOW + timedelta(seconds=1)),))
    assert not done.board.is_over(asked)
    done.board.applied = ("x",)
    assert done.board.is_over(asked)
