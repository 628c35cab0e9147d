"""What each function answers to a good request, and what it leaves behind."""

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from phasegate.domain.foreign_text import MOST_MESSAGE
from phasegate.domain.messages.kickoff import Kickoff
from phasegate.domain.state.facts import AttemptKey
from phasegate.domain.state.run import DesiredState
from phasegate.services.starting.identity import identify
from tests.functions.conftest import Calls, completion, released, task


def pushed(text: str, **more: object) -> dict[str, object]:
    """A message as Pub/Sub pushes it."""
    data = base64.b64encode(text.encode()).decode()
    return {"message": {"data": data, "messageId": "m1", **more}, "subscription": "projects/demo/subscriptions/s"}


def test_a_kickoff_over_http_is_answered_with_the_run(calls: Calls) -> None:
    status, run = calls.post(
        "starter", {"from": "2024-01-01", "to": "2024-01-02", "run_id": "mine", "why": "a test", "alongside": True}
    )
    assert status == 202
    assert (run["run_id"], run["status"], run["dates"], run["first"], run["last"], run["why"]) == (
        "mine", "running", 2, "2024-01-01", "2024-01-02", "a test",
    )  # fmt: skip
    assert calls.backend.state.run("mine").why == "a test"


def test_the_same_run_id_twice_is_one_run(calls: Calls) -> None:
    body = {"season": "2023-24", "run_id": "mine", "alongside": True}
    first = calls.post("starter", body)
    assert calls.post("starter", body) == first
    assert [run.run_id for run in calls.backend.state.runs()].count("mine") == 1


def test_the_same_kickoff_twice_is_one_run_while_it_goes_on(calls: Calls) -> None:
    first = calls.post("starter", {"season": ["2023-24"], "alongside": True})
    assert calls.post("starter", {"season": ["2023-24"]}) == first, "the same, also without insisting"
    assert len(calls.backend.state.runs()) == 2, "the one that was there, and one more"


def test_a_kickoff_message_starts_a_run_and_the_same_message_again_finds_it_even_after_its_end(calls: Calls) -> None:
    message = pushed('{"dates": "2024-01-01", "alongside": true}', publishTime=calls.world.clock.now().isoformat())
    status, run = calls.post("starter", message)
    assert (status, run["dates"]) == (202, 1)
    calls.backend.state.change_run(
        run["run_id"], lambda r: r.model_copy(update={"desired_state": DesiredState.CANCELLED})
    )
    assert calls.post("starter", message)[1]["run_id"] == run["run_id"]


def test_a_kickoff_after_the_end_of_the_first_run_starts_another(calls: Calls) -> None:
    _, first = calls.post("starter", {"dates": "2024-01-01", "alongside": True})
    calls.backend.state.change_run(
        first["run_id"], lambda r: r.model_copy(update={"desired_state": DesiredState.CANCELLED})
    )
    status, second = calls.post("starter", {"dates": "2024-01-01", "alongside": True})
    assert (status, second["run_id"]) == (202, first["run_id"] + "-2")


def begun_by_8e42da0(calls: Calls) -> str:
    """The id of a run of one date that commit 8e42da0 began: named after the request as that version hashed it."""
    kickoff = Kickoff.model_validate({"dates": "2024-01-01", "alongside": True})
    identity = identify(kickoff.run_request("pipeline.yaml", calls.world.days[0]), calls.world.pipeline)
    (earlier,) = identity.digests_of_version_1
    run_id = f"world-{earlier}"
    calls.post("starter", {"dates": "2024-01-01", "alongside": True, "run_id": run_id})
    calls.backend.state.change_run(run_id, lambda r: r.model_copy(update={"request_hash": earlier}))
    return run_id


def test_a_kickoff_finds_the_unfinished_run_that_8e42da0_began_for_it(calls: Calls) -> None:
    run_id = begun_by_8e42da0(calls)
    assert calls.post("starter", {"dates": "2024-01-01", "alongside": True})[1]["run_id"] == run_id
    assert calls.post("starter", {"dates": "2024-01-01", "alongside": True, "run_id": run_id})[0] == 202


def test_a_message_that_is_delivered_again_after_an_upgrade_finds_the_run_that_8e42da0_began(calls: Calls) -> None:
    message = pushed('{"dates": "2024-01-01", "alongside": true}', publishTime=calls.world.clock.now().isoformat())
    run_id = begun_by_8e42da0(calls)
    calls.backend.state.change_run(run_id, lambda r: r.model_copy(update={"desired_state": DesiredState.CANCELLED}))
    assert calls.post("starter", message)[1]["run_id"] == run_id


