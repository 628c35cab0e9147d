"""What a worker says counts only with the table: one that lies, and one that writes after its time, on the stack."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.state.facts import AttemptKey
from phasegate.ports import ObjectStore, Warehouse
from tests.conftest import as_json
from tests.stack.target import until
from tests.stack.world_service import WorldOnTheStack, world_on_the_stack
from tests.world import FIRST_DAY, WorldWorker, write_source

DAYS = [date(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day + n) for n in range(4)]
LIED, LIED_AGAIN, SILENT, ACCEPTED = range(4)
"""Each date is for one story, and a season of its own: none waits for another."""

TIMEOUT_SECONDS = 2
ATTEMPTS = 2


class LateWorker(WorldWorker):
    """The world's worker, which does the work of chosen first attempts only when ``let`` is set.

    late: the dates whose ``left`` it is late with; those in ``accepting`` are answered with 202 at once, the others not
    before the work is done. ended: what each late request came to.
    """

    def __init__(self, source: Path, warehouse: Warehouse, objects: ObjectStore, late: set[str], accepting: set[str]):
        super().__init__(source, warehouse, objects)
        self._late, self._accepting = late, accepting
        self.let = threading.Event()
        self.ended: dict[str, tuple[int, dict[str, Any]]] = {}

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """One request, in time or late."""
        day = body["date"]
        if (body["processor"], body["attempt"]) != ("left", 1) or day not in self._late:
            return super().handle(path, body)
        if day in self._accepting:
            threading.Thread(target=self._work_late, args=(path, body), daemon=True).start()
            return 202, {"message": "the end will be reported by event"}
        return self._work_late(path, body)

    def _work_late(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        self.let.wait()
        self.ended[body["date"]] = super().handle(path, body)
        return self.ended[body["date"]]


def impatient(document: dict[str, Any]) -> None:
    """Few attempts where workers lie, short deadlines where they are late: a busy machine may miss those, so many."""
    _, raw, shape, _ = document["phases"]
    raw["failure"]["retries"] = ATTEMPTS - 1
    shape["dispatch"]["timeout_seconds"] = TIMEOUT_SECONDS
    shape["failure"] |= {"retries": 12, "max_backoff_seconds": 4.0}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorldOnTheStack]:
    folder = tmp_path_factory.mktemp("truth")
    seasons = {day: f"season {n}" for n, day in enumerate(DAYS)}
    write_source(folder / "world" / "source", dict.fromkeys(DAYS, 2), seasons)
    with world_on_the_stack(folder, dates=len(DAYS), change=impatient) as made:
        yield made


def run(there: WorldOnTheStack, run_id: str, *days: int) -> tuple[int, dict[str, Any]]:
    """Run some dates from nothing: the exit status of ``run``, and the run's status."""
    dates = ",".join(str(DAYS[n]) for n in days)
    words = ("run", "--dates", dates, "--reprocess", "all", "--run-id", run_id)
    done = there.stack.command("--backend", "gcp", *words)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, as_json(there.stack.command("--backend", "gcp", "status", run_id, "--json"))


def rows_of(there: WorldOnTheStack, table: str, day: int) -> list[dict[str, Any]]:
    """The rows of a date with their fences."""
    sql = f"SELECT * FROM `{table}` WHERE d = @day ORDER BY k"
    return there.deployment.backend.warehouse.query(sql, {"day": DAYS[day]})


# A worker that answers 200 and writes nothing


def check_caught(there: WorldOnTheStack, run_id: str, day: int, found: tuple[int, dict[str, Any]], said: str) -> None:
    """The lie is the run's one failure, after its attempts, and nothing that reads the table was started."""
    code, status = found
    assert (code, status["status"]) == (1, "completed_with_failures")
    (failure,) = status["failures"]
    assert (failure["date"], failure["phase"], failure["processor"]) == (str(DAYS[day]), "raw", "a")
    assert (failure["attempt"], said in failure["message"]) == (ATTEMPTS, True), failure
    facts = there.state.dates(run_id, [DAYS[day]])[DAYS[day]]
    assert {phase for phase, _ in facts.tasks} == {"fetch", "raw"}
    assert not {phase for when, phase, *_ in there.service.calls if when == str(DAYS[day])} & {"shape", "final"}


