"""Bad requests and messages: refused clearly or set aside, never a 500, never delivered for ever, nothing changed."""

import base64
import json
from typing import Any

import pytest

from phasegate import entrypoints
from phasegate.domain.errors import TransientError
from phasegate.domain.messages.tasks import TaskPayload
from phasegate.domain.state.facts import AttemptKey
from phasegate.ports import QuarantineRecord
from tests.functions.conftest import Calls, completion, released, task
from tests.functions.test_requests import pushed


def set_aside_in(calls: Calls) -> list[QuarantineRecord]:
    """Everything in quarantine, whosever it is."""
    state = calls.backend.state
    return [record for run_id in (None, "r", "nobody", "a/b") for record in state.quarantined(run_id)]


QUEUED = {"X-CloudTasks-QueueName": "work", "X-CloudTasks-TaskName": "t"}

BAD_KICKOFFS: dict[str, tuple[object, str]] = {
    "no JSON": ("{", "not JSON"),
    "a list": ([1], "body"),
    "nothing": ("", "say which dates"),
    "an unknown field": ({"season": "2023-24", "sesaon": "2024-25"}, "sesaon: unknown key"),
    "a key that stands there twice": (
        '{"season": "2023-24", "dates": "2024-01-01", "season": "2024-25"}',
        "season: the key stands there twice; give it once",
    ),
    "a wrong type": ({"season": 5}, "season"),
    "a date that is none": ({"from": "2024-13-01", "to": "2024-01-02"}, "from"),
    "a date in another form": ({"from": "20240101", "to": "2024-01-02"}, "not of the form YYYY-MM-DD"),
    "a date as a number": ({"dates": [20217600]}, "not of the form YYYY-MM-DD"),
    "a date with a time": ({"dates": "2024-01-01T00:00:00"}, "not of the form YYYY-MM-DD"),
    "half a range": ({"from": "2024-01-01"}, "--from and --to belong together"),
    "an empty selection": ({"from": "2031-01-01", "to": "2031-02-01"}, "no dates selected"),
    "an unknown season": ({"season": "1999-00"}, "unknown season '1999-00'"),
    "an unknown phase": ({"season": "2023-24", "phases": "fetsch"}, "unknown phase 'fetsch'; did you mean 'fetch'?"),
    "an unknown profile": ({"season": "2023-24", "profile": "fast"}, "unknown profile 'fast'"),
    "another pipeline": ({"season": "2023-24", "pipeline": "nhl"}, "'nhl' is not deployed here"),
    "a run id with a slash": ({"season": "2023-24", "run_id": "a/b"}, "run_id"),
    "the id of another run": ({"season": "2023-24", "run_id": "r"}, "was asked for differently"),
}


@pytest.mark.parametrize("name", BAD_KICKOFFS)
def test_a_bad_kickoff_over_http_is_refused_in_clear_words_and_nothing_is_written(calls: Calls, name: str) -> None:
    body, reason = BAD_KICKOFFS[name]
    before = calls.everything()
    status, answer = calls.post("starter", body)
    assert status == 400
    assert reason in answer["error"]
    assert (calls.everything(), calls.backend.state.quarantined(None)) == (before, [])


@pytest.mark.parametrize("name", [n for n, (body, _) in BAD_KICKOFFS.items() if body != ""])
def test_a_bad_kickoff_in_a_message_is_set_aside_and_not_delivered_again(calls: Calls, name: str) -> None:
    body, reason = BAD_KICKOFFS[name]
    text = body if isinstance(body, str) else json.dumps(body)
    before = calls.everything()
    status, answer = calls.post("starter", pushed(text))
    assert status == 200
    (record,) = set_aside_in(calls)
    assert reason in record.reason and record.event == text and answer["quarantined"] == record.id
    assert calls.everything() == before


@pytest.mark.parametrize("name", ["starter", "dispatcher", "runner", "conductor", "sweeper", "verifier"])
def test_a_body_of_two_megabytes_is_refused(calls: Calls, name: str) -> None:
    before = calls.everything()
    status, answer = calls.post(name, b"x" * 2_000_000)
    assert (status, "more than 1,000,000 bytes" in answer["error"]) == (413, True)
    assert calls.everything() == before


@pytest.mark.parametrize("name", ["starter", "dispatcher", "runner", "conductor", "sweeper", "verifier"])
def test_another_method_than_post_is_refused(calls: Calls, name: str) -> None:
    assert calls.post(name, "", method="GET")[0] == 405


