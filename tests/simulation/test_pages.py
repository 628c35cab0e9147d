"""What one pass of the conductor, or one look, reads and writes is bounded, however much there is to do."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.state import SqliteState
from phasegate.bootstrap import Embedded
from phasegate.domain.errors import CommitTooLarge
from phasegate.domain.state.board import Board, Unasked
from phasegate.domain.state.facts import Cell
from phasegate.domain.state.run import RunStatus
from phasegate.report.explain import explain
from phasegate.services.operating import operators
from phasegate.services.running.conductor import Conductor
from phasegate.services.running.judge import Judge, Judgement
from tests.world import World

DATES = 9
PAGE = 4


def before_each_commit(patch: pytest.MonkeyPatch, look: Callable[[set[date]], object]) -> None:
    """Call ``look`` with the dates of each commit, before it is made."""
    commit = SqliteState.commit

    def looked_at(
        state: SqliteState,
        run_id: str,
        board: Board,
        version: int,
        cells: Mapping[tuple[date, str], Cell],
        proofs: Any = (),
    ) -> bool:
        look({day for day, _ in cells} | {key.day for key, _ in proofs})
        return commit(state, run_id, board, version, cells, proofs)

    patch.setattr(SqliteState, "commit", looked_at)


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[set[date]]:
    """The dates of each commit of a world in which a pass takes four."""
    written: list[set[date]] = []
    before_each_commit(monkeypatch, written.append)
    monkeypatch.setattr("phasegate.services.running.conductor.MOST_DATES", PAGE)
    return written


def all_fetches_fail(document: dict[str, Any]) -> None:
    """Phase 1 alone matters here: it fails everywhere, at once, and all dates may be active."""
    document["phases"][0]["failure"] = {"retries": 0}
    del document["phases"][0]["limits"]


def failed_everywhere(folder: Path) -> World:
    """A run of nine dates of which the first task failed on each, and that was mended since."""
    world = World(folder, dates=DATES, change=all_fetches_fail)
    world.misbehave(**{f"fetch__a__{n}": ["fail:bug"] for n in range(DATES)})
    assert world.run().status is RunStatus.COMPLETED_WITH_FAILURES
    world.misbehave()
    return world


def conductor(embedded: Embedded) -> Conductor:
    """The conductor of a home that is not driven."""
    found: Conductor = embedded.engine("r")._handlers.conductor  # type: ignore[attr-defined]
    return found


def ask_again(world: World, embedded: Embedded) -> None:
    """Ask for everything that failed."""
    everything: Any = {"dates": (), "phase": None, "processor": None, "signature": None}
    operators.retry(embedded.state, world.clock, "r", why="mended", **everything)


def test_a_retry_is_entered_in_pages_and_the_run_completes(tmp_path: Path, pages: list[set[date]]) -> None:
    world = failed_everywhere(tmp_path)
    with world.open() as embedded:
        ask_again(world, embedded)
        pages.clear()
        board = embedded.drive("r")
    assert (board.status, board.retrying) == (RunStatus.COMPLETED, None)
    assert [len(page) for page in pages[:2]] == [4, 4] and set().union(*pages[:3]) == set(world.days)


def test_each_date_is_raised_once_by_a_retry_in_pages(tmp_path: Path, pages: list[set[date]]) -> None:
    world = failed_everywhere(tmp_path)
    with world.open() as embedded:
        ask_again(world, embedded)
        embedded.drive("r")
        facts = embedded.state.dates("r", world.days)
    assert {each.cells["fetch"].generation for each in facts.values()} == {2}
    assert {len(each.tasks["fetch", "a"]) for each in facts.values()} == {2}


def test_a_run_whose_retry_is_half_entered_is_unfinished_so_that_the_sweeper_finds_it(
    tmp_path: Path, pages: list[set[date]]
) -> None:
    world = failed_everywhere(tmp_path)
    with world.open() as embedded:
        ask_again(world, embedded)
        assert embedded.state.unfinished() == []
        conducting = conductor(embedded)
        board = conducting.conduct("r")
        assert board.retrying is not None and board.retrying.through == world.days[PAGE - 1]
        assert embedded.state.unfinished() == ["r"]


def test_a_retry_that_is_half_entered_when_the_run_is_cancelled_goes_no_further(
    tmp_path: Path, pages: list[set[date]]
) -> None:
    world = failed_everywhere(tmp_path)
    with world.open() as embedded:
        ask_again(world, embedded)
        conducting = conductor(embedded)
        conducting.conduct("r")
        operators.cancel(embedded.state, "r")
        board = conducting.conduct("r")
        assert board.status is RunStatus.CANCELLED and board.is_over(embedded.state.run("r"))
    assert sum(len(page) for page in pages[-2:]) == PAGE


def test_what_one_pass_reads_to_judge_is_bounded_when_everything_settles_at_once(
    tmp_path: Path, pages: list[set[date]], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[int] = []
    judge = Judge.judge

    def noted(judge_: Judge, index: Any, dates: Any, *more: Any) -> Any:
        judged.append(len(dates))
        return judge(judge_, index, dates, *more)

    monkeypatch.setattr(Judge, "judge", noted)
    assert failed_everywhere(tmp_path)
    assert max(judged) == PAGE and sum(judged) >= DATES


def test_dates_that_are_asked_again_and_dates_that_settled_share_a_pass(
    tmp_path: Path, pages: list[set[date]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, judged = World(tmp_path, dates=DATES, change=all_fetches_fail), list[set[date]]()

    def noted(_: Judge, index: Any, dates: Any, *more: Any) -> Judgement:
        judged.append(set(dates))
        return Judgement(dates, [], [], {})

    with world.open() as embedded:
        world.begin(embedded)
        board, version = embedded.state.board("r")
        board.unjudged = {day: Unasked(1, world.clock.now(), "quota") for day in world.days[:6]}
        embedded.state.commit("r", board, version, {})
        embedded.state.mark_at_rest("r", world.days[6:])
        monkeypatch.setattr(Judge, "judge", noted)
        for _ in range(3):
            conductor(embedded).conduct("r")
    assert judged == [
        set(world.days[:2] + world.days[6:8]),
        set(world.days[2:4] + world.days[8:]),
        set(world.days[4:6]),
    ]


def test_a_pass_that_one_commit_does_not_take_is_made_again_over_fewer_dates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, written = list[int](), list[int]()

    def limited(days: set[date]) -> None:
        if len(days) > PAGE:
            refused.append(len(days))
            raise CommitTooLarge(f"{len(days)} dates")
        written.append(len(days))

    undisturbed = World(tmp_path / "undisturbed", dates=DATES).run()
    before_each_commit(monkeypatch, limited)
    board = World(tmp_path, dates=DATES).run()
    assert board.status is RunStatus.COMPLETED
    assert refused and set(written) <= set(range(PAGE + 1))
    assert undisturbed.groups == board.groups


def test_what_is_tried_again_is_explained_by_reading_the_released_dates_in_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, dates=DATES, change=lambda d: d["phases"][0].pop("limits"))
    world.misbehave(**{f"fetch__a__{n}": ["fail:transient"] * 9 for n in range(DATES)})
    read: list[int] = []
    dates = SqliteState.dates

    def noted(state: SqliteState, run_id: str, days: Any) -> Any:
        read.append(len(days))
        return dates(state, run_id, days)

    with world.open() as embedded:
        world.begin(embedded)
        failed = iter(range(3 * DATES))
        embedded.drive("r", stop=lambda: next(failed, None) is None)
        monkeypatch.setattr(SqliteState, "dates", noted)
        monkeypatch.setattr("phasegate.report.explain.DATES_AT_ONCE", PAGE)
        roots = explain(embedded.state, "r", None, None).roots
    assert [(root.day, root.kind) for root in roots] == [(day, "being tried again") for day in world.days]
    assert read == [PAGE, PAGE, 1]
