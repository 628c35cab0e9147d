"""``kill -9`` again and again on the real command, with real threads; the same command brings the run to its end."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from functools import cached_property
from pathlib import Path

import duckdb
import pytest

from phasegate.adapters.embedded.home import Home
from tests.conftest import FULL
from tests.world import World

pytestmark = pytest.mark.usefixtures("dates_at_once")

ROOT = Path(__file__).parents[2]
KILLS, CHAINS = (50, 5) if FULL else (8, 1)
"""Date by date, and as many with batches."""
PATIENCE = 60.0
"""Seconds that a command may take before the test gives up."""


class KilledWorld(World):
    """The small world with ten dates, driven by the command in a process of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, dates=10)
        self._folder = folder
        self.scratch = folder / "scratch"
        self.scratch.mkdir()

    def fresh_home(self) -> None:
        """Begin anew."""
        shutil.rmtree(self.home.root, ignore_errors=True)
        self.home = Home(self._folder / "home")

    def start(self) -> subprocess.Popen[str]:
        """Type the command."""
        words = ["--home", str(self.home.root), "run", "--pipeline", str(self.pipeline_file), "--run-id", "r"]
        return subprocess.Popen(
            [sys.executable, "-m", "phasegate.cli.main", *words, "--source", str(self.source), "--season", "2023-24"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.scratch)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def complete(self) -> None:
        """Type the command and wait for its end."""
        with self.start() as process:
            _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors

    def wait_until_it_drives(self, process: subprocess.Popen[str]) -> bool:
        """Wait until the process holds the home; False when it ended before."""
        lock, owner = self.home.root / "engine.lock", f"process {process.pid}"
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            if lock.exists() and lock.read_text() == owner:
                return True
            if _ended_within(process, 0.002):
                return False
        raise AssertionError("the command does not begin")

    def kill_after(self, seconds: float) -> bool:
        """Type the command and kill it so long after it took the home; whether it was still running then."""
        with self.start() as process:
            if self.wait_until_it_drives(process) and not _ended_within(process, seconds):
                process.send_signal(signal.SIGKILL)
            _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode in (0, -signal.SIGKILL), errors
        return process.returncode == -signal.SIGKILL

    @cached_property
    def seconds_driving(self) -> float:
        """How long the undisturbed command holds the home; measured once, the run is complete afterwards."""
        with self.start() as process:
            self.wait_until_it_drives(process)
            begun = time.monotonic()
            _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
        return time.monotonic() - begun

    def state(self) -> dict[str, object]:
        """What may not depend on the kills."""
        found = self.report()
        return {
            "status": found.status.value,
            "tasks": found.tasks,
            "phases": found.phases,
            "quarantined": found.quarantined,
            "tables": self.tables(),
            "objects": sorted(
                str(path.relative_to(self.home.objects)) + path.read_text()
                for path in self.home.objects.rglob("*.jsonl")
            ),
        }

    def history(self) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
        """Keys of the attempts that ended, by the facts and by ``processor_run_history``."""
        with closing(sqlite3.connect(self.home.state)) as state:
            ended = state.execute(
                "SELECT DISTINCT day, phase, processor, attempt FROM facts"
                " WHERE name IN ('reported', 'healed', 'abandoned') ORDER BY 1, 2, 3, 4"
            ).fetchall()
        with closing(duckdb.connect(str(self.home.warehouse), read_only=True)) as warehouse:
            written = warehouse.execute(
                "SELECT CAST(data_date AS VARCHAR), phase, processor_name, attempt FROM ref.history ORDER BY 1, 2, 3, 4"
            ).fetchall()
        return ended, written


def _ended_within(process: subprocess.Popen[str], seconds: float) -> bool:
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.mark.parametrize("seed", range(CHAINS))
def test_killed_again_and_again_the_same_command_ends_as_if_nothing_had_happened(tmp_path: Path, seed: int) -> None:
    world = KilledWorld(tmp_path)
    longest = world.seconds_driving
    undisturbed = world.state()
    random_ = random.Random(seed)
    kills = 0
    while kills < KILLS // CHAINS:
        world.fresh_home()
        killed = True
        while killed and kills < KILLS // CHAINS:
            killed = world.kill_after(random_.uniform(0, longest))
            kills += killed
        if killed:
            world.complete()
        assert world.state() == undisturbed
        ended, written = world.history()
        assert written == ended
    assert kills == KILLS // CHAINS
