"""One run that this version cannot read: every sweep, kick-off and message goes on for the others."""

import json
from typing import Any

import pytest

from phasegate import entrypoints
from tests.contract.spoiling import change_stored, lost, more_key, newer_layout
from tests.functions.conftest import Calls, completion, released, task
from tests.functions.test_requests import pushed

DATES = {"dates": "2024-01-01", "alongside": True}
SWEEP = {"X-CloudTasks-QueueName": "sweep"}


@pytest.fixture
def second(calls: Calls) -> Calls:
    """Beside ``r``, which cannot be read, the run ``second``."""
    calls.post("starter", {**DATES, "run_id": "second"})
    change_stored(calls.backend.state, "run", "r", more_key)
    return calls


def test_a_sweep_sweeps_the_others_names_it_and_is_no_failure(second: Calls) -> None:
    assert second.post("sweeper", {}) == (200, {"queued": ["r", "second"]})
    assert second.post("sweeper", {"run_id": "second"}, SWEEP)[1]["swept"] == ["second"]
    status, answer = second.post("sweeper", {"run_id": "r"}, SWEEP)
    assert (status, answer["swept"], answer["failed"]) == (200, [], {})
    assert "use the version of the program that made it" in answer["unreadable"]["r"]


def test_whatever_one_sweep_raises_the_others_are_made(second: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    open_claims = second.backend.state.open_claims

    def raising(run_id: str) -> object:
        if run_id == "second":
            raise KeyError("a hole in a document")
        return open_claims(run_id)

    second.post("starter", {"dates": "2024-01-02", "run_id": "third", "alongside": True})
    monkeypatch.setattr(second.backend.state, "open_claims", raising)
    made = entrypoints.deployment().sweeper.sweep_all(["second", "r", "third"])
    failed = {"second": "KeyError: 'a hole in a document'"}
    assert (made.swept, list(made.unreadable), made.failed) == (["third"], ["r"], failed)
    assert second.post("sweeper", {"run_id": "second"})[0] == 503
    status, answer = second.post("sweeper", {"run_id": "second"}, SWEEP)
    assert (status, answer["failed"]) == (200, failed), "the next minute tries again"


@pytest.mark.parametrize("how", [newer_layout, more_key, lost])
def test_a_kickoff_begins_its_run_beside_it(calls: Calls, how: object) -> None:
    change_stored(calls.backend.state, "run", "r", how)  # type: ignore[arg-type]
    assert calls.post("starter", {"dates": "2024-01-02"})[0] == 202


def test_the_same_kickoff_as_began_it_begins_another_run(calls: Calls) -> None:
    _, first = calls.post("starter", DATES)
    for what in ("run", "board"):
        change_stored(calls.backend.state, what, first["run_id"], newer_layout)
        status, second = calls.post("starter", DATES)
        assert (status, second["run_id"]) == (202, f"{first['run_id']}-2"), what


def test_a_kickoff_that_names_it_is_refused_with_its_remedy(second: Calls) -> None:
    status, answer = second.post("starter", {**DATES, "run_id": "r"})
    assert (status, "use the version of the program that made it" in answer["error"]) == (400, True)


def test_its_completions_are_set_aside_and_the_others_are_counted(second: Calls) -> None:
    change_stored(second.backend.state, "run", "r", lambda document: document.pop("sponsor"))
    released(second)
    second.post("runner", task(second))
    ((_, event),) = second.embedded.events.waiting(10)
    state: Any = second.backend.state
    change_stored(state, "plan", "second", lost)
    state._plans.cache_clear()
    foreign = json.dumps(completion(second, 1, run_id="second"))
    entrypoints.deployment().listener.handle([foreign, event])
    (record,) = second.backend.state.quarantined("second")
    assert (record.event, "cannot be read" in record.reason) == (foreign, True)
    day = second.world.days[0]
    assert second.backend.state.dates("r", [day])[day].attempt("fetch", "a", 1).reported is not None


def test_a_task_of_its_own_is_set_aside_and_not_delivered_for_ever(second: Calls) -> None:
    status, answer = second.post("conductor", {"run_id": "r"}, {"X-CloudTasks-QueueName": "conductor"})
    assert status == 200
    (record,) = second.backend.state.quarantined("r")
    assert (record.id, "sponsor: unknown key" in record.reason) == (answer["quarantined"], True)


def test_messages_pushed_for_other_runs_are_taken(second: Calls) -> None:
    change_stored(second.backend.state, "run", "r", lambda document: document.pop("sponsor"))
    released(second)
    second.post("runner", task(second))
    ((_, event),) = second.embedded.events.waiting(10)
    change_stored(second.backend.state, "board", "second", lost)
    assert second.post("listener", pushed(event))[0] == 200
    assert second.backend.state.quarantined("r") == []


def test_retrying_what_failed_goes_by_no_run_that_nobody_can_read(calls: Calls) -> None:
    request = {"season": "2023-24", "reprocess": "failed", "run_id": "again"}
    change_stored(calls.backend.state, "run", "r", newer_layout)
    status, answer = calls.post("starter", request)
    assert status == 400
    assert "what failed on 2024-01-01 is not known" in answer["error"]
    assert "use --reprocess missing" in answer["error"]
