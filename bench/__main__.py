"""``make bench``: measures what the README and the issues claim, and prints each figure with the bound it is held to.

Ratios are taken within one run. Exits with 1 when a bound does not hold.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from bench.home import RUNS, measure_home
from bench.orchestration import DATES, measure_orchestration, measure_raw
from bench.retrying import measure_retry
from bench.stack import measure_stack
from bench.verifying import measure_verifier

ROOT = Path(__file__).parents[1]
PIPELINE = ROOT / "pipelines" / "nba" / "pipeline.yaml"
RETRIED_DATES = 20_000
BATCH = 20
ALL_SEASONS = ("2020-21", "2021-22", "2022-23", "2023-24", "2024-25")


class Bounds:
    """Prints figures and remembers whether all bounds held."""

    def __init__(self) -> None:
        self.all_hold = True

    def check(
        self, what: str, figure: float, unit: str, *, least: float | None = None, most: float | None = None
    ) -> None:
        """One line: the figure, its bound, and whether it holds."""
        holds = (least is None or figure >= least) and (most is None or figure <= most)
        bound = f"at least {least:g}" if least is not None else f"at most {most:g}"
        print(f"{what:<58} {figure:>10,.2f} {unit:<8} {bound:<16} {'ok' if holds else 'MISSED'}", flush=True)
        self.all_hold &= holds


def phasegate(*words: object) -> tuple[float, str]:
    """Type a command; returns (seconds, standard output)."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "phasegate.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stderr}")
    return seconds, done.stdout


def orchestration(bounds: Bounds, dates: int) -> None:
    """W(dates), date by date and in batches, against the raw limit; the best of three, taken alternately."""
    paces, batched, raws = [], [], []
    for _ in range(3):
        paces.append(measure_orchestration(dates, 1))
        raws.append(measure_raw(dates))
        batched.append(measure_orchestration(dates, BATCH))
    best, best_batched, raw = (max(of_kind, key=lambda pace: pace.rate) for of_kind in (paces, batched, raws))
    bounds.check(f"orchestration alone, W({dates}), {best.tasks:,} idle tasks", best.rate, "tasks/s", least=5_000)
    print(f"{'  raw limit of SQLite, two commits a task':<58} {raw.rate:>10,.2f} tasks/s")
    bounds.check("  share of the raw limit", best.rate / raw.rate, "", least=0.3)
    print(f"{f'  in batches of {BATCH} dates':<58} {best_batched.rate:>10,.2f} tasks/s")
    kinds = {"": paces, f", in batches of {BATCH}": batched, " of the raw limit": raws}
    for kind, of_kind in kinds.items():
        least = min(pace.cpu_microseconds for pace in of_kind)
        print(f"{f'  processor time a task{kind}':<58} {least:>10,.2f} µs")


def commands(bounds: Bounds, source: Path, seasons: list[str], home: Path) -> None:
    """What a person waits for. home: of a finished run, whose tables a plan asks; it need not be there."""
    bounds.check("phasegate --help", min(phasegate("--help")[0] for _ in range(3)), "s", most=0.4)
    words = ["--pipeline", str(PIPELINE), *(word for season in seasons for word in ("--season", season))]

    def plan(where: Path) -> float:
        return min(phasegate("--home", where, "plan", "--source", source, *words, "--json")[0] for _ in range(3))

    bounds.check(f"plan of {len(seasons)} season(s), nothing there", plan(home.with_name("none")), "s", most=1.5)
    if home.exists():
        bounds.check(f"plan of {len(seasons)} season(s), all of it there", plan(home), "s", most=6)


def backfill(bounds: Bounds, source: Path, seasons: list[str], most: float, home: Path) -> float:
    """Seconds a task for whole seasons in a new home."""
    words = ["--pipeline", str(PIPELINE), *(word for season in seasons for word in ("--season", season))]
    seconds, out = phasegate("--home", home, "run", "--source", source, *words, "--json")
    document = json.loads(out)
    tasks = document["tasks"]["expected"]
    assert document["status"] == "completed", document["status"]
    bounds.check(f"{len(seasons)} season(s), {document['dates']} dates, {tasks:,} tasks", seconds, "s", most=most)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    bounds.check("  peak memory", peak, "MB", most=1_500)
    return seconds / tasks


def stack(bounds: Bounds) -> None:
    """30 dates of phases 1 to 4 on the local stack, workers that do nothing; and the time between two phases."""
    found = measure_stack()
    bounds.check(f"local stack, 30 dates, {found.tasks:,} idle tasks", found.seconds, "s", most=180)
    bounds.check("  last call of a phase to first dispatch of the next", found.release_seconds, "s", most=1.5)


def home_of_many_runs(bounds: Bounds, source: Path) -> None:
    """Runs that follow one another in a home, ten dates in turn."""
    schedule = duckdb.read_parquet(str(source / "schedule.parquet"))
    dates = schedule.project("game_date").distinct().order("game_date").limit(10).fetchall()
    found = measure_home(PIPELINE, source, [str(day) for (day,) in dates])
    bounds.check(f"memory of run {RUNS} in a home, over run 10", found.growth, "", most=1.1)
    beyond = found.runs_seconds - found.help_seconds
    bounds.check(f"`runs` in that home, beyond --help ({found.help_seconds:.2f} s)", beyond, "s", most=0.1)


def retries(bounds: Bounds) -> None:
    """A retry over 20,000 dates."""
    for where, is_on_firestore in (("embedded mode", False), ("Firestore's emulator", True)):
        found = measure_retry(RETRIED_DATES, is_on_firestore)
        print(f"{f'a retry over {RETRIED_DATES:,} dates, {where}':<58} {found.seconds:>10,.2f} s")
        bounds.check("  peak memory", found.megabytes, "MB", most=1_000)


def main() -> None:
    """Measure; the games come from SOURCE, or are made up."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=main.__doc__)
    parser.add_argument("--source", type=Path, default=Path(os.environ.get("SOURCE", ROOT.parent / "shared" / "nba")))
    parser.add_argument("--only", choices=("orchestration", "commands", "seasons", "stack", "home", "retry"))
    parser.add_argument("--dates", type=int, default=DATES, help="dates of W(D), which measures orchestration alone")
    arguments = parser.parse_args()
    bounds = Bounds()
    with tempfile.TemporaryDirectory() as folder:
        source = arguments.source
        if not (source / "schedule.parquet").exists():
            source = Path(folder) / "sample"
            seasons = [word for season in ALL_SEASONS for word in ("--season", season)]
            phasegate("sample", source, "--pipeline", PIPELINE, *seasons)
            print("games: a made-up league")
        if arguments.only in (None, "orchestration"):
            orchestration(bounds, arguments.dates)
        home = Path(folder) / "five"
        if arguments.only in (None, "seasons"):
            one = backfill(bounds, source, ["2023-24"], 90, Path(folder) / "one")
            five = backfill(bounds, source, list(ALL_SEASONS), 600, home)
            bounds.check("  time a task, five seasons over one", five / one, "", most=1.5)
            dates, seconds, size = measure_verifier(home)
            bounds.check(f"verifying {dates} dates, all tables", seconds, "s", most=10)
            bounds.check("  the HTML report", size / 1e6, "MB", most=1)
        if arguments.only in (None, "commands"):
            commands(bounds, source, list(ALL_SEASONS), home)
        if arguments.only in (None, "stack"):
            stack(bounds)
        if arguments.only == "home":
            home_of_many_runs(bounds, source)
        if arguments.only == "retry":
            retries(bounds)
    sys.exit(0 if bounds.all_hold else 1)


if __name__ == "__main__":
    main()
