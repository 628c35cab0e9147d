"""A retry on the board: what runs again, what is taken back, and what is left alone."""

from typing import Any

import pytest

from phasegate.domain.decisions.retry import Changes, reach, reopen, retry_targets
from phasegate.domain.errors import YIELDS_NOTHING
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.state.board import BoardLetter
from phasegate.domain.state.run import RetryIntent, RunStatus
from phasegate.domain.state.unsound import Failure, NotRun
from tests.unit.builders import Change, Conduct, calendar, days
from tests.unit.run.test_advance import through, unlimited, walled
from tests.world import START

Document = dict[str, Any]
GROUPS = ("fetch", "raw", "shape.1", "shape.2", "final")


def finished_but_for(group: str, letter: str, change: Change = unlimited, **bad: str) -> Conduct:
    """A run of six dates at rest; on the first date one release group ended badly, everything else that could pass
    did."""
    conduct = Conduct(change)
    released = conduct.advance()
    while released:
        outcomes = []
        for name, position in sorted(released):
            is_bad = (name, position) == (group, 0)
            outcomes += conduct.ends(name, position, letter=letter, **bad) if is_bad else conduct.ends(name, position)
        released = conduct.advance(*outcomes)
    return conduct


def retry(conduct: Conduct, *targets: tuple[int, str]) -> Changes:
    """Reopen (position, ref) pairs."""
    changes = reach(conduct.index, conduct.board, [(conduct.index.days[p], ref) for p, ref in targets])
    reopen(conduct.index, conduct.board, changes)
    return changes


def redo(cells: Changes) -> dict[tuple[int, str], set[str]]:
    """Which processors run again, by cell."""
    return {at: cell.redo for at, cell in cells.items() if cell.redo}


def test_failed_work_runs_again_by_itself() -> None:
    conduct = finished_but_for("raw", BoardLetter.FAILED, a="why")
    assert redo(retry(conduct, (0, "raw/a"))) == {(0, "raw"): {"a"}}


def test_work_that_found_nothing_yet_runs_again_from_its_source() -> None:
    conduct = finished_but_for("raw", BoardLetter.FAILED, a="why")
    conduct.board.bad[conduct.index.days[0]]["raw/a"] = Failure(ErrorClass.NOT_YET, "no rows, and 4 are due")
    assert redo(retry(conduct, (0, "raw/a"))) == {(0, "fetch"): {"a"}, (0, "raw"): {"a"}}


@pytest.mark.parametrize("error_class", [ErrorClass.BUG, ErrorClass.TRANSIENT])
def test_work_that_would_have_emptied_a_table_runs_again_from_its_source(error_class: ErrorClass) -> None:
    conduct = finished_but_for("raw", BoardLetter.FAILED, a="why")
    said = f"raw.a of 2024-01-01 holds 4 rows, which no attempt wrote, {YIELDS_NOTHING}"
    conduct.board.bad[conduct.index.days[0]]["raw/a"] = Failure(error_class, said)
    assert redo(retry(conduct, (0, "raw/a"))) == {(0, "fetch"): {"a"}, (0, "raw"): {"a"}}


def test_blocked_work_runs_again_from_its_source() -> None:
    conduct = finished_but_for("raw", BoardLetter.BLOCKED, a="2 of 4 rows")
    assert redo(retry(conduct, (0, "raw/a"))) == {(0, "fetch"): {"a"}, (0, "raw"): {"a"}}


def test_blocked_work_reads_its_way_back_through_earlier_phases() -> None:
    conduct = finished_but_for("shape.1", BoardLetter.BLOCKED, left="2 of 4 rows")
    found = redo(retry(conduct, (0, "shape/left")))
    assert {at: found[at] for at in ((0, "fetch"), (0, "raw"))} == {(0, "fetch"): {"a"}, (0, "raw"): {"a"}}


def test_reopened_lanes_are_released_and_no_longer_bad() -> None:
    conduct = finished_but_for("raw", BoardLetter.FAILED, a="why")
    retry(conduct, (0, "raw/a"))
    assert (conduct.board.letter("raw", 0), conduct.board.bad) == (BoardLetter.RELEASED, {})


def test_what_was_not_run_for_a_failed_need_is_no_target_of_its_own() -> None:
    conduct = finished_but_for("shape.1", BoardLetter.FAILED, left="why")
    conduct.board.bad[conduct.index.days[0]]["shape/right"] = NotRun("not run")
    intent = RetryIntent(id="x", at=START)
    assert retry_targets(conduct.board, conduct.index.plan, intent) == [(conduct.index.days[0], "shape/left")]


def test_lanes_that_stand_on_reopened_work_are_taken_back() -> None:
    conduct = finished_but_for("shape.1", BoardLetter.BLOCKED, left="2 of 4 rows")
    retry(conduct, (0, "shape/left"))
    assert (conduct.board.letter("shape.1", 0), conduct.board.letter("shape.2", 0)) == (
        BoardLetter.PENDING,
        BoardLetter.PENDING,
    )


