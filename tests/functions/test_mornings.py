"""The kick-off of every morning at the starter: over HTTP as Cloud Scheduler asks, and in a message."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from phasegate import entrypoints
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.run import RunStatus
from phasegate.services.operating import operators
from tests.functions.conftest import Calls
from tests.functions.test_requests import pushed
from tests.world import START, definition

KICKOFF: Mapping[str, object] = {"season": ["2023-24"], "profile": "current", "exclude_live": True}
"""As deployed."""


@pytest.fixture
def mornings(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The functions of a deployment whose profile stops at bad dates; of its three dates one is not live any more."""
    document, world = definition(), calls.world
    document["profiles"] = {
        "current": {"phases": "fetch..final", "ramp": [{"active_dates": 1}], "stops_at_bad_date": True}
    }
    monkeypatch.setitem(entrypoints.deployment().__dict__, "pipeline", Pipeline.model_validate(document))
    days = [START.date() + timedelta(days=n) for n in (-2, -1, 0)]
    later = {str(before): str(day) for before, day in zip(world.days, days, strict=True)}
    text = (world.source / "data.json").read_text()
    for before, day in later.items():
        text = text.replace(before, day)
    (world.source / "data.json").write_text(text)
    world.days = days
    for before, day in later.items():
        calls.embedded.warehouse._connection.execute(
            f"UPDATE raw.schedule SET game_date = DATE '{day}' WHERE game_date = DATE '{before}'"
        )
    return calls


def sleep(calls: Calls) -> None:
    """Wait for the next midnight: a date more has left the live window."""
    clock = calls.world.clock
    clock.move_to(START + timedelta(days=1 + (clock.now() - START).days))


def drive(calls: Calls, run_id: str) -> RunStatus:
    """Let a run go on until it rests."""
    return calls.embedded.drive(run_id).status


def attempts(calls: Calls) -> list[tuple[Any, ...]]:
    """Every attempt that was claimed."""
    return calls.embedded.database.execute("SELECT run_id, day, phase, processor FROM claims").fetchall()


def test_a_stopped_season_is_answered_with_what_frees_it_and_nothing_is_called(
    mornings: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    mornings.world.misbehave(raw__a__0=["short"])
    status, first = mornings.post("starter", KICKOFF)
    assert (status, first["dates"], "stopped" in first) == (202, 1, False)
    assert drive(mornings, first["run_id"]) is RunStatus.COMPLETED_WITH_FAILURES
    sleep(mornings)
    before = mornings.everything()
    with caplog.at_level(logging.WARNING):
        status, answer = mornings.post("starter", KICKOFF)
    day = mornings.world.days[0]
    assert (status, answer["run_id"], answer["status"]) == (200, first["run_id"], "completed_with_failures")
    assert answer["stopped"].startswith(f"nothing was begun: run {first['run_id']} stopped at {day}")
    assert "a: 2 of 4 rows" in answer["stopped"]
    assert f"phasegate retry {first['run_id']} --date {day} --phase raw" in answer["stopped"]
    assert answer["stopped"] in caplog.text
    assert mornings.everything() == before


def test_a_message_is_answered_alike_and_not_delivered_again(mornings: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    mornings.world.misbehave(raw__a__0=["short"])
    drive(mornings, mornings.post("starter", KICKOFF)[1]["run_id"])
    sleep(mornings)
    body = '{"season": ["2023-24"], "profile": "current", "exclude_live": true}'
    status, answer = mornings.post("starter", pushed(body, publishTime=mornings.world.clock.now().isoformat()))
    assert (status, "stopped" in answer) == (200, True)


def test_when_it_is_freed_the_next_morning_goes_on_with_all_that_is_missing(mornings: Calls) -> None:
    mornings.world.misbehave(raw__a__0=["short"])
    first = mornings.post("starter", KICKOFF)[1]["run_id"]
    drive(mornings, first)
    sleep(mornings)
    mornings.post("starter", KICKOFF)
    operators.retry(
        mornings.backend.state,
        mornings.world.clock,
        first,
        dates=(mornings.world.days[0],),
        phase="raw",
        processor=None,
        signature=None,
        why="",
    )
    status, answer = mornings.post("starter", KICKOFF)
    assert (status, answer["run_id"], "stopped" in answer) == (202, first, False), "the freed run goes on"
    assert drive(mornings, first) is RunStatus.COMPLETED
    status, answer = mornings.post("starter", KICKOFF)
    assert (status, answer["run_id"], answer["dates"]) == (202, f"{first}-2", 2)
    assert drive(mornings, answer["run_id"]) is RunStatus.COMPLETED
    called = [day for run, day, phase, name in attempts(mornings) if (phase, name) == ("shape", "left")]
    assert sorted(called) == [str(day) for day in mornings.world.days[:2]], "each date once"
