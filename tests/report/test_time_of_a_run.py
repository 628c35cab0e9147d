"""Where the time of a run went: what the report tells of what was measured, and of what was not."""

import re
import sqlite3
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.state.time_spent import CALLS, NOTHING, THREADS
from phasegate.report.verify.document.history import TimeOfRun
from phasegate.report.verify.history import calls_of, pace, run_times, time_of_run
from phasegate.report.verify.page import html_of, markdown_of
from phasegate.report.verify.pictures import time_bar
from tests.report.verifying import Finished
from tests.world import batched

BEGUN = datetime(2024, 1, 1, tzinfo=UTC)
LIMITS = {"limits.active_dates of raw": 2.0, "max_concurrent of queue work": 1.0, "the ramp": 0.5}
WHERE = TimeOfRun(
    calls=3,
    attempts=21,
    work=12.0,
    seconds=10.0,
    proofs=1.5,
    orchestration=1.0,
    waiting={"max_concurrent of queue work": 1.0, NOTHING: 0.5, THREADS: 3.0, CALLS: 0.5} | LIMITS,
    query="state",
)


def ended(processor: str, begun: float, seconds: float) -> dict[str, Any]:
    """An attempt whose call began and ended so many seconds after the start."""
    at = BEGUN + timedelta(seconds=begun)
    return {
        "phase": "raw",
        "processor_name": processor,
        "fence": None,
        "started_at": at,
        "finished_at": at + timedelta(seconds=seconds),
    }


ESTIMATE = " (which attempts share a call is an estimate, from their start and end)"

ROWS = [*[ended("a", 0, 8)] * 4, ended("a", 8, 1), ended("a", 9, 2), *[ended("b", 0, 8)] * 2]
"""Attempts of three calls of ``a``, four in the first, and of one of ``b`` that began and ended with it."""


def unmeasured(time: TimeOfRun) -> bool:
    """Whether nothing is said but of the calls."""
    return (time.seconds, time.proofs, time.orchestration, time.waiting) == (None, None, None, None)


def test_the_time_of_a_call_is_counted_once_however_many_dates_it_carries() -> None:
    a, b = sorted(run_times(calls_of(ROWS, is_cloud=False), "history"), key=lambda each: each.processor)
    assert (a.attempts, a.calls, a.median_seconds, a.p95_seconds) == (6, 3, 2.0, pytest.approx(7.4))
    assert a.attempt_seconds == pytest.approx(11 / 6, abs=1e-6)
    assert (b.attempts, b.calls, b.median_seconds, b.attempt_seconds) == (2, 1, 8.0, 4.0)


def test_where_nobody_measured_the_rest_the_history_tells_of_the_calls() -> None:
    unended = {"phase": "raw", "processor_name": "c", "fence": None, "started_at": None, "finished_at": None}
    found = time_of_run(calls_of([*ROWS, unended], is_cloud=False), "history", None, "state")
    assert found is not None and unmeasured(found)
    assert (found.calls, found.attempts, found.work, found.query) == (4, 8, 19.0, "history")
    assert time_of_run(calls_of([unended], is_cloud=False), "history", None, "state") is None


def test_what_is_under_way_at_once_are_calls_and_what_ends_are_attempts() -> None:
    found = pace(ROWS, calls_of(ROWS, is_cloud=False), ["raw", "shape"], 0.0, "history")
    assert found is not None
    assert (found.wall_seconds, found.attempts, found.per_second) == (11.0, 8, pytest.approx(8 / 11, abs=0.001))
    assert found.mean_at_once == pytest.approx(19 / 11, abs=0.001), "8 + 1 + 2 seconds of a, 8 of b"
    assert found.busy == {"raw": found.at_once, "shape": [0.0] * len(found.ended)}
    assert (found.at_once[0], found.at_once[-1], sum(found.ended)) == (2.0, 1.0, 8)
    assert sum(found.at_once) * found.bucket_seconds == pytest.approx(19, abs=0.05)


# The picture


def test_the_parts_of_the_bar_lie_side_by_side_and_fill_it() -> None:
    parts = time_bar(WHERE, 960)
    assert [part.seconds for part in parts] == [3.0, 0.5, 2.0, 1.0, 0.5, 1.5, 1.0, 0.5]
    assert [part.words for part in parts[2:7]] == [
        *(f"held back by {limit}" for limit in LIMITS),
        "proofs and checks",
        "orchestration",
    ]
    for before, part in pairwise(parts):
        assert part.x == pytest.approx(before.x + before.width, abs=0.02)
        assert part.colour != before.colour
    assert sum(part.width for part in parts) == pytest.approx(960, abs=0.1)
    assert sum(part.share for part in parts) == pytest.approx(1)


