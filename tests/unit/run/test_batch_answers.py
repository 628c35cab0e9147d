"""What is understood of the answer to a request for several dates: each date by itself, and nothing is dropped."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from phasegate.domain.decisions.answers import Refused, Several, understand_batch
from phasegate.domain.plan import compile_plan
from phasegate.domain.protocol.worker import ErrorClass, ProcessorResult, ResultStatus
from tests.unit.builders import plan

TASK = compile_plan(plan()).by_ref["raw/a"]
DAYS = [date(2024, 1, 5) + timedelta(days=n) for n in range(3)]
DONE = {"results": {"a": {"status": "success", "rows": 4}}}


def by_date(answer: Mapping[str, Any], status: int = 200) -> dict[str, str]:
    """What became of each date: ``success``, or class and message of its failure."""
    found = understand_batch(status, answer, TASK, DAYS)
    assert isinstance(found, Mapping)
    return {
        str(day): result.status.value if result.error_class is None else f"{result.error_class.value}: {result.message}"
        for day, result in found.items()
    }


def answered(**instead: Any) -> dict[str, Any]:
    """An answer in which all dates are done, but for those named (``d5``); None: it is not there."""
    entries = {str(day): instead.get(f"d{day.day}", DONE) for day in DAYS}
    return {"dates": {day: entry for day, entry in entries.items() if entry is not None}}


def test_each_date_has_its_own_result() -> None:
    failed = {"results": {"p2_a": {"status": "failed", "error_class": "not_yet", "message": "no rows yet"}}}
    assert by_date(answered(d6=failed)) == {
        "2024-01-05": "success",
        "2024-01-06": "not_yet: no rows yet",
        "2024-01-07": "success",
    }


def test_a_date_that_is_missing_has_failed_and_the_others_have_not() -> None:
    assert by_date(answered(d6=None)) == {
        "2024-01-05": "success",
        "2024-01-06": "bug: the worker's answer has no result for 2024-01-06 (in dates: 2024-01-05 to 2024-01-07, "
        "2 dates)",
        "2024-01-07": "success",
    }


def test_an_answer_without_a_date_says_that_of_each() -> None:
    found = by_date({"dates": {}, "message": "nothing to do"})
    assert found["2024-01-05"] == (
        "bug: the worker's answer has no result for 2024-01-05 (in dates: nothing); it says: nothing to do"
    )
    assert len(found) == 3


@pytest.mark.parametrize("stranger", ["2024-01-08", "5 January", "20240105"])
def test_after_a_date_that_was_not_asked_for_none_is_believed(stranger: str) -> None:
    answer = answered()
    answer["dates"][stranger] = DONE
    problem = f"bug: the worker's answer is about {stranger}, and was asked for 2024-01-05 to 2024-01-07 (3 dates)"
    assert by_date(answer) == {str(day): problem for day in DAYS}


def test_many_strange_keys_are_cut_short() -> None:
    (problem, *_) = by_date({"dates": {f"{n}{'x' * 1000}": DONE for n in range(100)}}).values()
    assert len(problem) < 400 and ", …, and was asked for" in problem


@pytest.mark.parametrize("twice", [Several([DONE, DONE]), Several([DONE, {"results": {}}])], ids=["alike", "unlike"])
def test_two_results_for_one_date_are_none(twice: Any) -> None:
    assert by_date(answered(d6=twice))["2024-01-06"] == (
        "bug: the worker's answer has 2 results for 2024-01-06 (in dates)"
    )


def test_a_date_under_two_keys_of_one_text_has_two_results() -> None:
    answer: dict[Any, Any] = {**answered()["dates"], DAYS[1]: DONE}
    assert "2 results" in by_date({"dates": answer})["2024-01-06"]


@pytest.mark.parametrize("entry", ["done", 4, ["done"]])
def test_an_entry_of_another_shape_is_the_failure_of_its_date(entry: Any) -> None:
    found = by_date(answered(d6=entry))
    assert found["2024-01-06"].startswith("bug: the worker's answer for 2024-01-06 is no mapping but a ")
    assert found["2024-01-05"] == "success"


@pytest.mark.parametrize("status", [409, 402])
def test_what_halts_or_comes_too_late_is_said_of_each_date(status: int) -> None:
    found = understand_batch(status, {"message": "no"}, TASK, DAYS)
    assert isinstance(found, Mapping) and list(found) == DAYS
    assert {isinstance(result, Refused) for result in found.values()} == {status == 402}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {}),
        (503, {}),
        (429, {}),
        (403, {}),
        (422, {"message": "no"}),
        (200, {}),
        (200, {"dates": "all"}),
        (204, {}),
    ],
)
def test_any_other_answer_is_a_failure_of_the_call_as_a_whole(status: int, body: dict[str, Any]) -> None:
    found = understand_batch(status, body, TASK, DAYS)
    assert isinstance(found, ProcessorResult)
    assert found.status is ResultStatus.FAILED and isinstance(found.error_class, ErrorClass)
