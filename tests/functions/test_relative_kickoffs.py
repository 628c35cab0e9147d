"""Relative dates in requests and messages: counted from the day on which they were sent, and plain from there on."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from phasegate import entrypoints
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.state.run import DesiredState
from tests.functions.conftest import Calls
from tests.functions.test_bad_requests import set_aside_in
from tests.functions.test_requests import pushed

NOON = datetime(2024, 1, 4, 12, tzinfo=UTC)
"""The world's last date is the one before."""

ALL_THREE = (date(2024, 1, 1), date(2024, 1, 3))


def change_deployed(**keys: object) -> None:
    """Change keys of the deployed pipeline file."""
    here = entrypoints.deployment()
    here.__dict__["pipeline"] = here.pipeline.model_copy(update=keys)


@pytest.fixture(autouse=True)
def at_noon(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The server's time, which a test may put forward: ``[now]``. No live pipeline writes yesterday."""
    now = [NOON]
    monkeypatch.setattr(calls.world.clock, "now", lambda: now[0])
    change_deployed(live_window=None)
    return now


def started(calls: Calls, body: object) -> dict[str, Any]:
    """The run that a request or a message is answered with."""
    status, run = calls.post("starter", body)
    assert status == 202, run
    found: dict[str, Any] = run
    return found


def message(text: str, sent_at: datetime) -> dict[str, object]:
    """A message as Pub/Sub pushes it, each time it delivers it."""
    return pushed(text, publishTime=sent_at.isoformat())


def selection_of(calls: Calls, run: dict[str, Any]) -> Selection | None:
    """What a run's plan keeps of what was asked for."""
    return calls.backend.state.plan(run["run_id"]).selection


@pytest.mark.parametrize(
    ("body", "first", "last"),
    [
        ({"last": "3d"}, *ALL_THREE),
        ({"last": "1w"}, date(2023, 12, 28), date(2024, 1, 3)),
        ({"from": "2024-01-02", "to": "yesterday"}, date(2024, 1, 2), date(2024, 1, 3)),
        ({"from": "yesterday", "to": "yesterday"}, date(2024, 1, 3), date(2024, 1, 3)),
    ],
    ids=str,
)
def test_a_kickoff_with_relative_dates_is_the_one_with_the_plain_dates_of_that_day(
    calls: Calls, body: dict[str, object], first: date, last: date
) -> None:
    run = started(calls, {**body, "alongside": True})
    assert selection_of(calls, run) == Selection(first=first, last=last)
    assert started(calls, {"from": str(first), "to": str(last)})["run_id"] == run["run_id"]


def test_a_message_that_is_delivered_again_after_midnight_finds_the_run_that_it_began(
    calls: Calls, at_noon: list[datetime]
) -> None:
    sent = message('{"last": "2d", "alongside": true}', NOON)
    first = started(calls, sent)
    at_noon[0] = NOON + timedelta(days=1)
    assert started(calls, sent) == first
    calls.backend.state.change_run(
        first["run_id"], lambda r: r.model_copy(update={"desired_state": DesiredState.CANCELLED})
    )
    assert started(calls, sent)["run_id"] == first["run_id"], "also after its end"


def test_a_message_that_comes_late_means_the_dates_of_the_day_on_which_it_was_sent(
    calls: Calls, at_noon: list[datetime]
) -> None:
    at_noon[0] = NOON + timedelta(days=2)
    run = started(calls, message('{"last": "3d", "alongside": true}', NOON))
    assert selection_of(calls, run) == Selection(first=ALL_THREE[0], last=ALL_THREE[1])


def test_the_same_words_on_the_next_day_ask_for_other_dates(calls: Calls, at_noon: list[datetime]) -> None:
    first = started(calls, message('{"last": "2d", "alongside": true}', NOON))
    at_noon[0] = NOON + timedelta(days=1)
    second = started(calls, message('{"last": "2d", "alongside": true}', at_noon[0]))
    assert (first["first"], first["last"], second["first"], second["last"]) == (
        "2024-01-02", "2024-01-03", "2024-01-03", "2024-01-03",
    )  # fmt: skip


def test_the_day_is_that_of_the_pipelines_time_zone(calls: Calls) -> None:
    """At noon UTC it is the next date on the other side of the date line."""
    change_deployed(timezone="Pacific/Kiritimati")
    run = started(calls, {"from": "2024-01-01", "to": "yesterday", "alongside": True})
    assert selection_of(calls, run) == Selection(first=date(2024, 1, 1), last=date(2024, 1, 4))


def test_what_the_live_pipeline_writes_of_the_last_days_is_left_out_where_that_is_asked_for(calls: Calls) -> None:
    change_deployed(live_window=1)
    status, answer = calls.post("starter", {"last": "3d"})
    assert (status, "--exclude-live" in answer["error"]) == (400, True)
    run = started(calls, {"last": "3d", "exclude_live": True, "alongside": True})
    assert (run["first"], run["last"]) == ("2024-01-01", "2024-01-02")


def test_a_verification_takes_the_same_words(calls: Calls) -> None:
    for body in ({"last": "2d"}, {"from": "2024-01-02", "to": "yesterday"}):
        status, answer = calls.post("verifier", body)
        assert status == 200, answer
        (page,) = (name for name in answer["files"] if name.endswith("report.json"))
        report = json.loads(calls.backend.objects.read(page))
        assert (report["first"], report["last"]) == ("2024-01-02", "2024-01-03")


BAD: dict[str, tuple[dict[str, object], str]] = {
    "a number without a unit": ({"last": "7"}, "last: Value error, '7' is not a number of days or weeks; write 7d"),
    "a number": ({"last": 7}, "last: Value error, '7' is not a number of days or weeks; write 7d, or 2w"),
    "no days": ({"last": "0d"}, "'0d' is not a number of days or weeks"),
    "days to come": ({"last": "-3d"}, "'-3d' is not a number of days or weeks"),
    "an unknown unit": ({"last": "7x"}, "'7x' is not a number of days or weeks"),
    "a range in two ways": ({"last": "7d", "from": "2024-01-01"}, "leave out --from and --to, or --last"),
    "a season too": ({"last": "7d", "season": "2023-24"}, "exactly one of these"),
    "tomorrow": (
        {"from": "2024-01-01", "to": "tomorrow"},
        "to: Value error, not of the form YYYY-MM-DD, nor yesterday",
    ),
    "half a range": ({"to": "yesterday"}, "--from and --to belong together"),
    "a range that ends before it begins": (
        {"from": "2024-01-09", "to": "yesterday"},
        "--from 2024-01-09 is after --to 2024-01-03",
    ),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("function", ["starter", "verifier"])
def test_a_bad_range_is_refused_in_clear_words_and_nothing_is_written(calls: Calls, function: str, name: str) -> None:
    body, reason = BAD[name]
    before = calls.everything()
    status, answer = calls.post(function, body)
    assert (status, reason in answer["error"]) == (400, True), answer
    assert (calls.everything(), calls.backend.state.quarantined(None)) == (before, [])


def test_a_range_without_a_date_of_the_schedule_names_the_nearest_and_writes_nothing(
    calls: Calls, at_noon: list[datetime]
) -> None:
    at_noon[0] = NOON + timedelta(days=30)
    before = calls.everything()
    assert calls.post("starter", pushed('{"last": "1w"}'))[0] == 200
    (record,) = set_aside_in(calls)
    assert (
        "no dates selected (2024-01-27 to 2024-02-02); the schedule runs from 2024-01-01 to 2024-01-03" in record.reason
    )
    assert record.reason.endswith("name a range that reaches 2024-01-03")
    assert calls.everything() == before
