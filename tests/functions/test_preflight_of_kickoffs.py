"""Preflight at the starter: what fails refuses the kick-off, over HTTP and in a message; functions say who they are."""

from datetime import UTC, datetime, time, timedelta

import pytest

from phasegate import __version__
from phasegate.adapters.gcp.layout import FUNCTIONS
from phasegate.domain.operations.preflight import failed, unanswered
from tests.functions.conftest import Calls
from tests.functions.test_bad_requests import set_aside_in
from tests.functions.test_requests import pushed

PAUSED = failed("queue", "work", "is paused", "resume it")


def test_what_preflight_fails_is_refused_with_its_remedy_and_nothing_is_written(calls: Calls) -> None:
    calls.installation.lines = [PAUSED]
    before = calls.everything()
    status, answer = calls.post("starter", {"season": "2023-24"})
    assert status == 400
    assert "FAIL queue work: is paused; resume it" in answer["error"]
    assert calls.everything() == before


def test_the_same_in_a_message_is_set_aside(calls: Calls) -> None:
    calls.installation.lines = [PAUSED]
    before = calls.everything()
    assert calls.post("starter", pushed('{"season": "2023-24"}'))[0] == 200
    (record,) = set_aside_in(calls)
    assert "FAIL queue work: is paused; resume it" in record.reason
    assert calls.everything() == before


def test_what_could_not_be_asked_is_delivered_again(calls: Calls) -> None:
    calls.installation.lines = [unanswered("firestore", "(default)", "no answer")]
    assert calls.post("starter", pushed('{"season": "2023-24"}'))[0] == 503


def test_a_run_that_goes_on_is_found_again_whatever_preflight_says_now(calls: Calls) -> None:
    first = calls.post("starter", {"season": "2023-24", "alongside": True})
    calls.installation.lines = [PAUSED]
    assert calls.post("starter", {"season": "2023-24"}) == first


def test_a_live_date_is_refused_unless_the_message_names_it(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    day = calls.world.days[-1]
    monkeypatch.setattr(calls.world.clock, "now", lambda: datetime.combine(day, time(12), UTC))
    body = {"dates": str(day)}
    status, answer = calls.post("starter", body)
    assert (status, f"--include-live {day}" in answer["error"]) == (400, True)
    assert calls.post("starter", {"season": "2023-24", "exclude_live": True, "alongside": True})[1]["dates"] == 1, (
        "yesterday and today"
    )
    assert calls.post("starter", {**body, "include_live": str(day), "alongside": True})[0] == 202


def test_a_permit_for_what_is_not_destructive_is_a_bad_kickoff(calls: Calls) -> None:
    status, answer = calls.post("starter", {"season": "2023-24", "allow_destructive": "total"})
    assert status == 400
    assert "'total' is not destructive" in answer["error"]


def test_naming_a_live_date_asks_for_the_same_run(calls: Calls) -> None:
    day = calls.world.days[-1]
    first = calls.post("starter", {"dates": str(day), "alongside": True})
    assert first[0] == 202
    assert calls.post("starter", {"dates": str(day), "include_live": str(day)}) == first


def test_the_day_of_a_kickoff_is_kept_nowhere(calls: Calls) -> None:
    _, first = calls.post("starter", {"season": "2023-24", "run_id": "one", "alongside": True})
    calls.world.clock.move_to(calls.world.clock.now() + timedelta(days=40))
    _, second = calls.post("starter", {"season": "2023-24", "run_id": "two", "alongside": True})
    one, two = (calls.backend.state.plan(name) for name in ("one", "two"))
    assert (first["run_id"], second["run_id"]) == ("one", "two")
    assert one == two


@pytest.mark.parametrize("name", [function.name for function in FUNCTIONS])
def test_every_function_answers_health_with_its_name_and_version(calls: Calls, name: str) -> None:
    answer = calls.client(name).get("/health")
    assert (answer.status_code, answer.get_json()) == (200, {"service": name, "version": __version__})
