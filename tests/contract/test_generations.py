"""Later generations of a plan, in every state."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.errors import UnknownRun, UnreadableRun
from phasegate.domain.plan import FIRST, Plan, generation_name, regenerate
from phasegate.domain.state.facts import Cell, GroupState
from phasegate.domain.state.run import Refresh, Run
from tests.contract.conftest import DAYS, NOW, Backend, EmbeddedBackend, Step, create, dies, stays
from tests.contract.firestore import FirestoreBackend
from tests.contract.spoiling import change_stored, stored
from tests.unit.builders import game_date, plan


@pytest.fixture(params=["embedded", "firestore"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A state with the run ``r``, in SQLite and in Firestore."""
    made: Any
    if request.param == "firestore":
        request.getfixturevalue("firestore_emulator")
        made = FirestoreBackend()
    else:
        made = EmbeddedBackend(tmp_path)
    create(made.state)
    yield made
    if isinstance(made, EmbeddedBackend):
        made.close()


WHOEVER_READS = pytest.mark.parametrize("then", [stays, dies], ids=["in the same process", "in the next process"])


def later() -> Plan:
    """The plan, once its schedule has a game more on the first date and the last date no more."""
    now = Calendar.of([game_date(DAYS[0], "S1", games=3), *(game_date(day, "S1") for day in DAYS[1:-1])])
    return regenerate(plan(), plan().pipeline, now)


NAME = generation_name(FIRST, later())


def refresh(backend: Backend) -> Run:
    """Keep the generation, and have the run refer to it."""
    asked = Refresh(id="f1", plan=NAME, at=NOW)
    backend.state.keep_plan("r", NAME, later())
    return backend.state.change_run("r", lambda run: run.model_copy(update={"refreshes": (*run.refreshes, asked)}))


def stand_by_it(backend: Backend) -> None:
    """The conductor enters the generation, with a cell of the first date."""
    board, version = backend.state.board("r")
    board.plan = NAME
    cell = Cell(2, {"fetch": GroupState(2, NOW)}, {"a": 2}, NAME)
    assert backend.state.commit("r", board, version, {(DAYS[0], "fetch"): cell})


@WHOEVER_READS
def test_a_generation_is_read_as_it_was_kept_and_the_first_stays(backend: Backend, then: Step) -> None:
    backend.state.index("r")
    refresh(backend)
    then(backend)
    assert backend.state.plan("r", NAME) == later()
    assert backend.state.plan("r", NAME).hash == later().hash
    assert backend.state.index("r", NAME).plan.lost == (DAYS[-1],)
    assert backend.state.plan("r", FIRST) == plan()


@WHOEVER_READS
def test_the_run_stands_by_a_generation_once_its_board_does(backend: Backend, then: Step) -> None:
    backend.state.index("r")
    refresh(backend)
    then(backend)
    assert backend.state.plan("r") == backend.state.index("r").plan == plan(), "nobody has entered it yet"
    stand_by_it(backend)
    then(backend)
    assert backend.state.board("r")[0].plan == NAME
    assert backend.state.plan("r") == backend.state.index("r").plan == later()
    assert backend.state.scope("r") == plan().scope


def test_another_process_that_has_kept_a_plan_sees_the_next_one_at_once(backend: Backend) -> None:
    other = backend.beside()
    assert other.index("r").plan == plan()
    refresh(backend)
    stand_by_it(backend)
    assert other.index("r").plan == later()


@WHOEVER_READS
def test_a_date_says_by_which_generation_it_is_decided(backend: Backend, then: Step) -> None:
    refresh(backend)
    stand_by_it(backend)
    then(backend)
    found = backend.state.dates("r", DAYS[:2])
    assert [found[day].plan for day in DAYS[:2]] == [NAME, FIRST]


def test_a_generation_that_is_kept_twice_is_kept_once_and_one_that_nobody_refers_to_changes_nothing(
    backend: Backend,
) -> None:
    before = stored(backend.state, "r")
    backend.state.keep_plan("r", NAME, later())
    backend.state.keep_plan("r", NAME, later())
    backend.reopen()
    assert stored(backend.state, "r") == before
    assert backend.state.plan("r") == plan()
    assert backend.state.plan("r", NAME) == later()


def test_a_generation_that_is_not_there_makes_the_run_unreadable_and_no_other_one(backend: Backend) -> None:
    create(backend.state, "other")
    refresh(backend)
    backend.state.keep_plan("other", generation_name(NAME, plan()), plan())
    with pytest.raises(UnreadableRun, match="the plan '0003-0' of run 'r' is not kept here"):
        backend.state.index("r", "0003-0")
    with pytest.raises(UnreadableRun, match="is not kept here"):
        backend.state.plan("other", NAME)
    assert backend.state.plan("other") == plan()
    with pytest.raises(UnknownRun):
        backend.state.plan("q")


def test_a_version_that_knows_no_generations_finds_a_key_that_it_refuses(backend: Backend) -> None:
    assert "refreshes" not in stored(backend.state, "r"), "a run without one is what it always was"
    board: dict[str, Any] = {}
    change_stored(backend.state, "board", "r", board.update)
    assert "plan" not in board
    refresh(backend)
    found = stored(backend.state, "r")
    assert "refreshes" in found
    assert "schema_minor" not in found, "it says nowhere that the key may be ignored (decision 23)"


def test_a_run_that_is_forgotten_takes_its_generations_with_it(backend: Backend) -> None:
    refresh(backend)
    stand_by_it(backend)
    backend.state.forget_run("r", NOW + timedelta(days=1))
    backend.reopen()
    with pytest.raises(UnreadableRun):
        backend.state.plan("r", NAME)
