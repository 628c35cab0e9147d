"""The process dies before and after every effect; the next life brings the run to the same end."""

import copy
import random
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.home import Home
from phasegate.bootstrap import Embedded
from phasegate.domain.protocol.names import COMPLETIONS
from phasegate.services.operating.refresh import propose, refresh
from tests.conftest import FULL
from tests.simulation.effects import WRITERS, Crash, Effects
from tests.simulation.lives import ComparedWorld, MortalWorld, Outcome
from tests.world import write_source

pytestmark = pytest.mark.usefixtures("dates_at_once")

PARTS = 8
"""Into how many tests the boundaries of a run are dealt, so that several processes share the work."""

STEP = 1 if FULL else 8
"""Every boundary, or every eighth date by date and every eighth with batches."""

UNUSED = {
    "SqliteTasks.give_back",
    "SqliteState.change_run",
    "SqliteState.keep_plan",
    "SqliteState.quarantine",
    "SqliteState.extend",
    "SqliteState.note_heal",
}
"""Effects that an undisturbed run does not have. Changes of the run, generations of its plan and quarantine have tests
of their own below."""

AT_ONCE = timedelta(seconds=5)
"""Virtual time in which a new life ends the run: the first look finds what is due, without the next sweep."""

FINAL_COMMIT = "after SqliteState.commit"


def lived(world: MortalWorld) -> tuple[list[str], Outcome]:
    """Drive the world undisturbed: the boundaries that were passed, and what is left behind."""
    effects = Effects()
    world.live(effects)
    assert world.disagreements() == []
    return effects.reached, world.outcome()


def number_of_last(name: str, reached: list[str]) -> int:
    """The number of the last boundary of that name."""
    return len(reached) - reached[::-1].index(name)


def complaints(world: MortalWorld, undisturbed: Outcome, lives: list[Effects]) -> list[str]:
    """In what the run that died differs from the undisturbed one; and what was done twice."""
    where = " then ".join(effects.where for effects in lives[:-1])
    found = world.outcome()
    wrong = [
        f"{field}: {getattr(found, field)} is not {getattr(undisturbed, field)}"
        for field in Outcome.__dataclass_fields__
        if getattr(found, field) != getattr(undisturbed, field)
    ]
    wrong += world.disagreements()
    calls = Counter(attempt for effects in lives for attempt in effects.attempts)
    wrong += [f"the worker was called {n} times for {attempt}" for attempt, n in calls.items() if n > 1]
    return [f"{where}: {each}" for each in wrong]


def die_and_live(
    world: MortalWorld, undisturbed: Outcome, numbers: list[int], *, like: Home | None = None
) -> list[str]:
    """Die at these boundaries, a life each, and then live to the end: what is wrong afterwards."""
    with world.home_of_its_own(like):
        lives = [world.die_at(number) for number in numbers]
        lives.append(Effects())
        reborn = world.clock.now()
        world.live(lives[-1])
        took = world.clock.now() - reborn
        late = [f"{lives[0].where}: the last life took {took}"] if took > AT_ONCE else []
        return complaints(world, undisturbed, lives) + late


def test_an_undisturbed_run_passes_two_boundaries_of_every_effect(tmp_path: Path) -> None:
    reached, undisturbed = lived(MortalWorld(tmp_path))
    expected = {f"{kind.__name__}.{name}" for kind, names in WRITERS.items() for name in names} - UNUSED
    assert {name for name in reached if name.startswith("before")} == {f"before {name}" for name in expected}
    assert {name for name in reached if name.startswith("after")} == {f"after {name}" for name in expected}
    assert undisturbed.status == "completed" and undisturbed.tasks == {"expected": 18, "succeeded": 16, "empty_ok": 2}


@pytest.mark.parametrize("part", range(PARTS))
def test_a_crash_at_any_boundary_changes_nothing_in_the_end(tmp_path: Path, part: int) -> None:
    world = MortalWorld(tmp_path)
    reached, undisturbed = lived(world)
    numbers = range(1 + part, len(reached) + 1, PARTS * STEP)
    assert not [why for n in numbers for why in die_and_live(world, undisturbed, [n])]