def test_a_success_without_a_row_fails_the_task_and_the_next_phase_is_never_dispatched(there: WorldOnTheStack) -> None:
    there.service.calls.clear()
    there.world.misbehave(**{f"raw__a__{LIED}": ["lie"] * ATTEMPTS})
    found = run(there, "lied", LIED)
    check_caught(there, "lied", LIED, found, "reported success, the table holds no row")
    assert rows_of(there, "raw.a", LIED) == []


def test_a_success_over_the_rows_of_an_earlier_run_is_caught_by_their_fence(there: WorldOnTheStack) -> None:
    assert run(there, "honest", LIED_AGAIN)[0] == 0
    there.service.calls.clear()
    before = rows_of(there, "raw.a", LIED_AGAIN)
    there.world.misbehave(**{f"raw__a__{LIED_AGAIN}": ["lie"] * ATTEMPTS})
    found = run(there, "lied-again", LIED_AGAIN)
    check_caught(there, "lied-again", LIED_AGAIN, found, "the table holds 4 rows, of an earlier attempt")
    assert rows_of(there, "raw.a", LIED_AGAIN) == before != []


# A worker that writes after its deadline


@dataclass(frozen=True)
class LateWrites:
    """A run in which two first attempts were late. before, after: rows of the table around their writes, by date.

    ended: what the late requests came to.
    """

    there: WorldOnTheStack
    exit_status: int
    before: dict[int, list[dict[str, Any]]]
    after: dict[int, list[dict[str, Any]]]
    ended: dict[str, tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def late(there: WorldOnTheStack) -> Iterator[LateWrites]:
    backend, honest = there.deployment.backend, there.service.worker
    days = {str(DAYS[SILENT]), str(DAYS[ACCEPTED])}
    worker = LateWorker(there.world.source, backend.warehouse, backend.objects, days, {str(DAYS[ACCEPTED])})
    there.service.worker = worker
    try:
        code, _ = run(there, "late", SILENT, ACCEPTED)
        before = {day: rows_of(there, "shape.left_side", day) for day in (SILENT, ACCEPTED)}
        worker.let.set()
        until(lambda: worker.ended.keys() == days)
        after = {day: rows_of(there, "shape.left_side", day) for day in (SILENT, ACCEPTED)}
        yield LateWrites(there, code, before, after, worker.ended)
    finally:
        worker.let.set()
        there.service.worker = honest


def left(day: int, attempt: int) -> AttemptKey:
    """An attempt of the late processor."""
    return AttemptKey(DAYS[day], "shape", "left", attempt)


def test_a_run_completes_over_attempts_that_are_late(late: LateWrites) -> None:
    assert late.exit_status == 0


@pytest.mark.parametrize("day", [SILENT, ACCEPTED], ids=["silent", "accepted"])
def test_a_late_write_is_refused_and_leaves_the_table_as_the_later_attempt_wrote_it(late: LateWrites, day: int) -> None:
    status, answer = late.ended[str(DAYS[day])]
    assert (status, "fence" in answer["message"]) == (409, True)
    assert late.after[day] == late.before[day]
    assert [row["k"] for row in late.after[day]] == ["T0", "T1", "T2", "T3"]


@pytest.mark.parametrize("day", [SILENT, ACCEPTED], ids=["silent", "accepted"])
def test_the_rows_carry_a_higher_fence_than_the_late_attempts(late: LateWrites, day: int) -> None:
    (claim,) = late.there.state.claims("late", [left(day, 1)]).values()
    assert all(row["_fence"] > claim.fence for row in late.after[day])


@pytest.mark.parametrize("day", [SILENT, ACCEPTED], ids=["silent", "accepted"])
def test_an_attempt_of_which_no_end_is_heard_is_healed_when_its_lease_has_run_out(late: LateWrites, day: int) -> None:
    first = late.there.state.dates("late", [DAYS[day]])[DAYS[day]].attempt("shape", "left", 1)
    (claim,) = late.there.state.claims("late", [left(day, 1)]).values()
    assert (first.reported, first.healed and first.healed.at > claim.lease_until) == (None, True)
    heals = {heal.subject: heal.kind for heal in late.there.state.heals("late")}
    assert heals[str(left(day, 1))] == "lease"
