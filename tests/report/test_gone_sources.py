"""A source that is gone and that a person goes on without stands under its waiver, until that ends."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.calendar.selection import Selection
from phasegate.report.verify.page import html_of, markdown_of
from phasegate.services.operating.decisions import waive
from tests.report.verifying import Finished, kinds, with_report

GONE = ["fail:unrecoverable"]
BOTH = ("fetch/b", "raw/b")


def with_a_note(document: dict[str, Any]) -> None:
    """The world; a task that leaves no output needs ``raw/b``, too."""
    with_report(document)
    document["phases"][1]["processors"].append({"name": "note", "needs": ["raw/b"], "output": {"kind": "none"}})


class Gone(Finished):
    """A run for which the source of ``fetch/b`` was gone on the second date; ``raw/b`` needs it."""

    def __init__(self, folder: Path, change: Any = with_report) -> None:
        super().__init__(folder, change)
        self.world.misbehave(fetch__b__1=GONE)
        self.run()

    def waive(self, hours: int = 24) -> None:
        """Go on without it for some hours."""
        world = self.world
        with world.open() as embedded:
            waive(
                embedded.state, world.clock, "r", dates=self.days[1:2], check="unrecoverable", phase="fetch",
                processor="b", until=(world.clock.now() + timedelta(hours=hours)).isoformat(), by="ann",
                why="the site was closed",
            )  # fmt: skip

    def later(self, hours: int) -> None:
        """Let time pass."""
        self.world.clock.move_to(self.world.clock.now() + timedelta(hours=hours))


@pytest.fixture
def gone(tmp_path: Path) -> Gone:
    return Gone(tmp_path)


def test_before_anybody_signs_it_is_missing(gone: Gone) -> None:
    report = gone.verify().report
    assert {("missing", str(gone.days[1]), ref) for ref in BOTH} <= kinds(report)
    assert not report.agrees


def test_what_a_person_goes_on_without_is_waived_and_not_missing(gone: Gone) -> None:
    gone.waive()
    gone.run()
    report = gone.verify().report
    assert (report.agrees, report.status, report.findings, report.missing) == (True, "completed", [], [])
    assert report.verdict.startswith("Complete but for waivers: run r: all 8 outputs of 10 dates ")
    assert report.verdict.endswith("as state says, but for 2 outputs that waivers let pass.")
    (shown,) = report.waivers
    assert (shown.is_in_force, shown.lets_pass) == (True, 2)
    assert shown.examples == [
        f"{gone.days[1]} b: b failed on row 17 of '{gone.days[1]}'",
        f"{gone.days[1]} b: not run: it needs fetch/b, whose source is gone",
    ]
    counted = {f"{c.phase}/{c.processor}": (c.expected, c.whole, c.waived) for c in report.coverage}
    assert {counted[ref] for ref in BOTH} == {(10, 9, 1)}
    assert {counts for ref, counts in counted.items() if ref not in BOTH} == {(10, 10, 0), (8, 8, 0)}
    letters = {phase: line[1] for phase, line in report.heat_map.phases.items()}
    assert letters == {"fetch": "p", "raw": "p", "shape": "w", "final": "e"}


def test_files_and_page_tell_of_it(gone: Gone) -> None:
    gone.waive()
    gone.run()
    made = gone.verify()
    kept = json.loads((gone.world.home.reports / "r" / "report.json").read_text())
    assert (kept["waivers"][0]["lets_pass"], kept["agrees"]) == (2, True)
    for text in (html_of(made.report), markdown_of(made.report)):
        assert "Complete but for waivers" in text and "whose source is gone" in text


def test_when_the_waiver_has_ended_it_is_missing_again(gone: Gone) -> None:
    gone.waive()
    gone.run()
    gone.later(hours=48)
    report = gone.verify().report
    assert kinds(report) == {("missing", str(gone.days[1]), ref) for ref in BOTH}
    assert report.verdict.startswith("Not complete: run r: 2 findings ") and "waivers let" not in report.verdict
    assert (report.agrees, report.waivers[0].is_in_force, report.waivers[0].lets_pass) == (False, False, 0)
    assert {f"{m.phase}/{m.processor}" for m in report.missing} == set(BOTH)
    assert [phase[1] for phase in report.heat_map.phases.values()] == ["m", "m", "w", "e"]


def test_a_second_waiver_lets_it_pass_when_the_first_has_ended(gone: Gone) -> None:
    gone.waive(hours=24)
    gone.waive(hours=96)
    gone.run()
    gone.later(hours=48)
    report = gone.verify().report
    assert (report.agrees, [w.lets_pass for w in report.waivers]) == (True, [0, 2])


def test_dates_without_a_run_know_no_waivers(gone: Gone) -> None:
    gone.waive()
    gone.run()
    report = gone.verify_dates(Selection(seasons=("2023-24",))).report
    assert kinds(report) == {("missing", str(gone.days[1]), ref) for ref in BOTH}
    assert (report.agrees, report.waivers) == (False, [])


def test_rows_that_are_there_all_the_same_are_told_as_ever(gone: Gone) -> None:
    gone.waive()
    gone.run()
    gone.write("INSERT INTO raw.b SELECT ?, k, v, 0 FROM raw.b WHERE d = ?", gone.days[1], gone.days[2])
    report = gone.verify().report
    assert kinds(report) == {("rows_never_recorded", str(gone.days[1]), "raw/b")}
    assert report.waivers[0].lets_pass == 1


def test_a_task_without_an_output_is_let_pass_like_the_others(tmp_path: Path) -> None:
    gone = Gone(tmp_path, with_a_note)
    gone.waive()
    gone.run()
    report = gone.verify().report
    assert (report.agrees, report.findings, report.waivers[0].lets_pass) == (True, [], 3)
    assert report.verdict.endswith("but for 2 outputs and 1 task without an output that waivers let pass.")
    gone.later(hours=48)
    assert ("not_done", str(gone.days[1]), "raw/note") in kinds(gone.verify().report)


def test_what_may_be_empty_is_let_pass_too(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        with_report(document)
        document["phases"][1]["processors"][1]["may_be_empty"] = "sometimes nothing"

    gone = Gone(tmp_path, change)
    gone.waive()
    gone.run()
    report = gone.verify().report
    assert (report.findings, report.waivers[0].lets_pass, report.heat_map.phases["raw"][1]) == ([], 2, "p")


def test_nothing_is_let_pass_of_a_table_that_could_not_be_asked(gone: Gone) -> None:
    gone.waive()
    gone.run()
    gone.write("DROP TABLE raw.b")
    report = gone.verify().report
    assert kinds(report) == {("could_not_be_asked", "all", "raw/b")}
    assert (report.waivers[0].lets_pass, "; waivers let 1 output pass; " in report.verdict) == (1, True)
