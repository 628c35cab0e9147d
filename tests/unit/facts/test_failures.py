"""What a failure costs, when it is tried again, and which failures are the same."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.domain.decisions.answers import failed
from phasegate.domain.decisions.failures import MOST_THROTTLES, backoff, costs_an_attempt, may_retry, wait
from phasegate.domain.foreign_text import escaped, kept
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.spec.pipeline import FailurePolicy
from phasegate.domain.state.unsound import Blocked, Failure

POLICY = FailurePolicy(retries=3, not_yet_retries=1, first_backoff_seconds=5, max_backoff_seconds=60)


def bug(message: str) -> Failure:
    """A failure of one class."""
    return Failure(ErrorClass.BUG, message)


def failures(*classes: ErrorClass) -> list[Failure]:
    """Failures of these classes, one after the other."""
    return [Failure(each, "no rows") for each in classes]


REFUSAL = Failure(ErrorClass.BUG, "HTTP 403: no", 403)


def test_a_refusal_is_tried_again_after_one_and_after_four_minutes_and_then_no_more() -> None:
    assert [may_retry([REFUSAL] * n, POLICY) for n in (1, 2, 3)] == [True, True, False]
    assert [wait(POLICY, [REFUSAL] * n, "a") for n in (1, 2)] == [timedelta(minutes=1), timedelta(minutes=4)]


def test_refusals_and_other_failures_have_allowances_and_waits_of_their_own() -> None:
    none, ordinary = FailurePolicy(retries=0), failures(ErrorClass.TRANSIENT)
    assert may_retry([REFUSAL], none) and not may_retry([REFUSAL, *ordinary], none)
    assert may_retry([REFUSAL, REFUSAL, *ordinary * 3], POLICY) and not may_retry([REFUSAL, *ordinary * 4], POLICY)
    assert wait(POLICY, [REFUSAL, REFUSAL, *ordinary], "a") == backoff(POLICY, 1, "a")
    assert wait(POLICY, [*ordinary * 3, REFUSAL], "a") == timedelta(minutes=1)


def test_a_refusal_that_only_a_person_can_end_is_not_tried_again() -> None:
    assert not may_retry([Failure(ErrorClass.BUG, "HTTP 402: it would read 2 TiB", 402)], POLICY)


def test_only_a_throttle_costs_nothing() -> None:
    assert [c for c in ErrorClass if not costs_an_attempt(c)] == [ErrorClass.THROTTLE]


@pytest.mark.parametrize(
    ("error_class", "most"),
    [(ErrorClass.TRANSIENT, 3), (ErrorClass.NOT_YET, 1), (ErrorClass.BUG, 0), (ErrorClass.UNRECOVERABLE, 0)],
)
def test_so_many_failures_of_a_class_are_tried_again(error_class: ErrorClass, most: int) -> None:
    assert [n for n in range(1, 10) if may_retry(failures(*[error_class] * n), POLICY)] == list(range(1, most + 1))


def test_not_yet_has_an_allowance_of_its_own() -> None:
    mixed = [ErrorClass.TRANSIENT, ErrorClass.TRANSIENT, ErrorClass.NOT_YET]
    assert may_retry(failures(*mixed), POLICY)
    assert may_retry(failures(*mixed, ErrorClass.TRANSIENT), POLICY)


def test_throttles_end_a_task_when_there_is_no_end_of_them() -> None:
    some = [ErrorClass.TRANSIENT, *[ErrorClass.THROTTLE] * (MOST_THROTTLES - 1)]
    assert may_retry(failures(*some), POLICY)
    assert not may_retry(failures(*some, ErrorClass.THROTTLE), POLICY)


@given(st.integers(1, 200), st.text(max_size=20))
def test_the_wait_lies_between_half_and_the_whole_of_the_doubled_and_capped_first_one(
    attempt: int, identity: str
) -> None:
    whole = min(60.0, 5.0 * 2 ** (attempt - 1))
    assert timedelta(seconds=whole / 2) <= backoff(POLICY, attempt, identity) <= timedelta(seconds=whole)


@given(st.integers(1, 200), st.text(max_size=20))
def test_the_same_attempt_waits_as_long_each_time_it_is_asked(attempt: int, identity: str) -> None:
    assert backoff(POLICY, attempt, identity) == backoff(POLICY, attempt, identity)


def test_many_tasks_that_fail_together_do_not_come_back_together() -> None:
    assert len({backoff(POLICY, 1, f"2024-01-{n:02}/raw/a") for n in range(1, 29)}) == 28


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("row 17 of 2024-01-15", "row 3 of 2023-12-01"),
        ("no team 'BOS'", "no team 'LAL'"),
        ('no column "pts"', 'no column "reb"'),
        ("no table `raw.a`", "no table `raw.b`"),
        ("request 4f9a01bc77 timed out", "request 0d3e55aa12 timed out"),
        ("request 550e8400-e29b-41d4-a716-446655440000", "request 6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ("broken pipe\nat line 1", "broken pipe\nat another"),
        ("broken   pipe", "broken pipe"),
    ],
    ids=["numbers", "quotes", "double quotes", "backquotes", "hex ids", "UUIDs", "further lines", "spaces"],
)
def test_two_messages_that_differ_only_by_chance_have_one_signature(one: str, other: str) -> None:
    assert bug(one).signature("a") == bug(other).signature("a")


@pytest.mark.parametrize(
    ("other", "processor"),
    [(Failure(ErrorClass.TRANSIENT, "no team"), "a"), (bug("no team"), "b"), (bug("no player"), "a")],
    ids=str,
)
def test_another_class_processor_or_message_has_another_signature(other: Failure, processor: str) -> None:
    assert other.signature(processor) != bug("no team").signature("a")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP 500: no answer", "HTTP 502: no answer"),
        ("HTTP Error 404: Not Found", "HTTP Error 403: Not Found"),
        ("the service answered with status code 503", "the service answered with status code 400"),
        ('{"status": 404, "id": 17}', '{"status": 500, "id": 17}'),
        ("404 Client Error: for url", "403 Client Error: for url"),
        ("NotFound: 404 Not found: Table a", "NotFound: 403 Not found: Table a"),
        ("Client error '404 Not Found' for url 'a'", "Client error '403 Forbidden' for url 'a'"),
        ("ClientResponseError: 503, message='x'", "ClientResponseError: 500, message='x'"),
        ("the job ended with exit code 137", "the job ended with exit code 1"),
        ("[Errno 111] no connection", "[Errno 113] no connection"),
        ("https://ratings answered 502 text/html", "https://ratings answered 500 text/html"),
        ("it was killed by signal 9", "it was killed by signal 11"),
        ("503", "500"),
    ],
)
def test_a_status_code_is_no_arbitrary_number(one: str, other: str) -> None:
    assert bug(one).signature("a") != bug(other).signature("a")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("412 rows are missing", "417 rows are missing"),
        ("unknown team code 1610612744", "unknown team code 1610612745"),
        ("game_status 1 of game 22300404", "game_status 2 of game 22300405"),
        ("player 447 Smith has no minutes", "player 512 Smith has no minutes"),
        ("can't convert 'abc' to a number", "can't convert 'x y' to a number"),
        ("no player 'D'Angelo Russell'", "no player 'Shaquille O'Neal'"),
    ],
)
def test_other_numbers_and_values_differ_by_chance(one: str, other: str) -> None:
    assert bug(one).signature("a") == bug(other).signature("a")


def traceback(raised: str, line: int = 12, before: str = "") -> str:
    """What a service says that sends its whole traceback."""
    return f"""{before}Traceback (most recent call last):
  File "/app/main.py", line {line}, in handle
    return self._load(body["date"])
           ^^^^^^^^^^^^^^^^^^^^^^^^
  File "/app/load.py", line {line + 30}, in _load
    raise what
{raised}"""


CHAINED = f"""{traceback("KeyError: 'points'")}

