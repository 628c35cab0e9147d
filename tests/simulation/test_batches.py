"""Dates travel together: one call, one message and one deadline for several of them; facts, retries and proof are those
of each date."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.state.facts import AttemptFacts
from phasegate.domain.state.run import RunStatus
from tests.world import World, WorldWorker, batched, drive

POISON = "shape/left"


class Calls:
    """The requests that a world's worker had, each as its processor and the dates that it was for."""

    def __init__(self) -> None:
        self.made: list[tuple[str, tuple[str, ...]]] = []

    @contextmanager
    def noted(self) -> Iterator["Calls"]:
        """Note each request on its way to the worker."""
        handle = WorldWorker.handle

        def noting(worker: WorldWorker, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
            days = tuple(each["date"] for each in body.get("dates", (body,)))
            self.made.append((f"{body['phase']}/{body['processor']}", days))
            return handle(worker, path, body)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(WorldWorker, "handle", noting)
            yield self

    def sizes(self, ref: str) -> list[int]:
        """How many dates the calls of a processor were for, in order."""
        return [len(days) for name, days in self.made if name == ref]


def unlimited(document: dict[str, Any]) -> None:
    """All dates are released at once."""
    document["phases"][0]["limits"] = {}


def attempts_of(world: World, ref: str) -> dict[str, list[AttemptFacts]]:
    """The attempts of a processor, by date."""
    phase, processor = ref.split("/")
    with world.open() as embedded:
        dates = embedded.state.dates("r", world.days)
    return {str(day): facts.tasks.get((phase, processor), []) for day, facts in dates.items()}


def undisturbed(folder: Path, dates: int) -> World:
    """The same world, whose dates travel one by one, after its run."""
    world = World(folder, dates=dates, change=unlimited)
    world.run()
    return world


@pytest.mark.parametrize("at_once", [2, 7, 20])
def test_what_is_released_together_travels_together_and_the_tables_are_the_same(tmp_path: Path, at_once: int) -> None:
    expected = undisturbed(tmp_path / "alone", 20).tables()
    with batched(at_once), Calls().noted() as calls:
        world = World(tmp_path / "batched", dates=20, change=unlimited)
        board, found = drive(world)
    assert board.status is RunStatus.COMPLETED
    assert world.tables() == expected
    full, rest = divmod(20, at_once)
    assert calls.sizes("fetch/a") == [at_once] * full + ([rest] if rest else [])
    for ref, days in calls.made:
        assert list(days) == sorted(days), ref
    asked = Counter((ref, day) for ref, days in calls.made for day in days)
    assert set(asked.values()) == {1} and len(asked) == found.tasks["expected"] - 2


def test_a_poison_date_ends_alone_and_costs_the_others_no_retry(tmp_path: Path) -> None:
    with batched(20), Calls().noted() as calls:
        world = World(tmp_path, dates=20, change=unlimited)
        poison = world.days[11]
        world.misbehave(fetch__a__11=["raise"] * 12)
        board, found = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert [(str(f.date), f.processor) for f in found.failures] == [(str(poison), "a")]
    # Halves, down to one; then the retries of the one that fails, each alone.
    with_poison = [len(days) for ref, days in calls.made if ref == "fetch/a" and str(poison) in days]
    assert with_poison == [20, 10, 5, 2, 1, 1, 1]
    by_date = attempts_of(world, "fetch/a")
    for day, attempts in by_date.items():
        void = [a for a in attempts if a.abandoned is not None]
        ended = [a for a in attempts if a.reported is not None]
        assert len(void) + len(ended) == len(attempts)
        assert all(a.abandoned and a.abandoned.failed_together for a in void)
        assert len(ended) == (3 if day == str(poison) else 1), f"{day}: its retries are its own"
    assert all(a[-1].proved and a[-1].proved.ok for day, a in by_date.items() if day != str(poison))


def test_a_date_that_fails_in_an_answer_is_tried_again_by_itself_alone(tmp_path: Path) -> None:
    with batched(20), Calls().noted() as calls:
        world = World(tmp_path, dates=20, change=unlimited)
        world.misbehave(shape__left__3=["fail:transient"])
        board, _ = drive(world)
    assert board.status is RunStatus.COMPLETED
    retried = [days for ref, days in calls.made if ref == "shape/left" and str(world.days[3]) in days]
    assert [len(days) for days in retried][1:] == [1]
    assert Counter(map(len, attempts_of(world, "shape/left").values())) == {1: 19, 2: 1}
