"""A waiver lets a blocked check pass on some dates, until it ends."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.bootstrap import Embedded
from phasegate.domain.errors import InputError
from phasegate.domain.state.board import BoardLetter
from phasegate.domain.state.facts import BLOCK
from phasegate.domain.state.run import RunStatus, Waiver
from phasegate.services.operating.decisions import moment, waive
from phasegate.services.reading.progress import progress_document, report
from tests.world import World

RANGE = {"check": "range", "column": "v", "min": 0, "max": 500}


def ranged(document: dict[str, Any]) -> None:
    """Values of ``raw.a`` have a range."""
    document["phases"][1]["processors"][0]["checks"].append(dict(RANGE))


def ranged_and_approved(document: dict[str, Any]) -> None:
    """The same, and a person lets ``shape`` go."""
    ranged(document)
    document["phases"][2]["gates"].append({"check": "approval"})


class Blocked:
    """A world in which one value of ``raw.a`` on the second date is out of range, driven until nothing moves."""

    def __init__(self, folder: Path, change: Any = ranged, dates: int = 4) -> None:
        self.world = World(folder, dates=dates, change=change)
        self.day = self.world.days[1]
        data = self.world.data()
        data["a"][str(self.day)][0]["v"] = 1000
        self.world.rewrite(data)
        self.board = self.world.run(reprocess="all")

    def waive(self, *, hours: int = 24, **more: Any) -> Waiver:
        """Let it pass for some hours."""
        asked: dict[str, Any] = {"dates": [self.day], "check": "range", "phase": "raw", "processor": None}
        until = (self.world.clock.now() + timedelta(hours=hours)).isoformat()
        with self.world.open() as embedded:
            return waive(
                embedded.state, self.world.clock, "r", until=until, by="ann", why="a record", **(asked | more)
            )[1]

    def letter(self, group: str, position: int = 1) -> str:
        """A letter of the board."""
        return self.board.letter(group, position)

    def go_on(self) -> None:
        """Drive until nothing moves."""
        with self.world.open() as embedded:
            self.board = embedded.drive("r", stop=self._after(hours=1))

    def _after(self, hours: int) -> Any:
        end = self.world.clock.now() + timedelta(hours=hours)
        return lambda: self.world.clock.now() > end

    def reconcile(self, what: Any) -> Any:
        """Something of the open home."""
        with self.world.open() as embedded:
            return what(embedded)

    def claims(self) -> int:
        """Attempts so far of the phases up to ``raw`` on the date."""
        return int(
            self.reconcile(
                lambda e: e.database.execute(
                    "SELECT COUNT(*) FROM claims WHERE day = ? AND phase IN ('fetch', 'raw')", [str(self.day)]
                ).fetchone()[0]
            )
        )


def verdict_of(blocked: Blocked, check: str = "range") -> Any:
    """The verdict on ``raw.a`` of the date, as it is stored."""
    facts = blocked.reconcile(lambda e: e.state.dates("r", [blocked.day])[blocked.day])
    return next(v for v in facts.cells["raw"].groups["raw"].verdicts if (v.subject, v.check) == ("a", check))


def test_a_waived_lane_passes_without_a_new_attempt_and_the_run_completes(tmp_path: Path) -> None:
    blocked = Blocked(tmp_path)
    assert (blocked.board.status, blocked.letter("raw")) == (RunStatus.COMPLETED_WITH_FAILURES, BoardLetter.BLOCKED)
    before = blocked.claims()
    waiver = blocked.waive()
    blocked.go_on()
    assert (blocked.board.status, blocked.letter("raw")) == (RunStatus.COMPLETED, BoardLetter.PASSED)
    assert blocked.claims() == before
    found = verdict_of(blocked)
    assert (found.outcome, found.waived_by, found.expected, found.found) == (BLOCK, waiver.id, 4, 3)


def test_what_passes_by_a_waiver_stands_in_the_status(tmp_path: Path) -> None:
    blocked = Blocked(tmp_path)
    waiver = blocked.waive()
    blocked.go_on()
    document: Any = progress_document(blocked.world.report())
    (listed,) = document["waivers"]
    assert (listed["id"], listed["by"], listed["why"], listed["in_force"]) == (waiver.id, "ann", "a record", True)
    assert [(p["date"], p["processor"], p["check"]) for p in listed["passed"]] == [(str(blocked.day), "a", "range")]


def test_a_waiver_made_before_the_check_blocks_counts_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2, change=ranged)
    data = world.data()
    data["a"][str(world.days[1])][0]["v"] = 1000
    world.rewrite(data)
    with world.open() as embedded:
        world.begin(embedded)
        until = (world.clock.now() + timedelta(days=1)).isoformat()
        scope: dict[str, Any] = {"dates": [world.days[1]], "check": "range", "phase": None, "processor": "p2_a"}
        waive(embedded.state, world.clock, "r", until=until, by="ann", why="known", **scope)
        assert embedded.drive("r").status is RunStatus.COMPLETED


@pytest.mark.parametrize(
    "scope",
    [{"check": "rows"}, {"phase": "shape", "check": "rows"}, {"processor": "b", "check": "rows"}],
    ids=["another check", "another phase", "another processor"],
)
def test_a_waiver_lets_nothing_pass_beyond_its_scope(tmp_path: Path, scope: dict[str, Any]) -> None:
    blocked = Blocked(tmp_path, dates=2)
    blocked.waive(**scope)
    blocked.go_on()
    assert (blocked.board.status, blocked.letter("raw")) == (RunStatus.COMPLETED_WITH_FAILURES, BoardLetter.BLOCKED)


def test_when_it_ends_the_lane_is_blocked_again_and_nothing_more_is_released_on_it(tmp_path: Path) -> None:
    blocked = Blocked(tmp_path, ranged_and_approved)
    blocked.waive(hours=2)
    blocked.go_on()
    assert (blocked.board.status, blocked.letter("raw")) == (RunStatus.WAITING, BoardLetter.PASSED)
    blocked.world.clock.move_to(blocked.world.clock.now() + timedelta(hours=3))
    blocked.go_on()
    assert (blocked.letter("raw"), blocked.letter("shape.1"), verdict_of(blocked).waived_by) == (
        BoardLetter.BLOCKED,
        BoardLetter.PENDING,
        "",
    )
    blocked.reconcile(lambda e: approved(blocked, e))
    blocked.go_on()
    assert blocked.board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert blocked.board.groups["shape.1"].decode() == "p.pp", "the other dates went on"
    blocked.waive(hours=2)
    blocked.go_on()
    assert blocked.board.status is RunStatus.COMPLETED, "a new one lets it pass again"


def test_a_retry_releases_nothing_on_a_waiver_that_has_ended(tmp_path: Path) -> None:
    """What a retry brings about is decided in the same round as everything else that has changed."""
    from phasegate.services.operating.operators import retry

    World(tmp_path, dates=4, change=ranged_and_approved).misbehave(raw__b__3=["fail:unrecoverable"])
    blocked = Blocked(tmp_path, ranged_and_approved)
    blocked.waive(hours=2)
    blocked.go_on()
    assert (blocked.letter("raw"), blocked.letter("shape.1")) == (BoardLetter.PASSED, BoardLetter.PENDING)
    blocked.world.clock.move_to(blocked.world.clock.now() + timedelta(hours=3))
    blocked.reconcile(lambda e: approved(blocked, e))
    blocked.reconcile(
        lambda e: retry(e.state, blocked.world.clock, "r", dates=(), phase=None, processor="b", signature=None, why="")
    )
    blocked.go_on()
    assert (blocked.letter("raw"), blocked.board.groups["shape.1"].decode()) == (BoardLetter.BLOCKED, "p.pp")


def approved(blocked: Blocked, embedded: Embedded) -> None:
    """A person lets ``shape`` go."""
    from phasegate.services.operating.decisions import approve

    approve(embedded.state, blocked.world.clock, "r", "shape", by="ann", why="")


def test_a_run_that_is_over_stays_as_it_ended(tmp_path: Path) -> None:
    blocked = Blocked(tmp_path, dates=2)
    blocked.waive(hours=1)
    blocked.go_on()
    blocked.world.clock.move_to(blocked.world.clock.now() + timedelta(hours=9))
    blocked.go_on()
    assert (blocked.board.status, blocked.letter("raw")) == (RunStatus.COMPLETED, BoardLetter.PASSED)


def test_what_failed_stays_failed(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2, change=ranged)
    world.misbehave(raw__b__1=["fail:unrecoverable"])
    blocked = Blocked(tmp_path, dates=2)
    blocked.waive()
    blocked.go_on()
    assert (blocked.board.status, blocked.letter("raw")) == (RunStatus.COMPLETED_WITH_FAILURES, BoardLetter.FAILED)
    assert list(blocked.board.bad[blocked.day]) == ["raw/b"]


def test_a_waiver_and_a_retry_after_mending_do_not_meet_in_each_others_way(tmp_path: Path) -> None:
    from phasegate.services.operating.operators import retry

    blocked = Blocked(tmp_path, dates=2)
    waiver = blocked.waive()
    blocked.reconcile(
        lambda e: retry(e.state, blocked.world.clock, "r", dates=(), phase=None, processor=None, signature=None, why="")
    )
    blocked.go_on()
    assert blocked.board.status is RunStatus.COMPLETED
    assert verdict_of(blocked).waived_by == waiver.id


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"check": "ranges"}, "--check: nothing of raw is checked by 'ranges'; did you mean 'range'?"),
        ({"check": "range", "processor": "b"}, "--check: nothing of b is checked by 'range'"),
        ({"processor": "c"}, "--processor: unknown processor 'c'"),
        ({"phase": "raaw"}, "--phase: unknown phase 'raaw'; did you mean 'raw'?"),
        ({"dates": []}, "--date: give 1 to 200 dates a waiver, not 0"),
        ({"hours": -1}, "is past; a waiver needs an end that is still to come"),
    ],
    ids=str,
)
def test_a_waiver_of_nothing_is_refused_and_leaves_no_trace(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    blocked = Blocked(tmp_path, dates=2)
    with pytest.raises(InputError) as caught:
        blocked.waive(**more)
    assert message in str(caught.value)
    assert blocked.reconcile(lambda e: e.state.run("r").waivers) == ()


def test_a_completed_run_has_nothing_left_to_waive(tmp_path: Path) -> None:
    world = World(tmp_path, dates=1)
    world.run()
    with world.open() as embedded, pytest.raises(InputError, match="is completed: there is nothing left to waive"):
        waive(
            embedded.state, world.clock, "r", dates=world.days, check="rows", phase=None, processor=None,
            until="2027-01-01", by="ann", why="w",
        )  # fmt: skip
    assert world.report().by_people.waivers == ()


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-07-01", "2026-07-02T04:00"),
        ("2026-11-01", "2026-11-02T05:00"),
        ("2026-07-01T18:30", "2026-07-01T22:30"),
        ("2026-07-01T18:30Z", "2026-07-01T18:30"),
        ("2026-07-01T18:30:00+02:00", "2026-07-01T16:30"),
    ],
)
def test_an_end_is_meant_in_the_pipelines_time_zone_and_a_date_is_included(text: str, utc: str) -> None:
    assert moment(text, "America/New_York").strftime("%Y-%m-%dT%H:%M") == utc


OTHER_FORMS = ["20260701", "2026-W27-3", "2026W273", "20260701T1830", "2026-07-01 18:30", "2026-07-01T18", "2026-182"]


@pytest.mark.parametrize("text", ["tomorrow", "2026-02-30", "2026-13-01T10:00", "", "9999-12-31", *OTHER_FORMS])
def test_an_end_that_is_no_time_or_is_written_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--until: .* is no date or time"):
        moment(text, "America/New_York")


def test_the_status_counts_by_the_moment_at_which_it_is_asked(tmp_path: Path) -> None:
    blocked = Blocked(tmp_path, dates=2)
    waiver = blocked.waive(hours=1)
    late = blocked.reconcile(lambda e: progress_document(report(e.state, "r", waiver.until)))
    assert late["waivers"][0]["in_force"] is False
