"""A task whose table another system writes too: when its worker is called, and when the lease is free again."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.leases import SqliteLeases
from phasegate.domain.errors import HaltError, NoAnswer, TransientError
from phasegate.domain.messages.completion import Completion
from phasegate.domain.messages.tasks import TaskPayload
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.state.lease import Held, Lease
from phasegate.ports import QueueTask
from phasegate.ports.claims import LEASE_MARGIN
from tests.world import FIRST_DAY, START, World

OTHER = "the live pipeline, every evening"
CLAIM_ENDS = START + timedelta(seconds=60) + LEASE_MARGIN
OK = (200, {"results": {"a": {"status": "success", "rows": 4}}})


def only_raw_a(document: dict[str, Any]) -> None:
    """Leave one processor, whose table has another writer."""
    raw = document["phases"][1]
    del raw["released_with"]
    raw["processors"] = raw["processors"][:1]
    raw["processors"][0]["needs"] = []
    raw["processors"][0]["output"]["other_writer"] = OTHER
    document["phases"] = [raw]


class Leased:
    """One dispatched task, and a worker that answers as told."""

    def __init__(self, embedded: Any) -> None:
        self.embedded, self.leases = embedded, embedded.state.leases
        self.services = embedded.engine("r")._handlers
        self.services.conductor.conduct("r")
        self.services.reconciler.reconcile_days("r", [FIRST_DAY])
        self.task: QueueTask
        (self.task,) = self.services.backend.tasks.lease(["work"], 10)
        self.answer: Any = OK
        self.requests: list[dict[str, Any]] = []
        self.while_called: list[Lease | Held] = []
        embedded.workers["world"].handle = self.handle

    def handle(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The worker; somebody else tries for the lease meanwhile."""
        self.requests.append(body)
        self.while_called.append(self.live())
        if isinstance(self.answer, Exception):
            raise self.answer
        found: tuple[int, dict[str, Any]] = self.answer
        return found

    def run(self) -> str:
        """What the runner makes of the task."""
        found: str = self.services.runner.run(TaskPayload.model_validate_json(self.task.payload))
        return found

    def live(self) -> Lease | Held:
        """The other writer tries for the lease."""
        found: Lease | Held = self.leases.take("raw.a", FIRST_DAY, "live", START + timedelta(minutes=3), START)
        return found

    def reported(self) -> Completion:
        """The completion that was published."""
        ((_, text),) = self.embedded.events.waiting(10)
        return Completion.model_validate_json(text)


def opened(folder: Path, change: Any) -> Iterator[Leased]:
    """A home with the task on its queue."""
    world = World(folder, dates=1, change=change)
    with world.open() as embedded:
        world.begin(embedded)
        yield Leased(embedded)


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[Leased]:
    """A task whose table has another writer."""
    yield from opened(tmp_path, only_raw_a)


def test_while_the_worker_is_called_nobody_else_has_the_lease_until_the_claim_ends(leased: Leased) -> None:
    assert leased.run() == "success"
    assert leased.while_called == [Held("raw.a", FIRST_DAY, f"r/{FIRST_DAY}/raw/a/1", CLAIM_ENDS)]


@pytest.mark.parametrize("answer", [OK, (500, {}), (429, {}), RuntimeError("it broke")], ids=repr)
def test_the_lease_is_given_back_when_the_worker_has_ended(leased: Leased, answer: Any) -> None:
    leased.answer = answer
    leased.run()
    assert isinstance(leased.live(), Lease)


@pytest.mark.parametrize("answer", [(202, {}), NoAnswer("no answer within 60 s")], ids=["202", "no answer"])
def test_a_worker_that_may_be_writing_still_keeps_the_lease_until_it_runs_out(leased: Leased, answer: Any) -> None:
    leased.answer = answer
    leased.run()
    assert leased.live() == Held("raw.a", FIRST_DAY, f"r/{FIRST_DAY}/raw/a/1", CLAIM_ENDS)


def beat(leased: Leased) -> None:
    """The worker says by event that it goes on."""
    (fence,) = leased.embedded.database.execute("SELECT fence FROM claims").fetchone()
    event = Completion(
        event_id=f"beat {leased.embedded.clock.now()}",
        run_id="r",
        date=FIRST_DAY,
        phase="raw",
        processor="a",
        attempt=1,
        fence=fence,
        kind="heartbeat",
        started_at=START,
        finished_at=START,
    )
    leased.services.listen([event.model_dump_json()])


def ends_of(leased: Leased) -> tuple[str, str]:
    """When claim and lease end, as they are stored."""
    execute = leased.embedded.database.execute
    (claim,), (lease,) = (
        execute(f"SELECT {what}").fetchone() for what in ("lease_until FROM claims", "until FROM leases")
    )
    return claim, lease


