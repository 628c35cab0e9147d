"""While a deployment is rolled out or back: what a newer version sends is read by this one."""

import json
from typing import Any

import pytest

from phasegate.domain.protocol.versions import MINOR
from tests.functions.conftest import Calls, completion, released, task
from tests.functions.test_bad_requests import QUEUED, fence_of, set_aside_in
from tests.functions.test_requests import pushed

NEWER = {"protocol_minor": MINOR + 1, "colour": {"of": "tomorrow"}}


def test_what_queues_deliver_is_done_without_the_keys_that_are_newer(calls: Calls) -> None:
    days = [str(day) for day in calls.world.days]
    assert calls.post("conductor", {"run_id": "r", **NEWER}, QUEUED) == (200, {"status": "running"})
    assert calls.post("dispatcher", {"run_id": "r", "dates": days, **NEWER}, QUEUED)[0] == 200
    assert calls.post("runner", task(calls, **NEWER), QUEUED)[0] == 200
    assert calls.post("sweeper", {"run_id": "r", **NEWER}, QUEUED)[0] == 200
    assert (set_aside_in(calls), fence_of(calls) > 0) == ([], True)


def test_a_completion_of_a_newer_worker_is_applied(calls: Calls) -> None:
    released(calls)
    calls.post("runner", task(calls))
    event = completion(calls, fence_of(calls), **NEWER)
    assert calls.post("listener", pushed(json.dumps(event)))[0] == 200
    day = calls.world.days[0]
    reported = calls.backend.state.dates("r", [day])[day].attempt("fetch", "a", 1).reported
    assert (set_aside_in(calls), reported and reported.event_id) == ([], "e1")


def test_a_key_that_is_unknown_in_this_version_too_is_set_aside(calls: Calls) -> None:
    released(calls)
    calls.post("runner", task(calls))
    for minor in (MINOR, "1", None):
        event = completion(calls, fence_of(calls), colour="red", protocol_minor=minor)
        calls.post("listener", pushed(json.dumps(event)))
    assert len(set_aside_in(calls)) == 3


def test_what_is_wrong_in_a_newer_message_stays_wrong(calls: Calls) -> None:
    status, answer = calls.post("runner", task(calls, attempt="first", **NEWER), QUEUED)
    assert (status, "attempt" in answer["reason"], len(set_aside_in(calls))) == (200, True, 1)


@pytest.mark.parametrize(
    ("end", "kept"),
    [({}, "1.0"), ({"status": "failed", "error_class": "bug"}, ""), ({"http_status": 403}, "")],
    ids=["good", "failed", "refused"],
)
def test_what_rows_were_made_with_is_kept_of_a_good_end_alone(calls: Calls, end: dict[str, Any], kept: str) -> None:
    """The largest document of a date has no room for more."""
    released(calls)
    calls.post("runner", task(calls))
    event = completion(calls, fence_of(calls), made_with="1.0", **end)
    assert calls.post("listener", pushed(json.dumps(event)))[0] == 200
    day = calls.world.days[0]
    reported = calls.backend.state.dates("r", [day])[day].attempt("fetch", "a", 1).reported
    assert reported is not None and reported.made_with == kept
