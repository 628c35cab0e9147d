"""A source that is gone ends its task for good; a person goes on without it, until an end."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.errors import InputError
from phasegate.domain.state.board import Board, BoardLetter
from phasegate.domain.state.run import RunStatus, Waiver
from phasegate.report.explain import explain
from phasegate.report.explanation import explanation_text
from phasegate.services.operating.decisions import approve, waive
from phasegate.services.operating.operators import retry
from phasegate.services.reading.progress import progress_document
from tests.world import World

GONE = ["fail:unrecoverable"] * 3


def approved(document: dict[str, Any]) -> None:
    """A person lets ``shape`` go."""
    document["phases"][2]["gates"].append({"check": "approval"})


def strict(document: dict[str, Any]) -> None:
    """One date at a time; one that ended badly is tolerated, and two that failed alike stop the processor."""
    document["phases"][0].update(limits={"active_dates": 1}, failure={"tolerated_dates": 1, "brake": 2})


class Gone:
    """A world in which the source of ``fetch/b`` is gone on some dates; ``raw/b`` needs it."""

    def __init__(self, folder: Path, *positions: int, change: Any = lambda _: None, act: Sequence[str] = GONE) -> None:
        self.world = World(folder, dates=4, change=change)
        self.world.misbehave(**{f"fetch__b__{n}": list(act) for n in positions or (1,)})
        with self.world.open() as embedded:
            self.world.begin(embedded)

    def waive(self, *, days: Sequence[date] | None = None, hours: int = 2, **more: Any) -> Waiver:
        """Go on without it for some hours."""
        scope: dict[str, Any] = {"check": "unrecoverable", "phase": "fetch", "processor": "b"} | more
        until = (self.world.clock.now() + timedelta(hours=hours)).isoformat()
        with self.world.open() as embedded:
            return waive(
                embedded.state, self.world.clock, "r", dates=days or self.world.days[1:2], until=until, by="ann",
                why="the site was closed", **scope,
            )[1]  # fmt: skip

    def go_on(self) -> Board:
        """Drive until nothing moves."""
        end = self.world.clock.now() + timedelta(hours=1)
        with self.world.open() as embedded:
            return embedded.drive("r", stop=lambda: self.world.clock.now() > end)

    def later(self, hours: int) -> None:
        """Let time pass."""
        self.world.clock.move_to(self.world.clock.now() + timedelta(hours=hours))

    def calls(self, phase: str) -> int:
        """Attempts of ``b`` on the second date."""
        with self.world.open() as embedded:
            facts = embedded.state.dates("r", self.world.days)[self.world.days[1]]
        return len(facts.tasks.get((phase, "b"), ()))


def letters(board: Board, position: int = 1) -> dict[str, str]:
    """The board's letters at a date."""
    return {name: board.letter(name, position) for name in board.groups}


def test_the_date_goes_on_without_it_and_what_needs_it_is_not_run(tmp_path: Path) -> None:
    gone = Gone(tmp_path)
    assert letters(gone.go_on()) == dict.fromkeys(("fetch", "raw"), BoardLetter.FAILED) | dict.fromkeys(
        ("shape.1", "shape.2", "final"), BoardLetter.PENDING
    )
    gone.waive()
    board = gone.go_on()
    assert (board.status, letters(board)["raw"], letters(board)["final"]) == (
        RunStatus.COMPLETED,
        BoardLetter.PASSED,
        BoardLetter.PASSED,
    )
    assert (gone.calls("fetch"), gone.calls("raw")) == (1, 0)


def test_it_stands_in_the_status_as_empty_with_its_reason_under_the_waiver(tmp_path: Path) -> None:
    gone = Gone(tmp_path)
    gone.go_on()
    gone.waive()
    gone.go_on()
    document: Any = progress_document(gone.world.report())
    counts = {name: document["tasks"][name] for name in ("expected", "succeeded", "empty_ok", "unrecoverable")}
    assert counts == {"expected": 36, "succeeded": 32, "empty_ok": 4, "unrecoverable": 0}
    assert document["failures"] == []
    (listed,) = document["waivers"]
    assert {(p["phase"], p["processor"]): p["detail"] for p in listed["passed"]} == {
        ("fetch", "b"): "b failed on row 17 of '2024-01-02'",
        ("raw", "b"): "not run: it needs fetch/b, whose source is gone",
    }
    assert {p["check"] for p in listed["passed"]} == {"unrecoverable"}