During handling of the above exception, another exception occurred:

{traceback("RuntimeError: no points on 2024-01-15")}
"""

GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/app/main.py", line 3, in <module>
  |     asyncio.run(main())
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/load.py", line 9, in load
    |     raise ValueError("no rows")
    | ValueError: no rows
    +------------------------------------
"""


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (traceback("KeyError: 'points'"), "KeyError: ?"),
        (traceback("ValueError: no rows of 2024-01-15\nsee the log"), "ValueError: no rows of #-#-#"),
        (traceback("TimeoutError"), "TimeoutError"),
        (traceback("ValueError: no rows", before="the job failed:\n"), "ValueError: no rows"),
        (traceback("ValueError: no rows", before="HTTP 500: "), "ValueError: no rows"),
        (traceback("ValueError: no rows").replace("\n", "\r\n"), "ValueError: no rows"),
        (traceback("ValueError: no rows").replace("\n", "\n    "), "ValueError: no rows"),
        (CHAINED, "RuntimeError: no points on #-#-#"),
        (GROUP, "ValueError: no rows"),
    ],
    ids=["plain", "two lines", "no text", "a line before", "words before", "CRLF", "indented", "chained", "a group"],
)
def test_of_a_traceback_what_was_raised_counts(message: str, words: str) -> None:
    assert bug(message).signature("a") == f"bug:a:{words}"
    assert bug(escaped(message)).signature("a") == f"bug:a:{words}", "as it is stored"


