"""Runs whose worker has processes of its own: one that hangs or ends is a failed attempt, and the run goes on."""

import json
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.processes import _Process
from phasegate.bootstrap import Embedded, EmbeddedOptions
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.state.run import RunStatus
from tests.commands import ROOT
from tests.contract.test_worker_processes import is_there, until
from tests.endtoend.test_command_line import PATIENCE_SECONDS, Site
from tests.world import HISTORY, TABLES, World, batched


def driven(folder: Path, isolation: str, acts: dict[str, tuple[str, str, int]]) -> tuple[World, dict[str, list[Any]]]:
    """A world after its run, and the ends of the attempts at the tasks of ``acts``: act -> phase, processor, date."""

    def change(document: dict[str, Any]) -> None:
        document["workers"]["world"] |= {"factory": "tests.fakes.dying_world:build", "isolation": isolation}
        final = document["phases"][-1]
        final["processors"][-1]["timeout_seconds"] = 3
        for phase in document["phases"]:
            phase["failure"] = {"retries": 4, "first_backoff_seconds": 0.1}

    world = World(folder, dates=3, change=change)
    for act, (phase, processor, number) in acts.items():
        (world.source / f"{act} {phase} {processor} {world.days[number]}").touch()
    overdue: list[str] = []
    with Embedded(world.home, world.pipeline, world.source, EmbeddedOptions(threads=1)) as embedded:
        world.begin(embedded)
        board = embedded.drive("r", progress=lambda progress: overdue.extend(progress.overdue))
        dates = embedded.state.dates("r", world.days)
    assert board.status is RunStatus.COMPLETED
    assert overdue == [], "no thread was lost for a moment"
    return world, {
        act: [each.reported for each in dates[world.days[number]].tasks[phase, processor]]
        for act, (phase, processor, number) in acts.items()
    }


def test_a_run_completes_over_processes_that_hang_end_and_are_killed_with_the_tables_of_one_in_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    kill = _Process.kill

    def kill_late(process: _Process) -> str:
        threading.Event().wait(0.6)  # Two turns of the engine, which must not give the call up meanwhile.
        return kill(process)

    monkeypatch.setattr(_Process, "kill", kill_late)
    acts = {"exit": ("raw", "a", 0), "kill": ("raw", "b", 1), "hang": ("final", "note", 2)}
    isolated, ends = driven(tmp_path / "isolated", "process", acts)
    said = {
        "exit": "the worker's process ended with status 3",
        "kill": "the worker's process ended by SIGKILL, as the kernel does when memory is short",
        "hang": "the worker did not answer by its deadline: its process was killed",
    }
    for act, attempts in ends.items():
        failed = [(each.error_class, each.message) for each in attempts if each.error_class is not None]
        assert (ErrorClass.TRANSIENT, said[act]) in failed
        assert attempts[-1].error_class is None
    threaded, _ = driven(tmp_path / "threaded", "thread", {})
    assert isolated.tables() == threaded.tables()


def test_a_process_that_dies_with_several_dates_costs_none_of_them_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    acts = {"exit": ("raw", "a", 0), "kill": ("raw", "b", 1)}
    with batched(7):
        isolated, ends = driven(tmp_path / "isolated", "process", acts)
    for attempts in ends.values():
        assert [None if each is None else each.error_class for each in attempts] == [None, None]
        assert [each is None for each in attempts] == [True, False], "void, and done"
    threaded, _ = driven(tmp_path / "threaded", "thread", {})
    assert isolated.tables() == threaded.tables()


LIGHT = f"""
import os, time

COLUMNS = "d DATE, k STRING, v INT64, _fence INT64"

class Worker:
    def __init__(self, source, warehouse, objects):
        self.source, self.warehouse = source, warehouse
        print("a line from the factory")

    def prepare(self):
        for table in {list(TABLES.values())}:
            self.warehouse.apply_schema(f"CREATE TABLE IF NOT EXISTS `{{table}}` ({{COLUMNS}})")
        self.warehouse.apply_schema({HISTORY!r})

    def handle(self, path, body):
        print("a line from a call")
        (self.source / f"called-{{os.getpid()}}").touch()
        time.sleep(1000)
"""


def test_ctrl_c_twice_ends_the_processes_too_and_what_they_print_is_in_the_runs_log(tmp_path: Path) -> None:
    (tmp_path / "light.py").write_text(LIGHT)
    isolated = {"factory": "light:Worker", "isolation": "process"}
    site = Site(tmp_path, lambda document: document["workers"]["world"].update(isolated))
    process = site.begin(*site.selecting("run", "--season", "2023-24", "--run-id", "r", "--json"))
    try:
        called = until(lambda: len(found := list(site.world.source.glob("called-*"))) == 4 and found)
        pids = [int(file.name.partition("-")[2]) for file in called]
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        lines = iter(process.stderr.readline, "")
        assert any("draining" in line for line in lines)
        assert all(map(is_there, pids)), "what runs is waited for"
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert (process.returncode, out) == (130, "")
        until(lambda: not any(map(is_there, pids)))
    finally:
        site.close()
    assert "worker.world a line from a call" in (site.home / "reports" / "r.log").read_text()
    json.dumps(site.status())