BAD_VERIFICATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing to verify": ({}, "say which dates"),
    "an unknown run": ({"run_id": "nobody"}, "unknown run 'nobody'"),
    "a run and dates": ({"run_id": "r", "season": "2023-24"}, "leave out either the run or the rest"),
    "an unknown season": ({"season": "1999-00"}, "unknown season '1999-00'"),
    "an unknown phase": ({"season": "2023-24", "phases": "rawr"}, "did you mean 'raw'?"),
    "an unknown key": ({"season": "2023-24", "sql": "1"}, "sql: unknown key"),
}


@pytest.mark.parametrize("name", BAD_VERIFICATIONS)
def test_a_bad_verification_is_refused_and_writes_nothing(calls: Calls, name: str) -> None:
    body, reason = BAD_VERIFICATIONS[name]
    before = calls.everything()
    status, answer = calls.post("verifier", body)
    assert (status, reason in answer["error"]) == (400, True), answer
    assert calls.everything() == before
    assert calls.backend.state.reports("r") == []


BAD_TASKS: dict[str, tuple[str, Any, str]] = {
    "a runner's task without JSON": ("runner", "not json", "not JSON"),
    "a runner's task with an unknown field": ("runner", {"more": 1}, "more: unknown key"),
    "a runner's task of an unknown run": ("runner", {"run_id": "nobody"}, "unknown run 'nobody'"),
    "a runner's task of an unknown processor": ("runner", {"processor": "z"}, "unknown processor 'z'"),
    "a runner's task of a date of no run": ("runner", {"date": "2031-01-01"}, "2031-01-01 is not a date of the run"),
    "an attempt that nobody dispatched": ("runner", {"attempt": 99}, "attempt 99, generation 1: was never dispatched"),
    "an attempt of a phase that was not released": (
        "runner", {"phase": "raw", "inputs": {"fetch/a": 1}}, "was never dispatched",
    ),
    "a generation that nobody asked for": ("runner", {"generation": 2}, "generation 2: was never dispatched"),
    "inputs that the task does not have": ("runner", {"inputs": {"raw/b": 1}}, "its inputs are others"),
    "an absurd attempt": ("runner", {"attempt": 2**70}, "attempt: "),
    "an attempt that a number just holds": ("runner", {"attempt": 2**63 - 1}, "was never dispatched"),
    "an absurd epoch": ("runner", {"epoch": 2**70}, "epoch: "),
    "absurd inputs": ("runner", {"inputs": {"raw/b": 2**70}}, "inputs.raw/b: "),
    "a page of an unknown run": ("dispatcher", {"run_id": "nobody", "dates": ["2024-01-01"]}, "unknown run 'nobody'"),
    "a page of a date of no run": ("dispatcher", {"run_id": "r", "dates": ["2031-01-01"]}, "is not a date of the run"),
    "a page without dates": ("dispatcher", {"run_id": "r", "dates": []}, "dates"),
    "a wake-up of an unknown run": ("conductor", {"run_id": "nobody"}, "unknown run 'nobody'"),
}  # fmt: skip


def test_an_attempt_that_nobody_dispatched_is_no_attempt_of_the_run(calls: Calls) -> None:
    released(calls)
    before = calls.everything()
    assert "quarantined" in calls.post("runner", task(calls, attempt=99), QUEUED)[1]
    assert calls.everything() == before
    assert calls.post("runner", task(calls), QUEUED) == (200, {"outcome": "success"})


def test_a_task_that_is_delivered_before_its_dispatch_is_written_is_run(calls: Calls) -> None:
    released(calls)
    calls.embedded.database.execute("DELETE FROM facts")
    calls.backend.state._forget()  # type: ignore[attr-defined]
    assert calls.post("runner", task(calls), QUEUED) == (200, {"outcome": "success"})


def test_among_tasks_that_are_claimed_together_one_that_nobody_dispatched_is_set_aside_alone(calls: Calls) -> None:
    released(calls)
    payloads = [TaskPayload.model_validate(task(calls, attempt=number)) for number in (99, 1)]
    found = entrypoints.deployment().runner.claim(payloads)
    assert [call is None for call in found] == [True, False]
    assert [record.event for record in set_aside_in(calls)] == [payloads[0].model_dump_json()]


