"""One home in which runs follow one another: what the hundredth takes of memory, and how long ``runs`` takes to list
them."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from bench.ground import HISTORICAL, Ground

RUNS, EARLIER = 100, 10


@dataclass(frozen=True, slots=True)
class HomeFigures:
    """What was measured; each figure is of a process of its own."""

    growth: float
    """The most memory that the last run's process had, over that of the tenth run's."""
    help_seconds: float
    """``phasegate --help``, the best of seven."""
    runs_seconds: float
    """``phasegate runs`` in the home of all the runs, the best of seven."""


def home_of_many_runs(ground: Ground) -> None:
    """Runs that follow one another in a home, ten dates in turn."""
    schedule = duckdb.read_parquet(str(ground.source / "schedule.parquet"))
    dates = schedule.project("game_date").distinct().order("game_date").limit(10).fetchall()
    found = measure_home(ground.today.pipeline, ground.source, [str(day) for (day,) in dates])
    ground.bounds.check(f"memory of run {RUNS} in a home, over run {EARLIER}", found.growth, "", most=1.1)
    beyond = found.runs_seconds - found.help_seconds
    ground.bounds.check(f"`runs` in that home, beyond --help ({found.help_seconds:.2f} s)", beyond, "s", most=0.1)


def measure_home(pipeline: Path, source: Path, dates: list[str]) -> HomeFigures:
    """Backfill the dates, one run for each and then from the first again, all of it anew each time."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        words = ["run", "--pipeline", str(pipeline), "--source", str(source), *HISTORICAL, "--reprocess", "all"]
        peaks = [
            _typed(home, *words, "--run-id", f"r{number}", "--dates", dates[number % len(dates)])[1]
            for number in range(RUNS)
        ]
        return HomeFigures(
            growth=peaks[-1] / peaks[EARLIER - 1],
            help_seconds=min(_typed(home, "--help")[0] for _ in range(7)),
            runs_seconds=min(_typed(home, "runs")[0] for _ in range(7)),
        )


def _typed(home: Path, *words: str) -> tuple[float, int]:
    """Type a command; returns (seconds, its peak memory in kB)."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "phasegate.cli.main", "--home", str(home), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return time.perf_counter() - begun, used.ru_maxrss
