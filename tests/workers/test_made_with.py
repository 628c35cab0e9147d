"""What a service makes rows with: how it says so, and what is understood of it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from phasegate.domain.protocol.worker import MOST_MADE_WITH, read_said
from phasegate.worker import (
    ErrorClass,
    ProcessorResult,
    ResultStatus,
    WorkerService,
    completed_event,
    hash_of_statement,
)
from tests.workers.test_worker_library import DONE, body, client_of, request


def test_what_rows_are_made_with_is_said_in_answers_and_in_health() -> None:
    service = WorkerService("mine", version="1.2")
    service.route("/a", processors=["x", "y"], made_with=lambda name: f"{name}-1")(lambda _: DONE)
    service.route("/b", processors=["z"], made_with="2.0")(lambda _: DONE)
    service.route("/c")(lambda _: DONE)
    said = {"/a": {"x": "x-1", "y": "y-1"}, "/b": {"z": "2.0"}}
    assert service.made_with() == said
    assert client_of(service).get("/health").json["made_with"] == said
    answers = {
        path: service.handle(path, body(processor=name))[1]["results"][name].get("made_with")
        for path, name in (("/a", "y"), ("/b", "z"), ("/c", "z"))
    }
    assert answers == {"/a": "y-1", "/b": "2.0", "/c": None}


def test_a_result_may_say_itself_what_it_was_made_with_and_a_failure_says_nothing() -> None:
    service = WorkerService("mine")
    results = iter(
        [
            ProcessorResult(status=ResultStatus.SUCCESS, made_with="own"),
            ProcessorResult(status=ResultStatus.FAILED, error_class=ErrorClass.NOT_YET),
        ]
    )
    service.route("/a", processors=["x"], made_with="1")(lambda _: next(results))
    answers = [service.handle("/a", body(processor="x"))[1]["results"]["x"] for _ in range(2)]
    assert [answer.get("made_with") for answer in answers] == ["own", None]


def test_a_path_that_does_not_name_its_processors_cannot_say_what_their_rows_are_made_with() -> None:
    with pytest.raises(ValueError, match="/a: made_with is said by processor; name the path's processors"):
        WorkerService("mine").route("/a", made_with="1")


def test_a_range_of_one_date_says_what_its_rows_were_made_with() -> None:
    service = WorkerService("mine")
    service.route_range("/r", processors=["x"], made_with="1")(lambda request: {request.date: DONE})
    fields = body(processor="x")
    fields["start_date"] = fields.pop("date")
    assert service.handle("/r", fields)[1]["results"]["x"]["made_with"] == "1"


def test_an_event_says_what_rows_were_made_with_so_that_an_earlier_version_leaves_it_out() -> None:
    now = datetime.now(UTC)
    good = ProcessorResult(status=ResultStatus.SUCCESS, made_with="1")
    told = json.loads(completed_event(request(), good, now).model_dump_json())
    assert (told["made_with"], told["protocol_minor"]) == ("1", 1)
    for other in (DONE, ProcessorResult(status=ResultStatus.FAILED, error_class=ErrorClass.BUG, made_with="1")):
        told = json.loads(completed_event(request(), other, now).model_dump_json())
        assert {"made_with", "protocol_minor"}.isdisjoint(told), "as it was before"


def test_a_long_word_is_the_same_short_one_wherever_it_comes_from() -> None:
    long = "release of a Tuesday in November, \N{SNOWMAN}, with all that it takes\n"
    (short,) = read_said({"/a": {"x": long}})["/a"].values()
    assert short == ProcessorResult(status=ResultStatus.SUCCESS, made_with=long).made_with
    assert len(short.encode()) == MOST_MADE_WITH
    assert read_said({"/a": {"x": long + "."}})["/a"]["x"] != short
    exact = "\N{SNOWMAN}" * 10 + "ab"
    assert read_said({"/a": {"x": exact}}) == {"/a": {"x": exact}}


@pytest.mark.parametrize("said", [None, "1.0", 7, ["/a"], {"/a": "1.0"}, {"/a": {"x": 7}}, {"/a": {"x": ""}}])
def test_what_is_said_in_another_shape_says_nothing(said: Any) -> None:
    assert not any(read_said(said).values())


def test_the_hash_of_a_statement_goes_by_what_it_says_and_not_by_how_it_is_laid_out() -> None:
    hashed = hash_of_statement("SELECT a, 'x  -- y' AS b FROM `d.t` WHERE day = @d")
    laid_out = "-- what it is for\nSELECT\n  a, /* why */ 'x  -- y' AS b\nFROM `d.t`\nWHERE day=@d  # of the date\n"
    assert hash_of_statement(laid_out) == hashed and len(hashed) == 32
    others = [
        "SELECT a, 'x -- y' AS b FROM `d.t` WHERE day = @d",
        "SELECT a, x AS b FROM `d.t` WHERE day = @d",
        "SELECT a, 'x  -- y' AS b FROM `d.t` WHERE day = @e",
        "SELECT ab FROM t",
        "SELECT a b FROM t",
        "SELECT 'a' FROM t",
        "SELECT `a` FROM t",
        "SELECT 'never ends",
    ]
    assert len({hashed, *map(hash_of_statement, others)}) == 1 + len(others)
