"""What orchestration costs on the local stack: Google's emulators, real functions, workers that do nothing.

``python -m bench.stack`` measures once, in a process of its own, and prints the figures as JSON.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import requests

from bench.bounds import Beside
from bench.ground import BATCH, Ground
from bench.orchestration import HISTORY
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.deployment import Deployment
from phasegate.domain.state.facts import DateFacts
from tests.stack.idle import idle_worker, write_history, write_idle_pipeline, write_schedule
from tests.stack.running import running_stack

AT_ONCE, PER_SECOND = 2, 10
"""Tasks under way and begun in each of the four queues: what two cores keep up with. Unlimited, the run is over in 60 %
of the time, and messages wait for seconds in Pub/Sub's emulator, which delivers two at a time."""

GIVEN_UP_SECONDS = 600.0
EDGES = (("phase_2_raw", "phase_3_analytics"), ("phase_3_analytics", "phase_4_precompute"))


@dataclass(frozen=True, slots=True)
class StackFigures:
    """The figures of one backfill."""

    tasks: int
    """Attempts that were made; each task has one."""
    seconds: float
    """Seconds from kick-off to the end of the run."""
    release_seconds: float
    """Median seconds from the end of a phase's last worker call to the first dispatch of the next phase."""


def stack(ground: Ground) -> None:
    """Idle tasks on the local stack in batches, beside before, which calls the worker date by date."""
    dates, bounds = ground.sizes.stack_dates, ground.bounds
    found = StackFigures(**ground.today.measure("bench.stack", "--dates", dates, "--batch", BATCH).document)
    told = f"local stack, {dates} dates, {found.tasks:,} idle tasks, batches of {BATCH}"
    if ground.before:
        before = StackFigures(**ground.before.run_own(BEFORE_CODE.format(dates=dates)).document)
        assert before.tasks == found.tasks
        bounds.share(told, found.seconds, "s", Beside("before", before.seconds), most=0.333)
    else:
        bounds.check(told, found.seconds, "s")
    bounds.check("  last call of a phase to first dispatch of the next", found.release_seconds, "s", most=1.5)


BEFORE_CODE = """
import dataclasses, json
from bench.stack import measure_stack
print(json.dumps(dataclasses.asdict(measure_stack({dates}))))
"""
"""The commit before measures itself: its pipeline file and its stack are its own."""


def measure_stack(dates: int, batch: int) -> StackFigures:
    """Backfill so many dates of phases 1 to 4 through a stack of its own, with so many dates a call."""
    days = [date(2023, 10, 24) + timedelta(days=n) for n in range(dates)]
    with tempfile.TemporaryDirectory() as folder, idle_worker() as url:
        pipeline = write_idle_pipeline(Path(folder) / "idle.yaml", url, AT_ONCE, PER_SECOND, batch)
        with running_stack(Path(folder) / "home", pipeline=pipeline, sweep_every=10.0) as stack:
            os.environ.update(stack.environment)
            settings = CloudSettings.from_environment()
            write_schedule(settings, days)
            write_history(settings, HISTORY)
            state = Deployment(settings).backend.state
            begun = time.perf_counter()
            body = {"run_id": "bench", "season": "2023-24"}
            requests.post(stack.function_url("starter"), json=body, timeout=120).raise_for_status()
            while not (board := state.board("bench")[0]).status.is_final:
                assert time.perf_counter() - begun < GIVEN_UP_SECONDS, board.status
                time.sleep(0.5)
            seconds = time.perf_counter() - begun
            assert board.status.value == "completed", board.status
            facts = state.dates("bench", days)
    tasks = sum(len(attempts) for each in facts.values() for attempts in each.tasks.values())
    return StackFigures(tasks, seconds, median(gap for each in facts.values() for gap in _gaps(each)))


def _gaps(facts: DateFacts) -> list[float]:
    gaps = []
    for before, after in EDGES:
        last = max(a.reported.finished_at for (p, _), t in facts.tasks.items() if p == before for a in t if a.reported)
        first = min(a.dispatched.at for (p, _), t in facts.tasks.items() if p == after for a in t if a.dispatched)
        gaps.append((first - last).total_seconds())
    return gaps


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(prog="python -m bench.stack", description=main.__doc__)
    parser.add_argument("--dates", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True, help="dates a call")
    given = parser.parse_args()
    print(json.dumps(asdict(measure_stack(given.dates, given.batch))))


if __name__ == "__main__":
    main()