@pytest.mark.parametrize("part", range(2))
def test_with_one_transaction_a_turn_a_crash_beside_any_commit_or_outer_effect_changes_nothing(
    tmp_path: Path, part: int
) -> None:
    """What a turn wrote to SQLite before its commit is gone in any case: only commits and other stores differ."""
    world = MortalWorld(tmp_path, atomic_turns=True)
    reached, undisturbed = lived(world)
    numbers = [n for n, name in enumerate(reached, 1) if "Sqlite" not in name]
    assert sum("commit" in name for name in reached) > 50 and len(numbers) > 75
    complaints = [why for n in numbers[part :: 2 * STEP] for why in die_and_live(world, undisturbed, [n])]
    # On a busy machine a life may have an effect more than the undisturbed one, so that its number is that of another.
    assert not [why for why in complaints if "Sqlite" not in why.partition(":")[0]]


def test_a_worker_that_died_between_its_write_and_its_report_is_run_again_under_a_higher_fence(tmp_path: Path) -> None:
    world = MortalWorld(tmp_path)
    reached, undisturbed = lived(world)
    writes = [n for n, name in enumerate(reached, 1) if name.startswith("after DuckDb") and "partition" in name]
    assert len(writes) == 10
    for number in writes:
        with world.home_of_its_own():
            before = world.die_at(number)
            last = Effects()
            world.live(last)
            assert complaints(world, undisturbed, [before, last]) == []
            assert before.attempts[-1].removesuffix("1") + "2" in last.attempts, before.where


def test_a_second_crash_at_any_boundary_after_one_at_the_last_commit_changes_nothing(tmp_path: Path) -> None:
    world = MortalWorld(tmp_path)
    reached, undisturbed = lived(world)
    last_commit = number_of_last(FINAL_COMMIT, reached)
    with world.home_of_its_own():
        world.die_at(last_commit)
        second = Effects()
        world.live(second)
    assert second.reached
    numbers = range(1, len(second.reached) + 1, 1 if FULL else 2)
    assert not [why for n in numbers for why in die_and_live(world, undisturbed, [last_commit, n])]


@pytest.mark.parametrize("seed", range(12 if FULL else 6))
def test_a_process_that_dies_again_and_again_ends_as_if_it_had_not(tmp_path: Path, seed: int) -> None:
    world = MortalWorld(tmp_path)
    _, undisturbed = lived(world)
    random_ = random.Random(seed)
    with world.home_of_its_own():
        lives: list[Effects] = []
        while True:
            lives.append(Effects(random_.randint(1, 150)))
            try:
                world.live(lives[-1])
            except Crash:
                continue
            break
        assert len(lives) > 2
        assert complaints(world, undisturbed, lives) == []


def test_a_crash_at_boundaries_of_a_retry_changes_nothing_in_the_end(tmp_path: Path) -> None:
    world = MortalWorld(tmp_path)
    whole = world.data()
    spoiled = copy.deepcopy(whole)
    del spoiled["a"][str(world.days[0])][2:]
    world.rewrite(spoiled)
    _, blocked = lived(world)
    assert blocked.status == "completed_with_failures" and blocked.groups["raw"][0] == "b"
    world.rewrite(whole)
    world.after_begin = world.retry
    with world.home_of_its_own(world.home):
        reached, mended = lived(world)
    assert mended.status == "completed" and "before SqliteState.change_run" in reached
    numbers = range(reached.index("before SqliteState.change_run") + 1, len(reached) + 1, 4)
    assert not [why for n in numbers for why in die_and_live(world, mended, [n], like=world.home)]