def test_explain_names_the_command_and_afterwards_who_signed(tmp_path: Path) -> None:
    gone = Gone(tmp_path)
    gone.go_on()
    with gone.world.open() as embedded:
        before = explanation_text(explain(embedded.state, "r", None, None))
    command = "phasegate waive r --date 2024-01-02 --check unrecoverable --phase fetch --processor b"
    assert f"the source is gone; to go on without it: {command} --until DATE --why TEXT" in before
    gone.waive()
    gone.go_on()
    with gone.world.open() as embedded:
        after = explanation_text(explain(embedded.state, "r", gone.world.days[1], "raw"))
    assert "check unrecoverable BLOCK: b: not run: it needs fetch/b, whose source is gone (waived until " in after


def test_a_waiver_made_before_the_source_was_found_gone_counts_at_once(tmp_path: Path) -> None:
    gone = Gone(tmp_path)
    gone.waive()
    assert gone.go_on().status is RunStatus.COMPLETED


def test_when_it_ends_the_date_has_failed_again_and_nothing_more_is_released_on_it(tmp_path: Path) -> None:
    gone = Gone(tmp_path, change=approved)
    gone.waive()
    assert letters(gone.go_on())["raw"] == BoardLetter.PASSED
    gone.later(hours=3)
    with gone.world.open() as embedded:
        approve(embedded.state, gone.world.clock, "r", "shape", by="ann", why="")
    board = gone.go_on()
    assert (letters(board)["fetch"], letters(board)["raw"], letters(board)["shape.1"]) == (
        BoardLetter.FAILED,
        BoardLetter.FAILED,
        BoardLetter.PENDING,
    )
    assert board.groups["shape.1"].decode() == "p.pp", "the other dates went on"
    assert gone.world.report().tasks["unrecoverable"] == 1


@pytest.mark.parametrize(
    "more",
    [{"phase": "raw"}, {"processor": "a"}, {"check": "adopted"}, {"days": [date(2024, 1, 1)]}],
    ids=["another phase", "another processor", "another check", "another date"],
)
def test_it_lets_nothing_pass_beyond_its_scope(tmp_path: Path, more: dict[str, Any]) -> None:
    gone = Gone(tmp_path)
    gone.waive(**more)
    board = gone.go_on()
    assert (letters(board)["fetch"], letters(board)["raw"]) == (BoardLetter.FAILED, BoardLetter.FAILED)


def test_what_failed_for_another_reason_stays_failed(tmp_path: Path) -> None:
    gone = Gone(tmp_path, act=["fail:bug"])
    gone.waive(phase=None, processor=None)
    assert letters(gone.go_on())["raw"] == BoardLetter.FAILED


def test_what_needs_a_second_one_that_nobody_signed_for_stays_failed(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["phases"][1]["processors"][1]["needs"].append("fetch/a")

    gone = Gone(tmp_path, change=change)
    gone.world.misbehave(fetch__b__1=GONE, fetch__a__1=["fail:bug"])
    gone.waive()
    board = gone.go_on()
    assert (letters(board)["fetch"], letters(board)["raw"]) == (BoardLetter.FAILED, BoardLetter.FAILED)
    assert set(board.bad[gone.world.days[1]]) == {"fetch/a", "raw/a", "raw/b"}


def test_a_halted_run_with_the_brake_on_goes_on_when_its_dates_are_waived(tmp_path: Path) -> None:
    gone = Gone(tmp_path, 0, 1, change=strict)
    board = gone.go_on()
    assert (board.status, set(board.breakers)) == (RunStatus.HALTED, {"fetch/b"})
    gone.waive(days=gone.world.days[:2])
    board = gone.go_on()
    assert (board.status, board.halted_because, board.breakers) == (RunStatus.COMPLETED, "", {})


def test_a_source_that_is_back_is_fetched_by_a_retry_before_anybody_signs(tmp_path: Path) -> None:
    gone = Gone(tmp_path)
    gone.go_on()
    gone.world.misbehave()
    with gone.world.open() as embedded:
        retry(
            embedded.state,
            gone.world.clock,
            "r",
            dates=(),
            phase=None,
            processor=None,
            signature=None,
            why="it is back",
        )
    assert gone.go_on().status is RunStatus.COMPLETED
    assert gone.world.report().tasks["empty_ok"] == 2, "the bootstrap dates"


def test_a_later_run_asks_the_source_again(tmp_path: Path) -> None:
    gone = Gone(tmp_path)
    gone.waive()
    gone.go_on()
    with gone.world.open() as embedded:
        gone.world.begin(embedded, "again")
        letters = embedded.state.plan("again").letters
    assert (letters["fetch/b"], letters["raw/b"]) == ("nrnn", "araa")


def test_nobody_signs_for_a_processor_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown processor 'c'"):
        Gone(tmp_path).waive(processor="c")
