"""What is in the way of forgetting a run, and what a run that is being forgotten refuses."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from phasegate.adapters.embedded.state import SqliteState
from phasegate.bootstrap import Embedded
from phasegate.domain.errors import InputError
from phasegate.domain.state.facts import AttemptKey
from phasegate.ports import ClaimRequest
from phasegate.services.operating import operators
from phasegate.services.operating.forgetting import forget, forgettable
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


def test_a_cancelled_run_whose_worker_may_be_writing_is_not_forgotten_before_its_time(
    world: World, home: Embedded
) -> None:
    now = world.clock.now()
    until = now + timedelta(minutes=5)
    home.state.claim("r", [ClaimRequest(AttemptKey(world.days[0], "fetch", "a", 1), 1, 1, (), until)], now)
    operators.cancel(home.state, "r")
    said = rf"run 'r' cannot be forgotten: its workers may be writing until {until:%Y-%m-%d %H:%M:%S} UTC; try again"
    with pytest.raises(InputError, match=said):
        forgettable(home.state, now, "r", None)
    assert forgettable(home.state, until - timedelta(seconds=1), None, 0) == []
    assert [each.run_id for each in forgettable(home.state, until, "r", None)] == ["r"]


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
    forget(home.state, now, forgettable(home.state, now, "r", None))
    assert home.state.runs() == []