def test_a_message_is_not_answered_by_the_ended_run_of_somebody_who_named_it(calls: Calls) -> None:
    message = pushed('{"dates": "2024-01-01", "alongside": true}', publishTime=calls.world.clock.now().isoformat())
    calls.post("starter", {"dates": "2024-01-01", "alongside": True, "run_id": "mine"})
    calls.backend.state.change_run("mine", lambda r: r.model_copy(update={"desired_state": DesiredState.CANCELLED}))
    assert calls.post("starter", message)[1]["run_id"] != "mine"


def test_the_conductor_releases_and_the_dispatcher_dispatches(calls: Calls) -> None:
    assert calls.post("conductor", {"run_id": "r"}) == (200, {"status": "running"})
    page = {"run_id": "r", "dates": [str(calls.world.days[0])]}
    assert calls.post("dispatcher", page) == (200, {"dispatched": 2, "at_rest": 0})


def test_the_runner_claims_calls_and_reports_once(calls: Calls) -> None:
    released(calls)
    assert calls.post("runner", task(calls)) == (200, {"outcome": "success"})
    assert calls.post("runner", task(calls)) == (200, {"outcome": "nothing"}), "delivered again"
    (event,) = [json.loads(message) for _, message in calls.embedded.events.waiting(10)]
    assert (event["processor"], event["status"], event["kind"]) == ("a", "success", "completed")


