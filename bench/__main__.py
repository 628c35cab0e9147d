"""``make bench``: measures what the README and the issues claim, and prints each figure with the bound it is held to,
or the goal that it is on the way to.

Ratios are taken within one run. Exits with 1 when a bound does not hold, and with 2 when what it is measured beside is
not there. What falls short of a goal is told.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.bounds import Bounds
from bench.checkout import BEFORE, ROOT, checked_out, require_commit, today
from bench.figures import keep_part, read_parts, taken_now
from bench.ground import QUICK, WHOLE, Ground
from bench.home import home_of_many_runs
from bench.operations import operations
from bench.pace import orchestration, scale
from bench.page import REASONS, read_peers, write_page
from bench.people import commands
from bench.profiling import profile
from bench.retrying import retries
from bench.seasons import all_phases, eleven_seasons, five_seasons, one_season, plain_loop
from bench.source import make_sample
from bench.stack import stack
from bench.statements import statements

FIGURES = ROOT / "bench" / "figures.json"


@dataclass(frozen=True, slots=True)
class Part:
    """A part is what one ``--only`` measures."""

    measure: Callable[[Ground], None]
    """Measures it, and tells the ground's bounds."""
    needs_before: bool = False
    """Whether it is measured beside the commit before."""
    needs_emulators: bool = False
    """Whether the commit before needs its stand-in for BigQuery."""
    is_asked_for: bool = False
    """Whether it is measured only when it is named."""


PARTS = {
    "orchestration": Part(orchestration, needs_before=True),
    "scale": Part(scale),
    "profile": Part(profile),
    "season": Part(one_season, needs_before=True),
    "loop": Part(plain_loop, needs_before=True),
    "five": Part(five_seasons, needs_before=True),
    "eleven": Part(eleven_seasons, needs_before=True),
    "phases": Part(all_phases),
    "commands": Part(commands),
    "stack": Part(stack, needs_before=True, needs_emulators=True),
    "operations": Part(operations),
    "statements": Part(statements),
    "home": Part(home_of_many_runs, is_asked_for=True),
    "retry": Part(retries, is_asked_for=True),
}
"""The parts by name, in the order in which they are measured."""


def main() -> None:
    """Measure; the games come from SOURCE, or are made up. Or write the page of what was measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=main.__doc__)
    parser.add_argument("--source", type=Path, default=Path(os.environ.get("SOURCE", ROOT.parent / "shared" / "nba")))
    parser.add_argument("--only", choices=PARTS, action="append", metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--before", default=BEFORE, help="the commit that today is measured beside; %(default)s")
    parser.add_argument("--without-before", action="store_true", help="measure today alone")
    parser.add_argument("--quick", action="store_true", help="small sizes: whether each part works")
    parser.add_argument("--json", type=Path, help="keep the figures of these parts in this file")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page from --json, and measure nothing")
    given = parser.parse_args()
    if given.write:
        parts = read_parts(given.json or FIGURES)
        ordered = {name: parts[name] for name in PARTS if name in parts}
        write_page(given.write, ordered, read_peers(), REASONS.read_text(encoding="utf-8"))
        return
    chosen = [name for name, part in PARTS.items() if (name in given.only if given.only else not part.is_asked_for)]
    sys.exit(0 if measure(chosen, given) else 1)


def measure(chosen: list[str], given: argparse.Namespace) -> bool:
    """Measure these parts one after the other; returns whether all bounds hold."""
    parts = [PARTS[name] for name in chosen]
    needs_before = not given.without_before and any(part.needs_before for part in parts)
    if needs_before:
        require_commit(given.before)
    all_hold = True
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        here, source, games = today(), given.source, "the real source"
        if not (source / "schedule.parquet").exists():
            source, games = make_sample(here, Path(folder) / "sample"), "a made-up league"
        print(f"games: {games}")
        emulators = any(part.needs_emulators for part in parts)
        before = stack.enter_context(checked_out(given.before, emulators=emulators)) if needs_before else None
        taken = taken_now(
            before=given.before if needs_before else "", sizes="quick" if given.quick else "whole", games=games
        )
        for name in chosen:
            print(f"\n{name}", flush=True)
            own = Path(folder) / name
            own.mkdir()
            bounds = Bounds()
            PARTS[name].measure(Ground(bounds, QUICK if given.quick else WHOLE, source, own, here, before))
            all_hold &= bounds.all_hold
            if given.json:
                keep_part(given.json, name, taken, bounds)
    return all_hold


if __name__ == "__main__":
    main()