def test_later_dates_that_looked_back_on_reopened_work_are_taken_back_with_all_that_stands_on_them() -> None:
    conduct = Conduct(unlimited)
    conduct.pass_all()
    cells = retry(conduct, (0, "shape/left"))
    assert conduct.strips() == {
        "fetch": "pppppp",
        "raw": "pppppp",
        "shape.1": "rppppp",
        "shape.2": "p...pp",
        "final": "....pp",
    }
    assert {at: cell.redo for at, cell in cells.items()} == {
        (0, "shape"): {"left", "right"},
        **{(p, "shape"): {"ahead"} for p in (1, 2, 3)},
        **{(p, "final"): {"total", "note"} for p in (0, 1, 2, 3)},
    }


def test_reopened_work_does_not_reach_into_the_next_season() -> None:
    conduct = Conduct(unlimited, among=calendar(days(2), days(2, days(400)[-1])))
    conduct.pass_all()
    retry(conduct, (1, "shape/left"))
    assert all(strip[2:] == "pp" for strip in conduct.strips().values())


def test_lanes_that_were_never_released_are_left_alone() -> None:
    conduct = finished_but_for("raw", BoardLetter.BLOCKED, a="2 of 4 rows")
    assert {phase for _, phase in retry(conduct, (0, "raw/a"))} == {"fetch", "raw"}


def test_after_a_retry_that_passes_the_run_completes() -> None:
    conduct = finished_but_for("shape.1", BoardLetter.BLOCKED, left="2 of 4 rows")
    retry(conduct, (0, "shape/left"))
    opened = {
        (n, p)
        for n, strip in conduct.strips().items()
        for p, letter in enumerate(strip)
        if letter == BoardLetter.RELEASED
    }
    outcomes = [o for name, p in opened for o in conduct.ends(name, p)]
    released = conduct.advance(*outcomes)
    while released:
        released = conduct.advance(*(o for name, p in released for o in conduct.ends(name, p)))
    assert conduct.board.status is RunStatus.COMPLETED


def test_a_retry_lifts_a_halt() -> None:
    conduct = finished_but_for("raw", BoardLetter.FAILED, a="why")
    conduct.board.halted_because = "raw: 1 date(s) ended badly"
    retry(conduct, (0, "raw/a"))
    conduct.advance()
    assert conduct.board.halted_because == ""


def test_a_retry_has_what_lies_outside_the_run_judged_anew() -> None:
    conduct = Conduct(unlimited, selected=days(4)[2:], among=calendar(days(4)))
    conduct.board.outside = {"shape/left": {days(4)[1]: "left: no rows"}}
    retry(conduct)
    assert conduct.board.outside is None


def test_what_needs_reopened_work_in_a_lane_that_was_never_released_still_waits_for_its_edges() -> None:
    """``ahead`` looks back and was never released on the second date; a retry of what it needs must not release it."""

    def ahead_needs_right(document: Document) -> None:
        unlimited(document)
        document["phases"][2]["processors"][2]["needs"] = ["right"]

    conduct = Conduct(ahead_needs_right, dates=2)
    through(conduct, "fetch", "raw")
    conduct.advance(*conduct.ends("shape.1", 1, letter=BoardLetter.FAILED, right="why"))
    assert conduct.strips()["shape.2"] == "r."
    retry(conduct, (1, "shape/right"))
    assert conduct.strips()["shape.2"] == "r."


def test_what_needs_a_withdrawn_task_from_another_lane_is_taken_back_with_it() -> None:
    """``right`` needs ``ahead``, whose window reads ``left`` of the date before: both must run again."""

    def right_needs_ahead(document: Document) -> None:
        unlimited(document)
        document["phases"][2]["processors"][1]["needs"] = ["ahead"]
        document["phases"][2]["gates"][1]["for"] = ["ahead"]

    conduct = Conduct(right_needs_ahead, dates=2)
    conduct.pass_all()
    cells = retry(conduct, (0, "shape/left"))
    assert "ahead" in cells[1, "shape"].redo
    group = conduct.index.by_ref["shape/right"].group
    assert conduct.board.letter(conduct.index.groups[group].name, 1) != "p"


def test_behind_a_barrier_too_work_is_taken_back_until_what_it_reads_has_run_again() -> None:
    """``total`` reads ``right``; the barrier between them must hold again before ``total`` may start."""

    def reads_right(document: Document) -> None:
        walled("run")(document)
        document["phases"][3]["processors"][0]["reads"] = ["shape/right"]

    conduct = finished_but_for("final", BoardLetter.BLOCKED, reads_right, total="0 of 1 rows")
    retry(conduct, (0, "final/total"))
    assert conduct.board.letter("shape.1", 0) != "p"
    assert conduct.board.letter("final", 0) == BoardLetter.PENDING
