"""Workers that hang in the process that drives a run: they are named, others take their place, and the process ends."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded import engine
from phasegate.adapters.embedded.clock import SystemClock
from phasegate.adapters.embedded.engine import Progress
from phasegate.adapters.embedded.executor import CALL_THREAD, ThreadExecutor
from phasegate.bootstrap import Embedded, EmbeddedOptions
from phasegate.domain.state.facts import HealedAs
from phasegate.domain.state.run import RunStatus
from phasegate.ports import ObjectStore, Warehouse, claims
from phasegate.services.running import listener, runner
from tests.commands import without_settings
from tests.endtoend.test_command_line import PATIENCE_SECONDS, Site
from tests.world import World, WorldWorker

FOR_EVER = PATIENCE_SECONDS * 10
"""Longer than any of these tests."""

LET_GO = threading.Event()
"""Ends what hangs in this process: a command that is tried out here later would take it for its own, and exit."""


class HangingWorker(WorldWorker):
    """The world's worker, whose first attempts hang where ``hang.json`` says so: ``phase/processor/date`` or ``all``.

    It waits for a thread of its own, for which the interpreter would wait at its end.
    """

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """One request."""
        hanging = self._read("hang.json")
        is_named = f"{body['phase']}/{body['processor']}/{body['date']}" in hanging
        if "all" in hanging or (body["attempt"] == 1 and is_named):
            ThreadPoolExecutor().submit(LET_GO.wait, FOR_EVER).result()
        return super().handle(path, body)


def build(source: Path, warehouse: Warehouse, objects: ObjectStore) -> HangingWorker:
    """The factory that the pipeline of these tests names."""
    return HangingWorker(source, warehouse, objects)


def short(document: dict[str, Any]) -> None:
    """The world's pipeline with the worker of these tests, which has a second for each call."""
    document["workers"]["world"]["factory"] = "tests.endtoend.test_hanging_workers:build"
    for phase in document["phases"]:
        phase["dispatch"]["timeout_seconds"] = 1
        phase["limits"] = {}


def hang(world: World, *cells: str) -> None:
    """Let the first attempts of these tasks hang."""
    (world.source / "hang.json").write_text(json.dumps(dict.fromkeys(cells, 1)))


def test_a_call_that_hangs_is_named_the_rest_goes_on_and_ctrl_c_leaves(tmp_path: Path) -> None:
    site = Site(tmp_path, short)
    hung = f"fetch/a/{site.world.days[0]}"
    hang(site.world, hung)
    process = site.begin(*site.selecting("run", "--season", "2023-24", "--run-id", "r"))
    try:
        found = site.until(lambda status: bool(status["overdue"]) and status["tasks"]["succeeded"] >= 20)
        (overdue,) = found["overdue"]
        assert "/".join((overdue["phase"], overdue["processor"], overdue["date"])) == hung
        said = f"past its deadline: {site.world.days[0]} fetch/a: attempt 1 began at "
        assert said in site("status", "r").out
        roots = site("explain", "r", "--json").document["roots"]
        (root,) = (each for each in roots if each["kind"] == "past its deadline")
        assert (root["date"], root["phase"], root["processor"]) == (str(site.world.days[0]), "fetch", "a")
        assert "where the worker hangs, mend it" in root["remedy"]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 130, "one Ctrl-C is enough: nobody waits for a call that has passed its deadline"
        assert f"past their deadline, and not waited for: {site.world.days[0]} a" in err
    finally:
        site.close()


def test_when_too_many_calls_hang_the_run_halts_with_their_names(tmp_path: Path) -> None:
    site = Site(tmp_path, short)
    hang(site.world, "all")
    answer = site.run()
    assert answer.code == 3
    assert "error: 8 calls have passed their deadline and hang: " in answer.err
    assert answer.err.rstrip().endswith("then: phasegate --home home resume r")
    assert len(site.status()["overdue"]) >= 8
    (site.world.source / "hang.json").unlink()
    assert site("resume", "r").code == 0