def test_a_heartbeat_prolongs_the_claim_and_the_lease_alike(leased: Leased) -> None:
    leased.answer = (202, {})
    leased.run()
    leased.embedded.clock.move_to(START + timedelta(seconds=50))
    beat(leased)
    later = (CLAIM_ENDS + timedelta(seconds=50)).isoformat()
    assert ends_of(leased) == (later, later)


def test_a_heartbeat_prolongs_neither_when_somebody_else_has_the_lease_by_now(leased: Leased) -> None:
    leased.answer = (202, {})
    leased.run()
    leased.embedded.clock.move_to(CLAIM_ENDS + timedelta(seconds=1))
    now = leased.embedded.clock.now()
    assert isinstance(leased.leases.take("raw.a", FIRST_DAY, "live", now + timedelta(minutes=3), now), Lease)
    beat(leased)
    assert ends_of(leased) == (CLAIM_ENDS.isoformat(), (now + timedelta(minutes=3)).isoformat())


def test_while_somebody_else_writes_the_worker_is_not_called_and_the_attempt_is_a_throttle(leased: Leased) -> None:
    leased.live()
    assert leased.run() == "failed"
    assert leased.requests == []
    end = leased.reported()
    assert (end.error_class, end.message) == (
        ErrorClass.THROTTLE,
        "raw.a of 2024-01-01 is being written by live until 00:03:00Z; tried again later",
    )


def test_an_attempt_that_was_refused_leaves_the_lease_to_its_holder(leased: Leased) -> None:
    lease = leased.live()
    leased.run()
    assert isinstance(leased.live(), Held)
    assert isinstance(lease, Lease)
    leased.leases.give_back(lease)
    assert isinstance(leased.live(), Lease)


def test_the_worker_gets_the_fence_of_the_claim(leased: Leased) -> None:
    leased.run()
    (claim,) = leased.embedded.database.execute("SELECT fence FROM claims").fetchone()
    assert (leased.requests[0]["fence"], leased.reported().fence) == (claim, claim)


def test_a_call_that_is_not_made_because_the_run_was_stopped_gives_the_lease_back(leased: Leased) -> None:
    calls = leased.services.claim([leased.task])
    assert isinstance(leased.live(), Held)
    leased.services.abandon(calls)
    assert isinstance(leased.live(), Lease)


def test_where_leases_cannot_be_asked_for_the_worker_is_not_called(
    leased: Leased, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any) -> None:
        raise TransientError("the state is not there")

    monkeypatch.setattr(SqliteLeases, "take", fails)
    leased.run()
    end = leased.reported()
    assert (leased.requests, end.error_class, end.message) == ([], ErrorClass.TRANSIENT, "the state is not there")


@pytest.mark.parametrize("fails", ["the second lease", "the fact that says what is unwanted"])
def test_where_the_state_fails_after_the_claim_all_claims_are_given_up_and_their_leases_given_back(
    tmp_path: Path, fails: str
) -> None:
    world = World(tmp_path, dates=2, change=only_raw_a)
    with world.open() as embedded:
        world.begin(embedded)
        services: Any = embedded.engine("r")._handlers
        services.conductor.conduct("r")
        services.reconciler.reconcile_days("r", world.days)
        queue = services.backend.tasks.lease(["work"], 10)
        wanted, other = (TaskPayload.model_validate_json(task.payload) for task in queue)
        leases = embedded.state.leases

        def at_first(does: Any, works: list[bool]) -> Any:
            return lambda *arguments: does(*arguments) if works.pop(0) else fail()

        def fail() -> None:
            raise HaltError("the disk is full")

        with pytest.MonkeyPatch.context() as patch:
            if fails == "the second lease":
                patch.setattr(leases, "take", at_first(leases.take, [True, False]))
            else:
                other = other.model_copy(update={"epoch": wanted.epoch + 1})
                patch.setattr(embedded.state, "record", at_first(embedded.state.record, [False, True]))
            with pytest.raises(HaltError, match="the disk is full"):
                services.runner.claim([wanted, other])
        assert embedded.state.open_claims("r") == [], "they would be held until their leases run out"
        until = START + timedelta(minutes=3)
        assert all(isinstance(leases.take("raw.a", day, "live", until, START), Lease) for day in world.days)


def test_a_table_without_another_writer_takes_no_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def alone(document: dict[str, Any]) -> None:
        only_raw_a(document)
        del document["phases"][0]["processors"][0]["output"]["other_writer"]

    asked: list[Any] = []
    for leased in opened(tmp_path, alone):
        monkeypatch.setattr(leased, "live", lambda: Held("", FIRST_DAY, "", START))
        monkeypatch.setattr(SqliteLeases, "take", lambda *arguments: asked.append(arguments))
        monkeypatch.setattr(SqliteLeases, "give_back", lambda *arguments: asked.append(arguments))
        assert leased.run() == "success"
    assert asked == []
