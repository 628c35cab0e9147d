"""Dates travel together: one call, one message and one deadline for several of them; facts, retries and proof are those
of each date."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.bootstrap import Embedded, EmbeddedOptions, Services
from phasegate.domain.errors import NoAnswer
from phasegate.domain.protocol.names import DISPATCH_QUEUE
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.state.facts import AttemptFacts, HealedAs
from phasegate.domain.state.lease import Lease
from phasegate.domain.state.run import RunStatus
from phasegate.ports import QueueTask
from phasegate.services.running.dispatcher import PAGE_TASKS
from tests.conftest import FULL
from tests.simulation.effects import Effects
from tests.simulation.lives import MortalWorld
from tests.simulation.test_crashes import die_and_live, lived
from tests.world import World, WorldWorker, batched, drive


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


def test_selects_travel_together_whatever_the_worker_takes(tmp_path: Path) -> None:
    def select(document: dict[str, Any]) -> None:
        unlimited(document)
        document["workers"]["world"]["batches"] = "none"
        document["phases"][2]["processors"][0]["sql"] = "left.sql"
        document["sql_files"] = {"left.sql": "SELECT d, k, 2 * v AS v FROM `raw.a` WHERE d = @d"}

    with batched(20), Calls().noted() as calls:
        world = World(tmp_path / "batched", dates=8, change=select)
        # A SELECT is answered by the clock of the machine.
        with Embedded(world.home, world.pipeline, world.source, EmbeddedOptions(threads=2)) as embedded:
            world.begin(embedded)
            assert embedded.drive("r").status is RunStatus.COMPLETED
    assert world.tables() == undisturbed(tmp_path / "alone", 8).tables()
    assert calls.sizes("shape/left") == [] and set(calls.sizes("shape/right")) == {1}
    dispatched = [tried[0].dispatched for tried in attempts_of(world, "shape/left").values()]
    assert max(each.batch for each in dispatched if each) > 1, "as many as are due at the same time"


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


def released(world: World, embedded: Embedded) -> Services:
    """The services of a run whose first dates were released, and not dispatched yet."""
    world.begin(embedded)
    services: Any = embedded.engine("r")._handlers
    services.conductor.conduct("r")
    found: Services = services
    return found


def waiting(services: Services, *queues: str) -> list[QueueTask]:
    """What lies on queues."""
    tasks: Any = services.backend.tasks
    leased: list[QueueTask] = tasks.lease(queues, 1000)
    return leased


def dates_in(task: QueueTask) -> int:
    """How many dates a task carries."""
    return len(json.loads(task.payload).get("attempts", [None]))


@pytest.mark.parametrize(("at_once", "pages"), [(1, [50, 40]), (20, [40, 40, 10]), (50, [50, 40])])
def test_no_page_of_released_dates_cuts_a_full_batch_in_two(tmp_path: Path, at_once: int, pages: list[int]) -> None:
    with batched(at_once):
        # Fifty dates of 36 s are as long as a call may be.
        world = World(tmp_path, dates=90, change=lambda d: d["phases"][0]["dispatch"].update(timeout_seconds=36))
    with world.open() as embedded:
        world.begin(embedded)
        services: Any = embedded.engine("r")._handlers
        services.dispatcher.put_pages("r", world.days, "released")
        queued = [json.loads(held.task.payload)["dates"] for held in services.backend.tasks.held(DISPATCH_QUEUE)]
        assert [len(page) for page in sorted(queued)] == pages


@pytest.mark.parametrize(("at_once", "pages"), [(1, [23, 23, 23, 21]), (2, [46, 44]), (20, [40, 40, 10])])
def test_no_page_of_released_dates_makes_more_tasks_than_one_request_may(
    tmp_path: Path, at_once: int, pages: list[int]
) -> None:
    def wide(document: dict[str, Any]) -> None:
        document["phases"][0]["limits"] = {"active_dates": 90}
        fetch = document["phases"][0]["processors"]
        for name in (f"a{n}" for n in range(19)):
            fetch.append({"name": name, "output": {"kind": "object", "path": f"{name}/{{date}}.jsonl"}})

    with batched(at_once):
        world = World(tmp_path, dates=90, change=wide)
    with world.open() as embedded:
        services: Any = released(world, embedded)
        held = services.backend.tasks.held
        released_pages = [json.loads(each.task.payload)["dates"] for each in held(DISPATCH_QUEUE)]
        assert [len(days) for days in sorted(released_pages)] == pages
        for days in released_pages:
            before = len(held("fetches"))
            services.reconciler.reconcile_days("r", list(map(date.fromisoformat, days)))
            assert 0 < len(held("fetches")) - before <= PAGE_TASKS


class Cut(Exception):
    """A process ends here."""


def test_of_overlapping_batches_no_attempt_runs_twice(tmp_path: Path) -> None:
    """A look creates its tasks and dies before it says so; another one sees more dates, and forms other batches."""
    with batched(20):
        world = World(tmp_path, dates=6, change=unlimited)
    with world.open() as embedded:
        services = released(world, embedded)

        def cut(*_: object) -> None:
            raise Cut

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(embedded.state, "record", cut)
            with pytest.raises(Cut):
                services.reconciler.reconcile_days("r", world.days[1:5])
        services.reconciler.reconcile_days("r", world.days)
        tasks = waiting(services, "fetches")
        assert sorted(map(dates_in, tasks)) == [4, 4, 6, 6]
        calls = [call for call in services.claim(tasks) if call is not None]
        claimed = [key for call in calls for key in call.keys]
        assert sorted(len(call.keys) for call in calls) == [2, 2, 4, 4]
        assert len(claimed) == len(set(claimed)) == 12
        services.finish([(call, services.runner.execute(call)) for call in calls])
        assert embedded.drive("r").status is RunStatus.COMPLETED
        claims = embedded.state.dates("r", world.days)
        assert {len(tried) for facts in claims.values() for tried in facts.tasks.values()} == {1}


def test_a_batch_that_is_delivered_twice_is_called_once(tmp_path: Path) -> None:
    with batched(7):
        world = World(tmp_path, dates=3)
    with world.open() as embedded:
        services = released(world, embedded)
        services.reconciler.reconcile_days("r", world.days)
        (task, _) = waiting(services, "fetches")
        first, second = services.claim([task]), services.claim([task])
        assert first[0] is not None and len(first[0].keys) == 3
        assert second == [None]


def test_what_nobody_dispatched_is_set_aside_and_the_rest_of_its_batch_runs(tmp_path: Path) -> None:
    with batched(7):
        world = World(tmp_path, dates=3)
    with world.open() as embedded:
        services = released(world, embedded)
        services.reconciler.reconcile_days("r", world.days)
        (task, _) = waiting(services, "fetches")
        payload = json.loads(task.payload)
        payload["attempts"][1]["attempt"] = 5
        (call,) = services.claim([task._replace(payload=json.dumps(payload))])
        assert call is not None and [key.day for key in call.keys] == [world.days[0], world.days[2]]
        (aside,) = embedded.state.quarantined("r")
        assert "attempt 5, generation 1: was never dispatched" in aside.reason
        assert json.loads(aside.event)["date"] == str(world.days[1])


def test_a_batch_of_strangers_is_set_aside_as_a_whole(tmp_path: Path) -> None:
    with batched(7):
        world = World(tmp_path, dates=3)
    with world.open() as embedded:
        services = released(world, embedded)
        services.reconciler.reconcile_days("r", world.days)
        (task, _) = waiting(services, "fetches")
        payload = json.loads(task.payload)
        for attempt in payload["attempts"]:
            attempt["generation"] = 9
        assert services.claim([task._replace(payload=json.dumps(payload))]) == [None]
        (aside,) = embedded.state.quarantined("r")
        assert len(json.loads(aside.event)["attempts"]) == 3


def test_dates_whose_partition_somebody_else_writes_are_left_out_of_the_request(tmp_path: Path) -> None:
    def leased(document: dict[str, Any]) -> None:
        document["phases"][1]["processors"][0]["output"]["other_writer"] = "the live pipeline"

    with batched(7), Calls().noted() as calls:
        world = World(tmp_path, dates=3, change=leased)
        with world.open() as embedded:
            world.begin(embedded)
            until = world.clock.now() + timedelta(minutes=1)
            lease = embedded.state.leases.take("raw.a", world.days[1], "live", until, world.clock.now())
            assert isinstance(lease, Lease)
            assert embedded.drive("r").status is RunStatus.COMPLETED
    asked = [days for ref, days in calls.made if ref == "raw/a"]
    assert asked[0] == (str(world.days[0]), str(world.days[2]))
    assert set(asked[1:]) == {(str(world.days[1]),)}
    assert [len(tried) for tried in attempts_of(world, "raw/a").values()][::2] == [1, 1]


def test_no_answer_until_the_lease_runs_out_costs_no_date_a_retry(tmp_path: Path) -> None:
    with batched(20):
        world = World(tmp_path, dates=8, change=unlimited)
        hanging = str(world.days[5])
        handle = WorldWorker.handle
        asked: list[int] = []

        def silent(worker: WorldWorker, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
            days = [each["date"] for each in body.get("dates", (body,))]
            if body["processor"] == "left" and hanging in days:
                asked.append(len(days))
                raise NoAnswer("no answer within 60 s")
            return handle(worker, path, body)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(WorldWorker, "handle", silent)
            board, _ = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert asked == [8, 4, 2, 1, 1, 1]
    for day, tried in attempts_of(world, "shape/left").items():
        outcomes = Counter(attempt.healed.outcome for attempt in tried if attempt.healed is not None)
        if day == hanging:
            assert outcomes == {HealedAs.VOID: 3, HealedAs.LOST: 3}
        else:
            assert set(outcomes) <= {HealedAs.VOID}
            assert sum(attempt.reported is not None for attempt in tried) == 1


def test_a_stop_by_a_person_makes_no_batch_smaller(tmp_path: Path) -> None:
    with batched(20):
        world = World(tmp_path, dates=6, change=unlimited)
    with world.open() as embedded:
        services = released(world, embedded)
        services.reconciler.reconcile_days("r", world.days)
        calls = [call for call in services.claim(waiting(services, "fetches")) if call is not None]
        services.abandon(calls)
        services.reconciler.reconcile_days("r", world.days)
        assert [dates_in(task) for task in waiting(services, "fetches")] == [6, 6]


@pytest.mark.parametrize("kind", ["missing", "stranger", "both", "none"])
def test_a_worker_that_answers_the_wrong_dates_fails_dates_and_loses_none(tmp_path: Path, kind: str) -> None:
    handle = WorldWorker.handle

    def wrong(worker: WorldWorker, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        status, answer = handle(worker, path, body)
        if body["processor"] == "left" and "dates" in answer:
            entries = answer["dates"]
            days = list(entries)
            if kind in ("stranger", "both"):
                entries["2031-01-01"] = entries[days[0]]
            if kind in ("missing", "both"):
                del entries[days[1]]
            if kind == "none":
                entries.clear()
        return status, answer

    with batched(20), pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorldWorker, "handle", wrong)
        world = World(tmp_path, dates=5, change=unlimited)
        board, _ = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    ends = {day: tried[-1].reported for day, tried in attempts_of(world, "shape/left").items()}
    failed = {day: end.message for day, end in ends.items() if end is not None and end.error_class is ErrorClass.BUG}
    expected = {"missing": world.days[1:2]}.get(kind, world.days)
    assert set(failed) == {str(day) for day in expected}
    word = "has no result for" if kind in ("missing", "none") else "is about 2031-01-01, and was asked for"
    assert all(word in message for message in failed.values())


def test_a_range_is_asked_for_without_holes_and_one_beside_a_hole_waits(tmp_path: Path) -> None:
    def ranges(document: dict[str, Any]) -> None:
        unlimited(document)
        document["workers"]["world"]["batches"] = "range"

    with batched(20):
        world = World(tmp_path, dates=5, change=ranges)
    with world.open() as embedded:
        services = released(world, embedded)
        services.reconciler.reconcile_days("r", world.days)
        (task, _) = waiting(services, "fetches")
        payload = json.loads(task.payload)
        middle = {**payload, "attempts": payload["attempts"][2:3]}
        assert services.claim([task._replace(payload=json.dumps(middle))]) != [None]
        (call,) = services.claim([task])
        assert call is not None
        assert [attempt.claim.key.day for attempt in call.asked] == world.days[:2]
        assert [attempt.claim.key.day for attempt in call.attempts if attempt.refused] == world.days[3:]


def test_a_call_that_is_killed_between_any_two_steps_leaves_nothing_behind(tmp_path: Path) -> None:
    """A process that dies at every twelfth boundary of a run whose dates all travel together."""
    with batched(7):
        world = MortalWorld(tmp_path, dates=4, change=unlimited)
        _, undisturbed = lived(world)
        reached = Effects()
        with world.home_of_its_own():
            world.live(reached)
        numbers = range(1, len(reached.reached) + 1, 2 if FULL else 12)
        assert not [why for n in numbers for why in die_and_live(world, undisturbed, [n])]
