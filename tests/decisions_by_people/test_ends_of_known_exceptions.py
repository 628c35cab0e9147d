"""A known exception of the pipeline file ends while a run is under way: from then on it lets nothing pass."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import RunStatus
from phasegate.embedded_start import HomeStart, calendar_reader
from phasegate.report.explain import explain
from phasegate.report.explanation import explanation_text
from phasegate.report.verifier import verify_run
from phasegate.report.verify.compose import VerifierInputs
from phasegate.report.verify.document.report import Report
from phasegate.services.operating.decisions import approve, waive
from phasegate.services.operating.operators import retry
from phasegate.services.reading.notices import notices_text
from phasegate.services.starting.start import start
from tests.world import START, World

Spoil = Callable[[World], None]

RANGE = {"check": "range", "name": "sane", "column": "v", "min": 0, "max": 500}
LAST_DAY = str(START.date())


class Ending:
    """A run of three dates whose file knows, until the end of the run's first day, what is wrong on the second; a
    person lets ``shape`` go."""

    def __init__(self, folder: Path, check: str, processor: str) -> None:
        def change(document: dict[str, Any]) -> None:
            document["phases"][1]["processors"][0]["checks"].append(dict(RANGE))
            document["phases"][2]["gates"].append({"check": "approval"})
            dates = ["2024-01-02"]
            known = {"dates": dates, "processor": processor, "check": check, "why": "known", "until": LAST_DAY}
            document["known"] = [known]

        self.world = World(folder, dates=3, change=change)
        self.day = self.world.days[1]
        self.clock = self.world.clock

    def begin(self) -> None:
        """Write the run, as a command does."""
        asked = RunRequest(
            Selection(seasons=("2023-24",)), str(self.world.pipeline_file), source=str(self.world.source)
        )
        with HomeStart(self.world.home, self.world.source, self.world.options) as environment:
            start(asked, environment, "r")

    def go_on(self) -> Board:
        """Drive until nothing moves."""
        end = self.clock.now() + timedelta(hours=1)
        with self.world.open() as embedded:
            return embedded.drive("r", stop=lambda: self.clock.now() > end)

    def let_the_exception_end(self) -> None:
        """Two days later."""
        self.clock.move_to(START + timedelta(days=2))

    def approve(self) -> None:
        """A person lets ``shape`` go."""
        with self.world.open() as embedded:
            approve(embedded.state, self.clock, "r", "shape", by="ann", why="")

    def verify(self) -> Report:
        """The verifier's report."""
        with self.world.open() as e:
            reader = calendar_reader(self.world.source, self.world.pipeline.calendar, e.warehouse)
            inputs = VerifierInputs(e.state, e.warehouse, e.objects, calendar=reader)
            return verify_run(inputs, FolderObjectStore(self.world.home.root), self.clock, "r").report

    def explained(self) -> str:
        """What is said of the date."""
        with self.world.open() as embedded:
            return explanation_text(explain(embedded.state, "r", self.day, "raw", self.clock.now()))

    def waived(self) -> str:
        """What the status says of the exception."""
        found = self.world.report()
        lines = notices_text("r", found.by_people, found.notices, self.clock.now())
        return next(line for line in lines if line.startswith("waived:"))


def out_of_range(folder: Path) -> Ending:
    """A value of ``raw/a`` is out of range."""
    made = Ending(folder, "sane", "raw/a")
    data = made.world.data()
    data["a"][str(made.day)][0]["v"] = 1000
    made.world.rewrite(data)
    made.begin()
    return made


def without_source(folder: Path) -> Ending:
    """The source of ``fetch/b`` is gone: ``raw/b``, which needs it, is adopted as it is."""
    made = Ending(folder, "unrecoverable", "fetch/b")
    made.world.misbehave(fetch__b__1=["fail:unrecoverable"])
    made.begin()
    return made


BOTH = pytest.mark.parametrize("ending", [out_of_range, without_source])


@BOTH
@pytest.mark.parametrize("when", ["before it was judged", "after it has passed"])
def test_what_it_let_pass_is_blocked_and_run_and_report_say_the_same(
    tmp_path: Path, ending: Callable[[Path], Ending], when: str
) -> None:
    made = ending(tmp_path)
    if when == "after it has passed":
        assert made.go_on().groups["raw"].decode() == "ppp"
        assert "(0 verdict(s)" not in made.waived(), "what passes by it is counted"
    made.let_the_exception_end()
    made.go_on()
    made.approve()
    board = made.go_on()
    assert (board.status, board.groups["raw"].decode()) == (RunStatus.COMPLETED_WITH_FAILURES, "pbp")
    assert board.groups["shape.1"].decode() == "p.p", "the other dates went on"
    assert (made.waived().count("ended"), made.waived().count("(0 verdict(s)")) == (1, 1)
    report = made.verify()
    assert (report.agrees, {f.date for f in report.findings if f.phase == "raw"}) == (False, {made.day})


def test_an_output_that_was_adopted_without_its_source_says_why_it_stops_and_what_to_do(tmp_path: Path) -> None:
    made = without_source(tmp_path)
    made.let_the_exception_end()
    made.go_on()
    text = made.explained()
    assert "because b: nothing is there: adopted since its source was known to be gone when the run was planned" in text
    assert "rows" not in text.partition("check ")[0], "nothing is said of rows that nobody could have made"
    assert "and that is right" not in text
    sign = f"phasegate waive r --date {made.day} --check unrecoverable --phase raw --processor b"
    assert f"-> the source is gone; to go on without it: {sign} --until DATE --why TEXT; or bring it back" in text


@pytest.mark.parametrize("processor", ["raw/b", "fetch/b"], ids=["the output", "its source"])
def test_a_person_may_go_on_without_it(tmp_path: Path, processor: str) -> None:
    made = without_source(tmp_path)
    made.let_the_exception_end()
    made.go_on()
    made.approve()
    phase, _, name = processor.partition("/")
    with made.world.open() as embedded:
        waive(
            embedded.state, made.clock, "r", dates=[made.day], check="unrecoverable", phase=phase, processor=name,
            until="2026-02-01", by="ann", why="it stays gone",
        )  # fmt: skip
    assert made.go_on().status is RunStatus.COMPLETED
    report = made.verify()
    assert (report.agrees, report.verdict.partition(":")[0]) == (True, "Complete but for waivers"), report.verdict


def test_a_retry_fetches_a_source_that_is_back(tmp_path: Path) -> None:
    made = without_source(tmp_path)
    made.let_the_exception_end()
    made.go_on()
    made.approve()
    made.world.misbehave()
    with made.world.open() as embedded:
        retry(
            embedded.state, made.clock, "r", dates=[made.day], phase="raw", processor=None, signature=None, why="back"
        )
    assert made.go_on().status is RunStatus.COMPLETED
    assert made.verify().verdict.startswith("Complete: "), "all rows are there"