def test_what_a_worker_says_at_length_is_reported_as_far_as_it_is_kept(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    released(calls)
    answer = {"error_class": "bug", "message": "row 17 is wrong; " * 500}
    monkeypatch.setattr(calls.backend.workers["world"], "handle", lambda *_: (500, answer))
    assert calls.post("runner", task(calls)) == (200, {"outcome": "failed"})
    ((_, event),) = calls.embedded.events.waiting(10)
    assert (len(json.loads(event)["message"]), json.loads(event)["error_class"]) == (MOST_MESSAGE, "bug")


def test_a_completion_that_pubsub_pushes_is_recorded_and_what_it_makes_due_is_dispatched(calls: Calls) -> None:
    released(calls)
    calls.post("runner", task(calls))
    ((_, event),) = calls.embedded.events.waiting(10)
    assert calls.post("listener", pushed(event))[0] == 200
    facts = calls.backend.state.dates("r", [calls.world.days[0]])[calls.world.days[0]]
    assert facts.attempt("fetch", "a", 1).reported is not None
    assert facts.attempt("raw", "a", 1).dispatched is not None, "its raw table waits for nothing else"


def test_a_completion_delivered_again_changes_nothing(calls: Calls) -> None:
    released(calls)
    calls.post("runner", task(calls))
    ((_, event),) = calls.embedded.events.waiting(10)
    calls.post("listener", pushed(event))
    before = calls.everything()
    assert calls.post("listener", pushed(event))[0] == 200
    assert (calls.everything(), calls.backend.state.quarantined("r")) == (before, [])


def test_a_heartbeat_extends_the_lease_and_reports_nothing(calls: Calls) -> None:
    released(calls)
    key = AttemptKey(calls.world.days[0], "fetch", "a", 1)
    calls.post("runner", task(calls))
    claim = calls.backend.state.claims("r", [key])[key]
    calls.world.clock.move_to(calls.world.clock.now().replace(minute=1))
    calls.post("listener", pushed(json.dumps(completion(calls, claim.fence, kind="heartbeat", status=None))))
    assert calls.backend.state.claims("r", [key])[key].lease_until > claim.lease_until
    facts = calls.backend.state.dates("r", [key.day])[key.day]
    assert facts.attempt("fetch", "a", 1).reported is None


def test_the_sweeper_puts_a_sweep_of_every_unfinished_run_on_its_queue_once_a_minute(calls: Calls) -> None:
    calls.post("starter", {"dates": "2024-01-01", "alongside": True, "run_id": "second"})
    for minute in ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"):
        for _ in range(2):
            answer = calls.post("sweeper", "{}", {"X-CloudScheduler-ScheduleTime": minute})
            assert answer == (200, {"queued": ["r", "second"]})
    assert queued_sweeps(calls) == ["r", "r", "second", "second"]
    calls.post("sweeper", "")
    calls.post("sweeper", "")
    assert len(queued_sweeps(calls)) == 6, "a call without a schedule is for the present minute"


def queued_sweeps(calls: Calls) -> list[str]:
    """Whose sweeps wait on the queue."""
    waiting = calls.embedded.database.execute("SELECT payload FROM tasks WHERE queue = 'sweep'").fetchall()
    return sorted(json.loads(payload)["run_id"] for (payload,) in waiting)


def test_a_task_of_the_queue_sweeps_its_run(calls: Calls) -> None:
    calls.post("conductor", {"run_id": "r"})
    assert calls.post("sweeper", {"run_id": "r"}) == (200, {"swept": ["r"], "failed": {}, "unreadable": {}})
    day = calls.world.days[0]
    assert calls.backend.state.dates("r", [day])[day].attempt("fetch", "a", 1).dispatched is not None


def sweep(calls: Calls, minutes: int) -> list[str]:
    """Deliver a sweep of ``r`` that was to be delivered so many minutes from now; the runs that were swept."""
    due = calls.world.clock.now() + timedelta(minutes=minutes)
    headers = {"X-CloudTasks-QueueName": "sweep", "X-CloudTasks-TaskETA": f"{due.timestamp():.6f}"}
    status, answer = calls.post("sweeper", {"run_id": "r"}, headers)
    assert (status, answer["failed"]) == (200, {})
    swept: list[str] = answer["swept"]
    return swept


def test_sweeps_that_piled_up_while_their_queue_stood_still_are_one(calls: Calls) -> None:
    assert [sweep(calls, minutes) for minutes in (-60, -59, -1, 0)] == [["r"], [], [], []]
    assert sweep(calls, 1) == ["r"], "nobody has looked since that was asked for"


def test_a_sweep_that_finds_another_of_its_run_under_way_is_done_and_the_next_minute_sweeps(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile: list[list[str]] = []
    board = calls.backend.state.board

    def slow(run_id: str) -> object:
        monkeypatch.setattr(calls.backend.state, "board", board)
        calls.world.clock.move_to(calls.world.clock.now() + timedelta(minutes=3))
        meanwhile.extend(sweep(calls, minutes) for minutes in (-2, -1, 0))
        return board(run_id)

    monkeypatch.setattr(calls.backend.state, "board", slow)
    assert (sweep(calls, 0), meanwhile) == (["r"], [[], [], []])
    assert sweep(calls, 1) == ["r"]


def test_no_sweep_stands_for_others_that_failed_or_that_was_asked_for_by_somebody_else(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(calls.backend.state, "board", lambda _: 1 / 0)
        failed = calls.post("sweeper", {"run_id": "r"}, {"X-CloudTasks-QueueName": "sweep"})[1]["failed"]
        assert list(failed) == ["r"]
    assert sweep(calls, -5) == ["r"]
    for _ in range(2):
        assert calls.post("sweeper", {"run_id": "r"})[1]["swept"] == ["r"]
        assert calls.post("sweeper", {"run_id": "r"}, {"X-CloudTasks-QueueName": "sweep"})[1]["swept"] == ["r"]


def test_the_verifier_answers_with_the_verdict_and_keeps_the_report_as_objects(calls: Calls) -> None:
    status, summary = calls.post("verifier", {"run_id": "r"})
    assert (status, summary["run_id"], summary["is_final"]) == (200, "r", False)
    assert summary["verdict"].startswith("Not final: run r has not ended (running, 0 of 27 tasks done); so far ")
    assert summary["files"] == ["reports/r/report.json", "reports/r/report.md", "reports/r/report.html"]
    kept = json.loads(calls.backend.objects.read("reports/r/report.json"))
    assert (kept["report_id"], kept["verdict"]) == (summary["report_id"], summary["verdict"])
    (note,) = calls.backend.state.reports("r")
    assert (note.id, note.findings, note.place) == (summary["report_id"], summary["findings"], "reports/r")


def test_the_verifier_takes_dates_without_a_run(calls: Calls) -> None:
    status, summary = calls.post("verifier", {"season": "2023-24", "phases": "raw..final"})
    assert (status, summary["run_id"], summary["agrees"]) == (200, None, False)
    kept = json.loads(calls.backend.objects.read(summary["files"][0]))
    assert (kept["dates"], kept["phases"]) == (3, ["raw", "shape", "final"])


def test_a_run_that_ends_asks_for_its_report_once(calls: Calls) -> None:
    asking = replace(calls.backend, asks_for_reports=True)
    ended = calls.world.clock.now()
    asking.ask_for_report("r", ended)
    asking.ask_for_report("r", ended)
    waiting = calls.embedded.database.execute("SELECT payload FROM tasks WHERE queue = 'verify'").fetchall()
    assert [json.loads(payload) for (payload,) in waiting] == [{"run_id": "r"}]
    assert calls.post("verifier", waiting[0][0])[0] == 200


def test_a_run_beside_an_unfinished_one_over_the_same_work_is_refused_by_its_name(calls: Calls) -> None:
    before = calls.everything()
    status, answer = calls.post("starter", {"dates": "2024-01-01"})
    assert (status, answer["error"].startswith("run 'r' is not over and has fetch/a and 7 more on 1 of")) == (400, True)
    assert "phasegate cancel r; to insist, --alongside (in a kick-off: alongside)" in answer["error"]
    assert calls.everything() == before
