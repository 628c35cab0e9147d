"""What commit 8e42da0 put on queues and topics, delivered to the functions over a home that it left behind."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.state.facts import AttemptKey
from tests.functions.conftest import Calls
from tests.golden.laid import Functions, functions_over, golden, unpack
from tests.world import START

MESSAGES: list[dict[str, Any]] = golden("functions/messages.json")
KICKOFFS: list[dict[str, Any]] = golden("functions/kickoffs.json")
ENDED = golden("functions/ended.json")


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """The run ``r``, whose first attempts are claimed, reported or waiting."""
    with functions_over(unpack("functions/folder", tmp_path), START + timedelta(seconds=2), monkeypatch) as made:
        yield made


def delivered(calls: Functions, *functions: str) -> list[tuple[int, Any]]:
    """The answers to what was on its way to these functions."""
    return [calls.deliver(message) for message in MESSAGES if message["function"] in functions]


def reported(calls: Calls, processor: str, day: int) -> Any:
    """What was reported of the first fetch of a processor."""
    date = calls.world.days[day]
    return calls.backend.state.dates("r", [date])[date].attempt("fetch", processor, 1).reported


def test_every_function_that_is_delivered_to_has_a_message() -> None:
    assert {message["function"] for message in MESSAGES} == {
        "listener", "runner", "dispatcher", "conductor", "sweeper", "verifier",
    }  # fmt: skip
    assert {message["headers"]["X-CloudTasks-QueueName"] for message in MESSAGES if "headers" in message} == {
        "fetches", "dispatch", "conductor", "verify",
    }  # fmt: skip


def test_completions_are_applied_also_those_of_a_worker_that_answers_later(calls: Functions) -> None:
    assert {status for status, _ in delivered(calls, "listener")} == {200}
    assert [reported(calls, *which).status for which in (("b", 0), ("a", 0))] == ["success", "success"]
    assert (reported(calls, "b", 1).status, reported(calls, "b", 1).error_class) == ("failed", "transient")


def test_what_contradicts_or_cannot_be_read_is_set_aside(calls: Functions) -> None:
    delivered(calls, "listener")
    state = calls.backend.state
    assert (len(state.quarantined("r")), len(state.quarantined(None))) == (2, 2)


def test_a_heartbeat_keeps_the_lease(calls: Functions) -> None:
    key = AttemptKey(calls.world.days[0], "fetch", "b", 1)
    before = calls.backend.state.claims("r", [key])[key].lease_until
    beats = [message for message in MESSAGES if '"kind":"heartbeat"' in message.get("text", "")]
    assert [calls.deliver(message)[0] for message in beats] == [200]
    assert calls.backend.state.claims("r", [key])[key].lease_until > before


def test_tasks_are_run_once_and_pages_wake_ups_sweeps_and_verify_requests_are_answered(calls: Functions) -> None:
    for message in MESSAGES:
        status, answer = calls.deliver(message)
        assert status == message["status"], answer
        if message["function"] in ("runner", "dispatcher", "conductor"):
            assert answer == message["answer"]
        elif message["function"] == "verifier":
            assert [answer[key] for key in ("run_id", "is_final", "agrees")] == [
                message["answer"][key] for key in ("run_id", "is_final", "agrees")
            ]


def test_the_run_goes_on_from_there_to_the_same_end(calls: Functions) -> None:
    for message in MESSAGES:
        calls.deliver(message)
    calls.embedded.drive("r")
    state = calls.backend.state
    assert state.board("r")[0].status.value == ENDED["status"]
    assert len(state.quarantined("r")) + len(state.quarantined(None)) == ENDED["quarantined"]
    calls.embedded.warehouse.close()
    tables = {table: [list(row) for row in rows] for table, rows in calls.world.tables().items()}
    assert tables == ENDED["tables"]


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """A home with the runs that the kick-offs began."""
    with functions_over(unpack("functions/kickoffs", tmp_path), START, monkeypatch) as made:
        yield made


@pytest.mark.parametrize("number", range(len(KICKOFFS)))
def test_a_kickoff_sent_again_is_answered_with_the_run_that_it_began(begun: Functions, number: int) -> None:
    kickoff = KICKOFFS[number]
    before = calls_runs(begun)
    status, answer = begun.deliver(kickoff)
    assert status == 202, answer
    assert {key: answer[key] for key in kickoff["answer"]} == kickoff["answer"]
    assert calls_runs(begun) == before


def calls_runs(calls: Calls) -> list[str]:
    """The ids of all runs."""
    return sorted(run.run_id for run in calls.backend.state.runs())
