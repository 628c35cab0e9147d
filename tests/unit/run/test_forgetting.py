"""What is in the way of forgetting a run, and what a run that is being forgotten refuses."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from phasegate.adapters.embedded.state import SqliteState, open_state
from phasegate.bootstrap import Embedded
from phasegate.domain.errors import InputError
from phasegate.domain.state.board import BoardLetter
from phasegate.domain.state.facts import AttemptKey
from phasegate.domain.state.run import DesiredState, Run, RunStatus
from phasegate.ports import ClaimRequest
from phasegate.services.operating import operators
from phasegate.services.operating.forgetting import MOST_DAYS, all_forgettable, close, forget, forgettable
from phasegate.services.reading.earlier_runs import made_from_another_source
from tests.contract.spoiling import change_stored, newer_layout
from tests.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world of one date."""
    return World(tmp_path, dates=1)


@pytest.fixture
def home(world: World) -> Iterator[Embedded]:
    """A home with the run ``r``, which nobody has driven."""
    with world.open() as opened:
        world.begin(opened)
        yield opened


def at_work(home: Embedded, world: World, run_id: str, halted_because: str = "") -> datetime:
    """Let a worker be under way on the date of a run, which may halt over it; until when the worker may write."""
    now = world.clock.now()
    until = now + timedelta(minutes=5)
    home.state.claim(run_id, [ClaimRequest(AttemptKey(world.days[0], "fetch", "a", 1), 1, 1, (), until)], now)
    board, version = home.state.board(run_id)
    board.set_letter(next(iter(board.groups)), 0, BoardLetter.RELEASED)
    if halted_because:
        board.status, board.halted_because, board.finished_at = RunStatus.HALTED, halted_because, now
    assert home.state.commit(run_id, board, version, {})
    return until


def test_a_cancelled_run_whose_worker_may_be_writing_is_not_forgotten_before_its_time(
    world: World, home: Embedded
) -> None:
    now, until = world.clock.now(), at_work(home, world, "r")
    operators.cancel(home.state, "r")
    said = rf"run 'r' cannot be forgotten: its workers may be writing until {until:%Y-%m-%d %H:%M:%S} UTC; try again"
    with pytest.raises(InputError, match=said):
        forgettable(home.state, now, "r")
    found, (left_out,) = all_forgettable(home.state, until - timedelta(seconds=1), 0)
    assert (found, left_out.run_id, "may be writing until" in left_out.why) == ([], "r", True)
    assert forgettable(home.state, until, "r").run_id == "r"


def test_a_retry_that_comes_while_a_run_is_being_forgotten_is_refused(
    world: World, home: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.misbehave(raw__a__0=["fail:bug"])
    home.drive("r")
    forget_run = SqliteState.forget_run

    def meanwhile(state: SqliteState, run_id: str, now: object) -> None:
        with pytest.raises(InputError, match="was cancelled"):
            operators.retry(
                state, world.clock, "r", dates=(), phase=None, processor=None, signature=None, why="too late"
            )
        forget_run(state, run_id, now)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteState, "forget_run", meanwhile)
    now = world.clock.now()
    closed, _ = close(home.state, now, [forgettable(home.state, now, "r")])
    forget(home.state, now, closed)
    assert home.state.runs() == []


def test_a_halted_run_whose_worker_may_be_writing_is_left_as_it_is(world: World, home: Embedded) -> None:
    """It could be resumed: forgetting it must not cancel it, and then refuse."""
    world.begin(home, "s")
    until = max(at_work(home, world, run_id, "it reads too much") for run_id in ("r", "s"))
    now = world.clock.now()
    with pytest.raises(InputError, match="run 'r' cannot be forgotten: its workers may be writing until"):
        forgettable(home.state, now, "r")
    found, left_out = all_forgettable(home.state, now, 0)
    assert (found, sorted(each.run_id for each in left_out)) == ([], ["r", "s"])
    seen_before_the_claim = [forgettable(home.state, until, run_id) for run_id in ("r", "s")]
    closed, left_out = close(home.state, now, seen_before_the_claim)
    assert (closed, [each.run_id for each in left_out]) == ([], ["r", "s"]), "one does not stop the other"
    assert [run.desired_state for run in home.state.runs()] == [DesiredState.RUNNING] * 2
    assert [each.run_id for each in close(home.state, until, seen_before_the_claim)[0]] == ["r", "s"]