def test_ctrl_c_twice_leaves_at_once_where_the_main_thread_is_held_up_too() -> None:
    script = (
        "import ctypes\n"
        "from phasegate.cli.backends.interruption import Interruption\n"
        "mutex, library = ctypes.create_string_buffer(64), ctypes.CDLL(None)\n"
        "with Interruption():\n"
        "    library.pthread_mutex_lock(mutex)\n"
        "    print('held', flush=True)\n"
        "    library.pthread_mutex_lock(mutex)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=without_settings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    give_up = threading.Timer(PATIENCE_SECONDS, process.kill)
    give_up.start()
    try:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "held\n"
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert "draining" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    finally:
        give_up.cancel()
        process.kill()
        process.communicate()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leases end, and sweeps come, a moment after the deadline; at the end nothing hangs any more."""
    for module in (claims, runner, listener):
        monkeypatch.setattr(module, "LEASE_MARGIN", timedelta(milliseconds=100))
    monkeypatch.setattr(engine, "SWEEP_EVERY", timedelta(milliseconds=100))
    yield
    LET_GO.set()
    for thread in threading.enumerate():
        if thread.name.startswith(CALL_THREAD):
            thread.join(PATIENCE_SECONDS)
    LET_GO.clear()


@pytest.mark.usefixtures("quick")
def test_a_call_that_hung_is_tried_again_when_its_lease_is_over_and_the_run_completes(tmp_path: Path) -> None:
    world = World(tmp_path, dates=3, change=short)
    hang(world, *(f"raw/a/{day}" for day in world.days))
    seen: list[Progress] = []
    options = EmbeddedOptions(threads=2)
    with Embedded(world.home, world.pipeline, world.source, options) as embedded:
        world.begin(embedded)
        board = embedded.drive("r", progress=seen.append)
        healed = [embedded.state.dates("r", [day])[day].attempt("raw", "a", 1).healed for day in world.days]
    assert board.status is RunStatus.COMPLETED
    assert [heal.outcome for heal in healed if heal is not None] == [HealedAs.LOST] * 3
    assert max(len(progress.overdue) for progress in seen) == 3, "more than there are threads"
    assert seen[-1].running == 0


# the executor


class Jobs:
    """Jobs of which those called ``hang`` end when they are told."""

    def __init__(self) -> None:
        self.end = threading.Event()

    def execute(self, job: str) -> str:
        """Run a job."""
        if job.startswith("hang"):
            self.end.wait(FOR_EVER)
        return f"end of {job}"


def executor_of(jobs: Jobs) -> ThreadExecutor[str, str]:
    """An executor of one thread, for whose jobs the deadline has always passed."""
    return ThreadExecutor(jobs.execute, 1, SystemClock(), lambda _: timedelta())


def until(executor: ThreadExecutor[str, str], found: Callable[[], Any]) -> Any:
    """Wait for something that a thread does."""
    for _ in range(1000):
        if value := found():
            return value
        executor.wait(datetime.now(UTC) + timedelta(milliseconds=10))
    raise AssertionError("it never came")


def test_a_thread_past_its_deadline_is_replaced_and_its_late_end_is_collected() -> None:
    jobs = Jobs()
    executor = executor_of(jobs)
    executor.submit(["hang"])
    assert until(executor, executor.overdue) == ["hang"]
    assert (executor.overdue(), executor.busy) == ([], 0)
    executor.submit(["next"])
    assert until(executor, executor.collect) == [("next", "end of next")]
    jobs.end.set()
    assert until(executor, executor.collect) == [("hang", "end of hang")]
    assert executor.busy == 0
    executor.submit(["one more"])
    assert until(executor, executor.collect) == [("one more", "end of one more")]
    executor.close()


def test_a_deadline_is_measured_on_a_clock_that_nobody_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, set_ahead, seconds = Jobs(), time.time() + 86_400, time.monotonic()
    executor = ThreadExecutor(jobs.execute, 1, SystemClock(), lambda _: timedelta(minutes=10))
    executor.submit(["hang"])
    until(executor, lambda: executor._places[0].running)
    monkeypatch.setattr(time, "time", lambda: set_ahead)
    assert executor.overdue() == [], "the clock of the machine was set a day ahead"
    monkeypatch.setattr(time, "monotonic", lambda: seconds + 3600)
    assert executor.overdue() == ["hang"]
    monkeypatch.undo()
    jobs.end.set()
    executor.close()


def test_closing_waits_for_no_job_that_has_passed_its_deadline() -> None:
    jobs = Jobs()
    executor = executor_of(jobs)
    executor.submit(["hang"])
    until(executor, executor.overdue)
    executor.close()
    assert not jobs.end.is_set()
    jobs.end.set()


def test_closing_waits_for_a_job_no_longer_than_to_its_deadline_and_begins_none_that_waits() -> None:
    jobs = Jobs()
    begun: list[str] = []

    def execute(job: str) -> str:
        begun.append(job)
        return jobs.execute(job)

    executor = ThreadExecutor(execute, 3, SystemClock(), lambda _: timedelta(seconds=0.2))
    executor.submit(["hang 1", "hang 2", "hang 3", "hang 4"])
    until(executor, lambda: len(begun) == 3)
    closing = threading.Thread(target=executor.close, daemon=True)
    closing.start()
    closing.join(PATIENCE_SECONDS)
    assert not closing.is_alive()
    assert sorted(begun) == ["hang 1", "hang 2", "hang 3"]
    jobs.end.set()