def test_a_crash_between_the_pages_of_a_retry_changes_nothing_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phasegate.services.running.conductor.MOST_DATES", 1)
    world = MortalWorld(tmp_path, dates=3)
    whole = world.data()
    spoiled = copy.deepcopy(whole)
    for day in world.days:
        del spoiled["a"][str(day)][2:]
    world.rewrite(spoiled)
    _, blocked = lived(world)
    assert blocked.groups["raw"] == "bbb"
    world.rewrite(whole)
    world.after_begin = world.retry
    with world.home_of_its_own(world.home):
        reached, mended = lived(world)
    assert mended.status == "completed"
    first = reached.index("before SqliteState.change_run") + 1
    last = [n for n, name in enumerate(reached, 1) if name == "after SqliteState.commit"][2] + 4
    numbers = range(first, last + 1, 1 if FULL else 8)
    assert not [why for n in numbers for why in die_and_live(world, mended, [n], like=world.home)]


def refreshing(world: MortalWorld, games: Mapping[date, int]) -> None:
    """From now on the source and its schedule have so many games a date, and each life asks for a refresh, unless one
    before did."""
    write_source(world.source, games)
    calendar = ComparedWorld.calendar(world)

    def ask_once(embedded: Embedded) -> None:
        if not embedded.state.run("r").refreshes:
            refresh(
                embedded.state, world.clock, propose(embedded.state, world.clock, "r", lambda _run, _plan: calendar)
            )

    world.after_begin = ask_once


def test_a_crash_at_boundaries_of_a_refresh_changes_nothing_in_the_end(tmp_path: Path) -> None:
    world = MortalWorld(tmp_path, dates=3)
    assert lived(world)[1].status == "completed"
    refreshing(world, {world.days[0]: 3, world.days[1]: 2, world.days[2]: 2})
    with world.home_of_its_own(world.home):
        reached, mended = lived(world)
    assert mended.status == "completed" and len(mended.tables["raw.a"]) == 14
    numbers = range(reached.index("before SqliteState.keep_plan") + 1, len(reached) + 1, 1 if FULL else 48)
    assert not [why for n in numbers for why in die_and_live(world, mended, [n], like=world.home)]


def test_a_crash_between_the_pages_of_a_refresh_changes_nothing_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phasegate.services.running.conductor.MOST_DATES", 1)
    world = MortalWorld(tmp_path, dates=4)
    assert lived(world)[1].status == "completed"
    refreshing(world, {world.days[0]: 1, world.days[1]: 3, world.days[2]: 2, world.days[3]: 1})
    with world.home_of_its_own(world.home):
        reached, mended = lived(world)
    assert mended.status == "completed"
    first = reached.index("before SqliteState.keep_plan") + 1
    last = [n for n, name in enumerate(reached, 1) if name == "after SqliteState.commit"][3] + 4
    numbers = range(first, last + 1, 1 if FULL else 24)
    assert not [why for n in numbers for why in die_and_live(world, mended, [n], like=world.home)]


def test_an_event_that_belongs_to_nobody_is_set_aside_once_whenever_the_process_dies(tmp_path: Path) -> None:
    world = MortalWorld(tmp_path)

    def publish_once(embedded: Embedded) -> None:
        if not embedded.state.quarantined(None) and not embedded.events.waiting(1):
            embedded.events.publish(COMPLETIONS, ['{"processor": "of somebody else"}'])

    world.after_begin = publish_once
    reached, undisturbed = lived(world)
    first = reached.index("before SqliteEvents.publish") + 1
    last = reached.index("after SqliteEvents.acknowledge") + 1
    assert "before SqliteState.quarantine" in reached[first:last]
    for number in range(first, last + 1):
        with world.home_of_its_own():
            before, after = world.die_at(number), Effects()
            world.live(after)
            assert complaints(world, undisturbed, [before, after]) == []
            assert count_set_aside(world) == 1, before.where


def count_set_aside(world: MortalWorld) -> Any:
    """Events in quarantine, of whatever run."""
    with world.open() as embedded:
        return len(embedded.state.quarantined(None))
