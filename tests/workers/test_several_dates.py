"""A service of the library that takes several dates in one request, or one on the same path."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from phasegate.domain.errors import InputError, StaleFence, TransientError, WouldEmpty
from phasegate.domain.protocol.worker import ErrorClass, ProcessorResult, ResultStatus
from phasegate.ports import Partition
from phasegate.worker import Accepted, BatchRequest, RequestedDate, WorkerService
from tests.workers.test_worker_library import DAY, DONE, body, client_of

NEXT = date(2024, 1, 16)
Handler = Any


def several(**changes: Any) -> dict[str, Any]:
    """A request for two dates."""
    dates = [{"date": str(DAY), "attempt": 1, "fence": 7}, {"date": str(NEXT), "attempt": 2, "fence": 8}]
    return {**body(date=None, attempt=None, fence=None, dates=dates), **changes}


def service_of(handler: Handler, **route: Any) -> WorkerService:
    """A service with one path."""
    service = WorkerService("mine")
    service.route_batch("/process", **route)(handler)
    return service


def done(request: BatchRequest) -> Mapping[date, ProcessorResult]:
    """Every date has as many rows as its fence says."""
    return {one.date: ProcessorResult(status=ResultStatus.SUCCESS, rows=one.fence) for one in request.dates}


def rows_of(answer: Mapping[str, Any]) -> dict[str, int]:
    """The rows of each date of an answer."""
    return {day: of_date["results"]["a"]["rows"] for day, of_date in answer["dates"].items()}


def test_each_date_is_answered_by_itself() -> None:
    status, answer = service_of(done).handle("/process", several())
    assert (status, rows_of(answer)) == (200, {"2024-01-15": 7, "2024-01-16": 8})
    assert answer.keys() == {"dates"}


def test_a_request_for_one_date_is_answered_like_one() -> None:
    status, answer = service_of(done).handle("/process", body())
    assert (status, answer) == (200, {"results": {"a": {**DONE.model_dump(mode="json"), "rows": 7}}})


def test_the_function_sees_what_is_said_of_each_date() -> None:
    seen: list[BatchRequest] = []
    dates = [
        {"date": str(DAY), "attempt": 1, "fence": 7},
        {"date": str(NEXT), "attempt": 2, "fence": 8, "may_be_empty": True, "rows_at_least": 0, "rows_at_most": 3},
    ]
    service_of(lambda request: (seen.append(request), {})[1]).handle("/process", several(dates=dates))
    assert seen[0].dates == (
        RequestedDate(date=DAY, attempt=1, fence=7),
        RequestedDate(date=NEXT, attempt=2, fence=8, may_be_empty=True, rows_at_least=0, rows_at_most=3),
    )
    first, second = seen[0].apart
    assert (first.fence, second.fence, second.may_be_empty, second.rows_at_most) == (7, 8, True, 3)
    assert second.correlation_id == "r/2024-01-16/p/a/2"
    assert BatchRequest.of(second).dates == seen[0].dates[1:]


def test_names_of_the_pipeline_file_hold_inside_the_list_too() -> None:
    service = service_of(done, date_field="game_date", processor_fields=("scraper",), processors=["a"])
    dates = [{"game_date": str(DAY), "attempt": 1, "fence": 7}]
    sent = several(dates=dates, scraper="a")
    del sent["processor"]
    assert rows_of(service.handle("/process", sent)[1]) == {"2024-01-15": 7}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dates": []}, "dates: Tuple should have at least 1 item"),
        ({"dates": "all"}, "dates: Input should be a valid tuple"),
        ({"dates": ["2024-01-15"]}, "dates.0: Input should be a valid dictionary"),
        ({"dates": [{"date": "2024-01-15", "fence": 7}]}, "dates.0.attempt: Field required"),
        ({"dates": [{"attempt": 1, "fence": 7}]}, "the date travels as date, and under no other name"),
        (
            {"dates": [{"date": f"2024-01-{n}", "attempt": 1, "fence": 7} for n in (16, 15)]},
            "2024-01-15 comes after 2024-01-16; each date stands once, in order",
        ),
        ({"date": "2024-01-15"}, "date: Extra inputs are not permitted"),
        ({"processor": "b"}, "unknown processor 'b': use one of a"),
    ],
)
def test_a_list_of_another_shape_is_refused(changes: dict[str, Any], message: str) -> None:
    status, answer = service_of(done, processors=["a"]).handle("/process", several(**changes))
    assert (status, answer["error_class"]) == (422, "bug")
    assert message in answer["message"]


def test_a_path_for_one_date_takes_no_list() -> None:
    service = WorkerService("mine")
    service.route("/process")(lambda _: DONE)
    status, answer = service.handle("/process", several())
    assert (status, answer["message"]) == (422, "/process: the date travels as date, and under no other name")


def test_after_the_deadline_nothing_is_done() -> None:
    status, answer = service_of(done).handle("/process", several(deadline="2020-01-01T00:00:00Z"))
    assert status == 409 and "this attempt is void" in answer["message"]


@pytest.mark.parametrize(
    ("raised", "status"),
    [(TransientError("away"), 503), (InputError("what?"), 422), (StaleFence("late"), 409), (KeyError("k"), 500)],
)
def test_what_the_function_raises_is_the_end_of_the_whole_request(raised: Exception, status: int) -> None:
    def fails(_: BatchRequest) -> Mapping[date, ProcessorResult]:
        raise raised

    assert service_of(fails).handle("/process", several())[0] == status


def test_work_for_several_dates_may_be_accepted() -> None:
    assert service_of(lambda _: Accepted()).handle("/process", several())[0] == 202
    assert service_of(lambda _: Accepted()).handle("/process", body())[0] == 202


def test_what_its_rows_are_made_with_is_said_of_each_good_date() -> None:
    failed = ProcessorResult(status=ResultStatus.FAILED, error_class=ErrorClass.NOT_YET)
    service = service_of(lambda _: {DAY: DONE, NEXT: failed}, processors=["a"], made_with="3")
    by_date = service.handle("/process", several())[1]["dates"]
    assert by_date["2024-01-15"]["results"]["a"]["made_with"] == "3"
    assert "made_with" not in by_date["2024-01-16"]["results"]["a"]
    assert service.made_with() == {"/process": {"a": "3"}}


def test_a_single_date_that_would_be_emptied_is_asked_again_as_ever() -> None:
    emptied: list[int] = []

    def empties(request: BatchRequest) -> Mapping[date, ProcessorResult]:
        if not emptied:
            refusal = WouldEmpty("nothing in the place of 4 rows", Partition("t.t", "d", DAY), 7, 4)
            refusal.empty = lambda: (emptied.append(1), 4)[1]
            raise refusal
        return {DAY: ProcessorResult(status=ResultStatus.EMPTY, rows=0)}

    status, answer = service_of(empties).handle("/process", body(may_be_empty=True))
    assert (status, answer["results"]["a"]["message"]) == (200, "4 rows of before deleted")


def test_a_function_that_answers_another_date_than_the_one_it_was_asked_for_has_failed() -> None:
    status, answer = service_of(lambda _: {NEXT: DONE}).handle("/process", body())
    assert (status, answer["error_class"]) == (500, "bug")
    assert "asked for 2024-01-15 alone, the function has results of 2024-01-16" in answer["message"]


def test_health_says_how_each_path_takes_several_dates() -> None:
    service = service_of(done)
    service.route_range("/range", processors=["a"])(lambda _: {})
    service.route("/one")(lambda _: DONE)
    health = client_of(service).get("/health").json
    assert health["batches"] == {"/process": "list", "/range": "range"}
    alone = WorkerService("mine")
    alone.route("/one")(lambda _: DONE)
    assert client_of(alone).get("/health").json["batches"] == {}


@pytest.mark.parametrize(
    ("met", "error_class", "message"),
    [
        (StaleFence("a higher one is there"), "transient", "stale fence: a higher one is there"),
        (TransientError("away"), "transient", "away"),
        (InputError("what?"), "bug", "what?"),
        (WouldEmpty("nothing for 4 rows", Partition("t.t", "d", DAY), 7, 4), "not_yet", "rows are expected there"),
    ],
)
def test_an_error_that_met_one_date_is_the_end_of_that_date_alone(
    met: Exception, error_class: str, message: str
) -> None:
    service = service_of(lambda _: {DAY: met, NEXT: DONE}, processors=["a"], made_with="3")
    status, answer = service.handle("/process", several())
    first, second = (answer["dates"][str(day)]["results"]["a"] for day in (DAY, NEXT))
    assert (status, first["status"], first["error_class"], second["status"]) == (200, "failed", error_class, "success")
    assert message in first["message"] and "made_with" not in first
    assert service.handle("/process", several(dates=several()["dates"][:1]))[0] == 200


def test_a_date_of_several_that_may_be_emptied_is_asked_again_alone() -> None:
    asked: list[list[date]] = []
    refusal = WouldEmpty("nothing in the place of 4 rows", Partition("t.t", "d", DAY), 7, 4)
    refusal.empty = lambda: 4

    def empties(request: BatchRequest) -> Mapping[date, Any]:
        asked.append([one.date for one in request.dates])
        if len(request.dates) > 1:
            return {DAY: refusal, NEXT: DONE}
        return {DAY: ProcessorResult(status=ResultStatus.EMPTY, rows=0)}

    dates = several()["dates"]
    dates[0]["may_be_empty"] = True
    status, answer = service_of(empties).handle("/process", several(dates=dates))
    assert asked == [[DAY, NEXT], [DAY]]
    assert (status, answer["dates"][str(DAY)]["results"]["a"]["message"]) == (200, "4 rows of before deleted")


def test_an_error_for_a_date_that_nobody_asked_for_is_told_like_any_result_of_it() -> None:
    strange = date(2024, 2, 1)
    status, answer = service_of(lambda _: {DAY: DONE, NEXT: DONE, strange: InputError("what?")}).handle(
        "/process", several()
    )
    assert (status, answer["dates"][str(strange)]["results"]["a"]["message"]) == (200, "what?")
