"""What orchestration costs on the local stack: Google's emulators, real functions, workers that do nothing."""

import os
import tempfile
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import requests

from bench.orchestration import HISTORY
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.deployment import Deployment
from phasegate.domain.state.facts import DateFacts
from tests.stack.idle import idle_worker, write_history, write_idle_pipeline, write_schedule
from tests.stack.running import running_stack

DATES = 30
AT_ONCE, PER_SECOND = 2, 10
"""Tasks under way and begun in each of the four queues: what two cores keep up with. Unlimited, the run is over in 60 %
of the time, and messages wait for seconds in Pub/Sub's emulator, which delivers two at a time."""

GIVEN_UP_SECONDS = 600.0
EDGES = (("phase_2_raw", "phase_3_analytics"), ("phase_3_analytics", "phase_4_precompute"))


@dataclass(frozen=True, slots=True)
class StackFigures:
    """seconds: from kick-off to the end of the run.

    release_seconds: median from the end of a phase's last worker call to the first dispatch of the next phase.
    """

    tasks: int
    seconds: float
    release_seconds: float


def measure_stack(dates: int = DATES) -> StackFigures:
    """Backfill so many dates of phases 1 to 4 through a stack of its own."""
    days = [date(2023, 10, 24) + timedelta(days=n) for n in range(dates)]
    with tempfile.TemporaryDirectory() as folder, idle_worker() as url:
        pipeline = write_idle_pipeline(Path(folder) / "idle.yaml", url, AT_ONCE, PER_SECOND)
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
