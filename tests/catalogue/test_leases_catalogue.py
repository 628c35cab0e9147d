"""f23, between writers that know no fence: live and backfill meet on one date of one table.

A scenario and its mutations, as in ``test_catalogue.py``, on the embedded backend and on Google Cloud's adapters.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from phasegate.adapters.embedded import leases as embedded_leases
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.gcp.firestore import leases as gcp_leases
from phasegate.domain.state.board import Board
from phasegate.domain.state.lease import Held, Lease
from phasegate.domain.state.run import RunStatus
from phasegate.ports import Leases
from phasegate.services.reading.progress import report
from phasegate.services.running.runner import Runner
from tests.catalogue.cloud import CloudWorld
from tests.world import FIRST_DAY, START, World

LIVE_ENDS = START + timedelta(seconds=40)
"""When live has inserted what it deleted at the start."""


class Meeting(NamedTuple):
    """A run that is about to be driven. ``drive``: to its end, with something to do at every turn; what failed."""

    world: World
    leases: Leases
    warehouse: DuckDbWarehouse
    worker: Any
    drive: Callable[[Callable[[], None]], tuple[RunStatus, int]]


def shared_with_live(document: dict[str, Any]) -> None:
    """Live writes ``raw.a`` too, and knows no fence: its rows would not keep off anybody."""
    output = document["phases"][1]["processors"][0]["output"]
    del output["fence_column"]
    output["other_writer"] = "the live pipeline"


@contextmanager
def embedded(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Meeting]:
    """On one machine."""
    world = World(folder, dates=1, change=shared_with_live)
    with world.open() as home:
        world.begin(home)

        def drive(at_every_turn: Callable[[], None]) -> tuple[RunStatus, int]:
            def stop() -> bool:
                at_every_turn()
                return world.clock.now() > START + timedelta(hours=1)

            board: Board = home.drive("r", stop=stop)
            return board.status, len(report(home.state, "r", world.clock.now()).failures)

        yield Meeting(world, home.state.leases, home.warehouse, home.workers["world"], drive)


@contextmanager
def cloud(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Meeting]:
    """On Google Cloud's adapters."""
    with CloudWorld(folder, patch, dates=1, change=shared_with_live) as made:
        made.begin()

        def drive(at_every_turn: Callable[[], None]) -> tuple[RunStatus, int]:
            found = made.drive(timedelta(hours=1), stop=lambda: bool(at_every_turn()))
            return found.status, len(found.failures)

        yield Meeting(made.world, made.state.leases, made.warehouse, made.worker, drive)


def f23(meeting: Meeting, patch: pytest.MonkeyPatch) -> None:
    """Live deletes, and inserts 40 seconds later; the backfill wants to write the same date in between."""
    clock, writes, told = meeting.world.clock, [], []

    def try_for_lease() -> Lease | Held:
        now = clock.now()
        return meeting.leases.take("raw.a", FIRST_DAY, "live-pipeline", now + timedelta(minutes=2), now)

    lease = try_for_lease()
    assert isinstance(lease, Lease)
    handle = meeting.worker.handle

    def backfill_writes(path: str, body: dict[str, Any]) -> Any:
        if (body["phase"], body["processor"]) == ("raw", "a"):
            writes.append(clock.now())
            told.append(try_for_lease())
        return handle(path, body)

    patch.setattr(meeting.worker, "handle", backfill_writes)
    inserted: list[str] = []

    def live_goes_on() -> None:
        if not inserted and clock.now() >= LIVE_ENDS:
            inserted.extend(f"T{n}" for n in range(4))
            for team in inserted:
                meeting.warehouse._connection.execute("INSERT INTO raw.a VALUES (?, ?, 1, NULL)", [FIRST_DAY, team])
            meeting.leases.give_back(lease)

    status, failures = meeting.drive(live_goes_on)
    clock.move_to(max(clock.now(), LIVE_ENDS))
    live_goes_on()
    found = meeting.warehouse.query("SELECT k FROM `raw.a` ORDER BY k")
    assert [row["k"] for row in found] == inserted, "no row is there twice"
    assert writes and min(writes) >= LIVE_ENDS, "the backfill waited for live"
    assert all(isinstance(one, Held) for one in told), "and live would have waited for the backfill"
    assert (status, failures) == (RunStatus.COMPLETED, 0), "waiting cost no attempt"


def _the_runner_asks_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Runner, "_with_lease", lambda self, run, task, attempt: attempt)


def _a_lease_keeps_nobody_off(patch: pytest.MonkeyPatch) -> None:
    for module in (embedded_leases, gcp_leases):
        patch.setattr(module, "is_held", lambda *arguments: False)


def _waiting_costs_attempts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("phasegate.domain.decisions.failures._FREE", frozenset())


BACKENDS = pytest.mark.parametrize("where", [embedded, cloud], ids=["embedded", "cloud"])


@pytest.fixture
def meeting(where: Any, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: Any) -> Iterator[Meeting]:
    """A run on one of the backends."""
    if where is cloud:
        request.getfixturevalue("firestore_emulator")
    with where(tmp_path, monkeypatch) as made:
        yield made


@BACKENDS
def test_f23_live_and_backfill_never_write_one_date_at_the_same_time(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    f23(meeting, monkeypatch)


@BACKENDS
@pytest.mark.parametrize("mutate", [_the_runner_asks_nobody, _a_lease_keeps_nobody_off, _waiting_costs_attempts])
def test_the_mutation_of_f23_turns_it_red(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch, mutate: Callable[[pytest.MonkeyPatch], None]
) -> None:
    mutate(monkeypatch)
    with pytest.raises(AssertionError):
        f23(meeting, monkeypatch)
