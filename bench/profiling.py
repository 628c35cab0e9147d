"""Where the time of orchestration goes: W(D) under cProfile, by module.

``python -m bench.profiling`` profiles once, in a process of its own, and prints the shares as JSON. Only the thread
that drives the run is looked at; the worker's do nothing.
"""

import argparse
import cProfile
import json
import pstats
from collections import Counter
from pathlib import Path
from typing import Any

from bench.checkout import ROOT
from bench.ground import BATCH, Ground
from bench.orchestration import measure_orchestration

SHOWN = 12
"""Lines of each profile."""


def profile(ground: Ground) -> None:
    """Profile W(D), date by date and in batches; nothing is held to a bound."""
    for told, batch in (("date by date", 1), (f"in batches of {BATCH}", BATCH)):
        words = ("--dates", ground.sizes.idle_dates, "--batch", batch)
        shares = ground.today.measure("bench.profiling", *words).document
        ground.bounds.details[f"profile {told}"] = shares
        print(f"profile of W({ground.sizes.idle_dates}) {told}: share of the seconds in itself")
        for module, share in shares[:5]:
            print(f"  {share:6.1%} {module}")


def shares_by_module(stats: pstats.Stats) -> list[tuple[str, float]]:
    """Return the share of the whole time that each module's own lines took, the largest first; what Python has built in
    is told by its name."""
    seconds: Counter[str] = Counter()
    timings: dict[tuple[str, int, str], tuple[Any, ...]] = stats.stats  # type: ignore[attr-defined]
    for (file, _, name), (_, _, own, *_) in timings.items():
        seconds[_place(file, name)] += own
    whole = seconds.total()
    return [(place, own / whole) for place, own in seconds.most_common(SHOWN)]


def _place(file: str, name: str) -> str:
    if file == "~":
        return name.strip("<>")
    path = Path(file)
    if path.is_relative_to(ROOT / "shared"):
        return str(path.relative_to(ROOT / "shared"))
    if "site-packages" in path.parts:
        return path.parts[path.parts.index("site-packages") + 1]
    return path.stem


def main() -> None:
    """Profile once."""
    parser = argparse.ArgumentParser(prog="python -m bench.profiling", description=main.__doc__)
    parser.add_argument("--dates", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True, help="dates a call")
    given = parser.parse_args()
    profiler = cProfile.Profile()
    measure_orchestration(given.dates, given.batch, profiler.runcall)
    print(json.dumps(shares_by_module(pstats.Stats(profiler))))


if __name__ == "__main__":
    main()