def test_a_run_that_was_retried_since_it_was_shown_is_not_cancelled(
    world: World, home: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.misbehave(raw__a__0=["fail:bug"])
    home.drive("r")
    now = world.clock.now()
    shown, change_run = [forgettable(home.state, now, "r")], SqliteState.change_run

    def just_before(state: SqliteState, run_id: str, change: Callable[[Run], Run]) -> Run:
        change_run(state, run_id, lambda run: run.model_copy(update={"why": "retried"}))
        return change_run(state, run_id, change)

    monkeypatch.setattr(SqliteState, "change_run", just_before)
    closed, (left_out,) = close(home.state, now, shown)
    assert (closed, left_out.why) == ([], "somebody changes it at this moment; look at it, then try again")
    assert home.state.run("r").desired_state is DesiredState.RUNNING


@pytest.mark.parametrize("what", ["run", "board", "plan"])
def test_one_run_that_cannot_be_read_is_left_out_and_the_others_are_not(
    world: World, home: Embedded, what: str
) -> None:
    world.begin(home, "s")
    operators.cancel(home.state, "s")
    until = at_work(home, world, "r", "it reads too much")
    change_stored(home.state, what, "r", newer_layout)
    state = open_state(world.home)
    found, (left_out,) = all_forgettable(state, until, 0)
    state.close()
    assert [each.run_id for each in found] == ["s"]
    assert (left_out.run_id, "use the version of the program that made it" in left_out.why) == ("r", True)


@pytest.mark.parametrize("days", [MOST_DAYS + 1, 99999999999])
def test_more_days_than_anybody_can_mean_are_refused(world: World, home: Embedded, days: int) -> None:
    assert all_forgettable(home.state, world.clock.now(), MOST_DAYS) == ([], [])
    with pytest.raises(InputError, match=f"--older-than: {days} is above {MOST_DAYS}, a hundred years"):
        all_forgettable(home.state, world.clock.now(), days)


def test_looking_for_runs_to_forget_reads_each_board_once_and_dates_of_none_that_has_ended(
    world: World, home: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A board may have a megabyte, and each date is a document of its own on Google Cloud."""
    home.drive("r")
    world.begin(home, "s", reprocess="all")
    operators.cancel(home.state, "s")
    read: list[object] = []
    board, open_claims = SqliteState.board, SqliteState.open_claims

    def counted(state: SqliteState, run_id: str) -> object:
        read.append(run_id)
        return board(state, run_id)

    def asked(state: SqliteState, run_id: str, days: Iterable[date] | None = None) -> object:
        read.append((run_id, None if days is None else list(days)))
        return open_claims(state, run_id, days)

    monkeypatch.setattr(SqliteState, "board", counted)
    monkeypatch.setattr(SqliteState, "open_claims", asked)
    found, _ = all_forgettable(home.state, world.clock.now(), 0)
    assert sorted(each.run_id for each in found) == ["r", "s"]
    assert sorted(read, key=str) == [("s", []), "r", "s"]


def test_rows_of_a_forgotten_run_are_still_known_to_be_of_its_source_folder(world: World, home: Embedded) -> None:
    """Else the next run, from another folder, would take them for its own."""

    def foreign(source: str) -> frozenset[date]:
        return made_from_another_source(home.state, "world", source, world.days)

    def forget_one(run_id: str) -> None:
        operators.cancel(home.state, run_id)
        now = world.clock.now()
        forget(home.state, now, close(home.state, now, [forgettable(home.state, now, run_id)])[0])

    assert (foreign(str(world.source)), foreign("/b")) == (frozenset(), frozenset(world.days))
    forget_one("r")
    assert (foreign(str(world.source)), foreign("/b")) == (frozenset(), frozenset(world.days))
    world.clock.move_to(world.clock.now() + timedelta(seconds=1))
    world.begin(home, "s")
    world.clock.move_to(world.clock.now() + timedelta(seconds=1))
    world.begin(home, "u")
    home.state.change_run("u", lambda run: run.model_copy(update={"source": "/b"}))
    assert (foreign(str(world.source)), foreign("/b")) == (frozenset(world.days), frozenset()), "the newest counts"
    forget_one("u")
    assert foreign("/b") == frozenset(), "also when older ones are left"
    other_pipeline = made_from_another_source(home.state, "another", "/b", world.days)
    assert other_pipeline == frozenset()


@pytest.mark.parametrize("source", ["/a", "/b"])
def test_next_to_a_run_that_cannot_be_read_a_forgotten_one_may_be_the_newer(
    world: World, home: Embedded, source: str
) -> None:
    world.begin(home, "s")
    for run_id, folder in (("r", "/a"), ("s", "/b")):
        home.state.change_run(run_id, lambda run, folder=folder: run.model_copy(update={"source": folder}))
    home.state.forget_run("r", world.clock.now())
    change_stored(home.state, "run", "s", newer_layout)
    state = open_state(world.home)
    assert made_from_another_source(state, "world", source, world.days) == frozenset(world.days)
    state.close()