def test_what_took_no_time_has_no_part_and_what_was_not_measured_no_bar() -> None:
    quick = WHERE.model_copy(update={"waiting": {THREADS: 3.0, NOTHING: 0.0}, "proofs": 0.0})
    assert [part.words for part in time_bar(quick, 960)] == ["all threads in calls", "orchestration"]
    unknown = {"seconds": None, "proofs": None, "orchestration": None, "waiting": None}
    assert time_bar(WHERE.model_copy(update=unknown), 960) == []


def bar_of(page: str) -> int:
    """How many parts the page's bar of time has; 0: it has none."""
    found = re.search(r'<svg class="time".*?</svg>', page, re.DOTALL)
    return found[0].count("<rect") if found else 0


def test_every_part_of_the_bar_stands_beside_it_in_words_and_numbers(home: Finished) -> None:
    report = home.verify().report.model_copy(update={"time": WHERE})
    page = html_of(report)
    assert bar_of(page) == 8
    assert "held back by limits.active_dates of raw: <b>2.00 s</b>, 20.00 %" in page
    assert "- held back by limits.active_dates of raw: 2.00 s, 20.00 %" in markdown_of(report)
    said = "3 calls for 21 attempts took 12.00 s from start to end, all threads together"
    for text in (page, markdown_of(report)):
        assert f"{said}; the run was driven for 10.00 s. No times are kept of 67 attempts more: " in text


# A run


def test_the_report_on_a_run_tells_of_every_call_that_was_made_for_it(tmp_path: Path) -> None:
    with batched(7):
        home = Finished(tmp_path)
        home.run()
    report = home.verify().report
    time = report.time
    assert time is not None and report.pace is not None
    assert time.attempts == report.pace.attempts == 88
    assert time.calls == sum(each.calls for each in report.run_times) < 88 / 2
    assert None not in (time.seconds, time.proofs, time.orchestration) and time.waiting is not None
    assert "No times are kept" not in html_of(report) and bar_of(html_of(report)) >= 2


def test_a_run_that_several_processes_drove_has_the_times_of_all_of_them(tmp_path: Path) -> None:
    home = Finished(tmp_path)
    seconds = 0.0
    for stops in (2, 6, None):
        with home.world.open() as embedded:
            home.world.begin(embedded)
            left = [stops] if stops is not None else []

            def stop(left: list[int] = left) -> bool:
                left[:] = [number - 1 for number in left]
                return left == [0]

            embedded.drive("r", stop=stop)
            assert embedded.spent.seconds > 0
            seconds += embedded.spent.seconds
    report = home.verify().report
    assert report.time is not None and report.pace is not None
    assert report.time.attempts == report.pace.attempts == 88
    assert report.time.seconds == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize(
    "change",
    ["DROP TABLE time_spent", 'UPDATE time_spent SET doc = \'{"calls": "many"}\''],
    ids=["none is kept", "it cannot be read"],
)
def test_a_run_whose_times_are_not_known_has_those_of_its_calls_and_no_picture(home: Finished, change: str) -> None:
    connection = sqlite3.connect(home.world.home.state)
    with connection:
        connection.execute(change)
    connection.close()
    report = home.verify().report
    assert report.time is not None and unmeasured(report.time)
    assert report.time.attempts == 88
    page = html_of(report)
    assert bar_of(page) == 0
    told = f"all threads together{ESTIMATE}. Where the rest of the time went is measured"
    assert told in page and told in markdown_of(report)


def test_page_and_markdown_say_how_many_calls_were_under_way_at_once_and_that_run_times_are_an_estimate(
    home: Finished,
) -> None:
    report = home.verify().report
    assert report.pace is not None and report.cost is not None
    pace = report.pace.model_copy(update={"mean_at_once": 7.25})
    report = report.model_copy(update={"pace": pace})
    for text in (html_of(report), markdown_of(report)):
        assert "7.25 calls at once" in text
        assert f"the attempts of one date or of several{ESTIMATE};" in text
    on_a_cloud = report.model_copy(update={"cost": report.cost.model_copy(update={"is_estimate": False})})
    assert ESTIMATE not in html_of(on_a_cloud) + markdown_of(on_a_cloud)


def test_without_a_run_no_time_went_anywhere(home: Finished) -> None:
    report = home.verify_dates(Selection(seasons=("2023-24",))).report
    assert report.time is None
    assert "Where the time went" not in html_of(report) + markdown_of(report)