@pytest.mark.parametrize("name", BAD_TASKS)
def test_a_bad_task_from_a_queue_is_set_aside_and_not_delivered_again(calls: Calls, name: str) -> None:
    function, body, reason = BAD_TASKS[name]
    body = task(calls, **body) if function == "runner" and isinstance(body, dict) else body
    before = calls.everything()
    status, answer = calls.post(function, body, QUEUED)
    assert status == 200
    assert reason in answer["reason"]
    assert [r.id for r in set_aside_in(calls)] == [answer["quarantined"]]
    assert calls.everything() == before


@pytest.mark.parametrize("name", BAD_TASKS)
def test_the_same_from_a_person_is_refused(calls: Calls, name: str) -> None:
    function, body, reason = BAD_TASKS[name]
    body = task(calls, **body) if function == "runner" and isinstance(body, dict) else body
    before = calls.everything()
    status, answer = calls.post(function, body)
    assert (status, reason in answer["error"]) == (400, True)
    assert (calls.everything(), calls.backend.state.quarantined(None)) == (before, [])


def fence_of(calls: Calls) -> int:
    """The fence of the claimed first attempt."""
    key = AttemptKey(calls.world.days[0], "fetch", "a", 1)
    return calls.backend.state.claims("r", [key])[key].fence


BAD_EVENTS: dict[str, tuple[dict[str, object], str]] = {
    "an unknown field": ({"is_backfill": True}, "is_backfill"),
    "a wrong type": ({"attempt": "first"}, "attempt"),
    "another version": ({"schema_version": 2}, "schema_version"),
    "an unknown run": ({"run_id": "nobody"}, "unknown run 'nobody'"),
    "an unknown processor": ({"processor": "z"}, "unknown processor 'z' of phase 'fetch'"),
    "a run id with a slash": ({"run_id": "a/b"}, "run_id"),
    "more rows than a number holds": ({"rows": 2**63}, "rows"),
    "an unknown phase": ({"phase": "grading"}, "unknown processor 'a' of phase 'grading'"),
    "an unknown date": ({"date": "2031-01-01"}, "2031-01-01 is not a date of the run"),
    "an attempt that nobody claimed": ({"attempt": 2}, "nobody claimed"),
    "an absurd attempt": ({"attempt": 2**70}, "attempt"),
    "an absurd fence": ({"fence": 2**70}, "fence"),
    "a forged fence": ({"fence": 999_999}, "fence 999999 is not the claim's"),
    "a completion without a status": ({"status": None}, "a completed event has a status"),
}


@pytest.mark.parametrize("name", BAD_EVENTS)
def test_a_bad_event_is_set_aside_with_its_reason_and_changes_nothing(calls: Calls, name: str) -> None:
    released(calls)
    calls.post("runner", task(calls))
    changes, reason = BAD_EVENTS[name]
    before = calls.everything()
    text = json.dumps({**completion(calls, fence_of(calls)), **changes})
    assert calls.post("listener", pushed(text))[0] == 200
    assert [(reason in r.reason, r.event) for r in set_aside_in(calls)] == [(True, text)]
    assert calls.everything() == before


def test_a_second_word_about_an_attempt_that_contradicts_the_first_is_set_aside(calls: Calls) -> None:
    released(calls)
    calls.post("runner", task(calls))
    fence = fence_of(calls)
    calls.post("listener", pushed(json.dumps(completion(calls, fence))))
    before = calls.everything()
    other = completion(calls, fence, event_id="e2", status="failed", error_class="bug")
    calls.post("listener", pushed(json.dumps(other)))
    (record,) = calls.backend.state.quarantined("r")
    assert record.reason.endswith("contradicts what was reported before")
    assert calls.everything() == before


ODD = ["%%%", "", *(base64.b64encode(text).decode() for text in (b"\xff\xfe", b"[]", b"[" * 200_000, b'"\\ud800"'))]


@pytest.mark.parametrize("data", ODD, ids=range(len(ODD)))
def test_a_message_that_is_no_event_at_all_is_set_aside(calls: Calls, data: str) -> None:
    before = calls.everything()
    body = {"message": {"data": data, "messageId": "m"}, "subscription": "projects/demo/subscriptions/s"}
    assert calls.post("listener", body)[0] == 200
    assert len(calls.backend.state.quarantined(None)) == 1
    assert calls.everything() == before


