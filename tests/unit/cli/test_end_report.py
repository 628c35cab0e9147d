"""Which report a command goes by when a run is at rest."""

from datetime import UTC, datetime, timedelta

import pytest

from phasegate.cli.output import EndReport, end_report
from phasegate.domain.state.run import RunStatus
from phasegate.ports import ReportNote

ENDED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def note(minutes: int, *, agrees: bool = True, is_final: bool = True) -> ReportNote:
    at = ENDED + timedelta(minutes=minutes)
    verdict = f"at {minutes}"
    return ReportNote(f"r{minutes}", at, agrees, is_final, 0 if agrees else 1, {}, verdict, "reports/r")


@pytest.mark.parametrize(
    ("notes", "verdict"),
    [
        ([], None),
        ([note(0)], "at 0"),
        ([note(-5, agrees=False)], None),
        ([note(-5, agrees=False), note(1)], "at 1"),
        ([note(1), note(2, agrees=False)], "at 2"),
        ([note(1), note(2, is_final=False)], "at 1"),
    ],
    ids=["none", "at once", "of an earlier end", "of both ends", "made again", "while a retry went on"],
)
def test_a_report_on_an_earlier_end_says_nothing_of_this_one(notes: list[ReportNote], verdict: str | None) -> None:
    found = end_report(notes, ENDED, lambda page: f"gs://bucket/{page}")
    assert (found and found.verdict) == verdict
    assert found is None or found.page == "gs://bucket/reports/r/report.html"


def test_a_run_that_never_came_to_an_end_goes_by_its_newest_report() -> None:
    assert end_report([note(1)], None, str) == EndReport(agrees=True, verdict="at 1", page="reports/r/report.html")


@pytest.mark.parametrize(
    ("kinds", "status", "is_borne_out"),
    [
        ({"missing": 3, "not_done": 1}, RunStatus.COMPLETED_WITH_FAILURES, True),
        ({"missing": 3, "failed_but_sound": 1}, RunStatus.COMPLETED_WITH_FAILURES, False),
        ({"units_off_the_calendar": 1}, RunStatus.COMPLETED, False),
        ({}, RunStatus.COMPLETED, True),
    ],
)
def test_a_report_bears_a_failed_run_out_where_state_and_tables_agree(
    kinds: dict[str, int], status: RunStatus, is_borne_out: bool
) -> None:
    made = ReportNote("r1", ENDED, not kinds, True, sum(kinds.values()), kinds, "as found", "reports/r")
    found = end_report([made], ENDED, str)
    assert found is not None and found.bears_out(status) is is_borne_out