def test_where_a_traceback_came_from_does_not_count_and_what_it_raised_does() -> None:
    signs = [bug(traceback(raised, line)).signature("a") for line in (12, 70) for raised in ("KeyError", "ValueError")]
    assert len(set(signs)) == 2


def test_what_was_raised_comes_first_and_outlives_every_cut() -> None:
    long = traceback(f"KeyError: 'points'{chr(10)}more", before="the job failed: ")
    deep = long.replace("    raise what\n", "    raise what\n" + '  File "/app/load.py", line 3, in again\n' * 600)
    assert len(deep) > 20_000
    for said in (
        failed(ErrorClass.BUG, long).message,
        failed(ErrorClass.BUG, deep).message,
        kept(deep),
        kept(kept(deep)),
    ):
        assert said.startswith(r"KeyError: 'points'\nthe job failed: Traceback")
        assert bug(said[:300]).signature("a") == "bug:a:KeyError: ?"


def test_a_traceback_whose_end_was_cut_off_before_it_came_goes_by_its_last_line() -> None:
    cut = traceback("KeyError: 'points'").rpartition("\n")[0]
    assert bug(cut).signature("a") == "bug:a:raise what"
    assert "load" in bug(cut.replace("\n", " ")[:-12]).signature("a")


def test_a_failure_answers_to_its_signature_and_to_the_one_that_earlier_versions_gave_it() -> None:
    failure = bug(traceback("KeyError: 'points'"))
    assert failure.answers_to("bug:a:KeyError: ?", "a")
    assert failure.answers_to("bug:a:Traceback (most recent call last):", "a")
    assert not failure.answers_to("bug:a:KeyError: ?", "b")
    assert bug("HTTP 500: row 17").answers_to("bug:a:HTTP #: row #", "a")
    assert not bug("HTTP 500: row 17").answers_to("bug:a:HTTP 502: row #", "a")


def test_a_block_answers_to_each_of_its_checks() -> None:
    block = Blocked("a: 2 of 4 rows", ("rows", "entities"))
    assert block.signatures("a") == ("check:a:rows", "check:a:entities")
    assert block.answers_to("check:a:entities", "a") and not block.answers_to("check:a:nulls", "a")
    assert not Blocked("a: 2 of 4 rows").answers_to("check:a:rows", "a")


@given(st.text())
def test_every_message_has_a_signature_of_bounded_length_on_one_line(message: str) -> None:
    found = bug(message).signature("a")
    assert len(found) <= 170 and len(found.splitlines()) == 1


def test_a_signature_begins_with_class_and_processor() -> None:
    assert bug("row 17 of '2024-01-15'").signature("a") == "bug:a:row # of ?"