SUBSCRIPTION = "projects/demo/subscriptions/s"
NO_PUSHES: dict[str, tuple[str, str]] = {
    "attributes and no data": (
        json.dumps({"message": {"attributes": {"a": "b"}, "messageId": "1"}, "subscription": SUBSCRIPTION}),
        "a message without data",
    ),
    "empty data": (json.dumps({"message": {"data": ""}, "subscription": SUBSCRIPTION}), "without data"),
    "data that is null": (json.dumps({"message": {"data": None}, "subscription": SUBSCRIPTION}), "message.data"),
    "attributes that are a list": (
        json.dumps({"message": {"data": "e30=", "attributes": [1]}, "subscription": SUBSCRIPTION}),
        "message.attributes",
    ),
    "no JSON": ("{", "not JSON"),
    "nothing at all": ("", "message: Field required"),
    "bytes": ("\udcff", "not JSON"),
    "a list": ("[1]", "body: "),
    "a message that is null": (json.dumps({"message": None, "subscription": SUBSCRIPTION}), "message: "),
    "a message that is a text": (json.dumps({"message": "hello", "subscription": SUBSCRIPTION}), "message: "),
    "no message": (json.dumps({"subscription": SUBSCRIPTION}), "message: Field required"),
    "an event without an envelope": (json.dumps({"run_id": "r"}), "message: Field required"),
}  # fmt: skip
TOPICS = {"listener": "backfill-completions", "starter": "backfill-kickoff"}


@pytest.mark.parametrize("function", TOPICS)
@pytest.mark.parametrize("name", NO_PUSHES)
def test_a_push_that_is_no_message_is_acknowledged_and_set_aside_with_its_reason(
    calls: Calls, function: str, name: str
) -> None:
    body, reason = NO_PUSHES[name]
    if function == "starter" and reason.endswith("without data"):
        reason = "say which dates"
    before = calls.everything()
    path, data = f"/projects/demo/topics/{TOPICS[function]}", body.encode(errors="surrogateescape")
    for content_type in ("application/json", "text/plain"):
        answer = calls.client(function).post(path, data=data, content_type=content_type)
        assert answer.status_code == 200
    (record,) = set_aside_in(calls)
    assert reason in record.reason
    assert calls.everything() == before


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "application/cloudevents+json"}, "{"),
        ({"Content-Type": "application/cloudevents+json"}, '{"specversion": "1.0"}'),
        ({"ce-id": "1", "ce-specversion": "9", "Content-Type": "application/json"}, "{}"),
    ],
)
def test_a_broken_cloud_event_is_acknowledged_and_set_aside(calls: Calls, headers: dict[str, str], body: str) -> None:
    assert calls.client("listener").post("/", data=body, headers=headers).status_code == 200
    (record,) = set_aside_in(calls)
    assert record.reason.startswith("listener: not a CloudEvent: ")


def test_a_whole_cloud_event_is_taken_as_ever(calls: Calls) -> None:
    event = {
        "specversion": "1.0",
        "id": "1",
        "type": "t",
        "source": "//pubsub/projects/demo/topics/backfill-completions",
    }
    for data, reason in (({"message": {"data": "e30="}}, "not a completion event"), ([1], "not a message of Pub/Sub")):
        body = json.dumps({**event, "data": data})
        sent = calls.client("listener").post("/", data=body, content_type="application/cloudevents+json")
        assert (sent.status_code, reason in set_aside_in(calls)[-1].reason) == (200, True)


def test_a_state_that_cannot_be_reached_has_a_message_delivered_again(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise TransientError("the state could not be read")

    monkeypatch.setattr(calls.backend.state, "index", unreachable)
    assert calls.post("listener", pushed(json.dumps(completion(calls, 1))))[0] == 503
    assert set_aside_in(calls) == []


def test_a_huge_event_is_set_aside_cut_short(calls: Calls) -> None:
    text = json.dumps(completion(calls, 1, message="x" * 2_000_000))
    assert calls.post("listener", pushed(text))[0] == 200
    (record,) = calls.backend.state.quarantined("r")
    assert len(record.event) == 100_000


def test_a_state_that_cannot_be_reached_is_a_503_that_a_later_delivery_mends(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise TransientError("the state could not be read")

    monkeypatch.setattr(calls.backend.state, "board", unreachable)
    status, answer = calls.post("conductor", {"run_id": "r"}, QUEUED)
    assert (status, answer) == (503, {"error": "the state could not be read"})
    assert calls.backend.state.quarantined(None) == []
