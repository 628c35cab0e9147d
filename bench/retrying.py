"""A retry over very many dates: one phase, three processors, one of which failed everywhere.

It is measured in embedded mode, and with the state in Google's Firestore emulator. The run and its failures are made in
embedded mode in both cases; for the emulator they are copied.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from bench.ground import Ground
from bench.orchestration import HISTORY
from phasegate.adapters.embedded.clock import SystemClock
from phasegate.adapters.embedded.home import Home
from phasegate.adapters.gcp.clients import firestore_client
from phasegate.adapters.gcp.firestore.state import FirestoreState
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.bootstrap import Embedded, EmbeddedOptions
from phasegate.domain.calendar.dates import Calendar, CalendarDate
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import TransientError
from phasegate.domain.plan import Plan, compile_plan
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import AttemptFacts, AttemptKey, Fact
from phasegate.domain.state.run import Run, RunStatus
from phasegate.ports import State
from phasegate.services.operating.operators import retry
from phasegate.services.starting.planner import make_plan
from phasegate.stack.emulators import FIRESTORE, start_emulator

DATES = 20_000
RUN_ID = "retried"
PAGE_DATES = 200
FAILING = "c"
TRIES = 20


class Mendable:
    """A worker of which one processor fails, until it is mended."""

    def __init__(self) -> None:
        self.is_mended = False

    def prepare(self) -> None:
        """Nothing to set up."""

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Success, or a failure that no second attempt would mend."""
        name = body["processor"]
        fails = name == FAILING and not self.is_mended
        result = {"status": "failed", "error_class": "bug", "message": "not mended"} if fails else {"status": "success"}
        return 200, {"results": {name: result}}


WORKER = Mendable()


def build(*_: object) -> Mendable:
    """The factory that the pipeline below names."""
    return WORKER


def retried_pipeline() -> Pipeline:
    """One phase of three processors, of which no number of failures stops one."""
    processors = [{"name": name, "output": {"kind": "none"}} for name in ("a", "b", FAILING)]
    phase = {
        "name": "only",
        "dispatch": {"worker": "mendable", "path": "/run", "queue": "work"},
        "failure": {"circuit_breaker": None},
        "processors": processors,
    }
    numbers = {"games": "COUNT(*)"}
    return Pipeline.model_validate(
        {
            "schema_version": 1,
            "pipeline": "retried",
            "timezone": "UTC",
            "history_table": "nba_reference.processor_run_history",
            "calendar": {"table": "s.schedule", "date_column": "d", "season_column": "season", "numbers": numbers},
            "workers": {"mendable": {"factory": "bench.retrying:build"}},
            "queues": {"work": {"max_concurrent": 5000}},
            "phases": [phase],
        }
    )


class OnFirestore(Embedded):
    """The embedded engine over a state that lies in Firestore: every effect is its own, as on a cloud."""

    def __enter__(self) -> "OnFirestore":
        """Open the home, and put another state in the place of its own."""
        super().__enter__()
        self.state = FirestoreState(firestore_client(CloudSettings.from_environment()))
        self.database.incarnation = ""  # as on a cloud: a claim is void when its lease has run out, whoever held it
        return self


def begin(embedded: Embedded, plan: Plan) -> Run:
    """Write the run of a plan."""
    embedded.warehouse.apply_schema(HISTORY)
    run = Run(
        run_id=RUN_ID,
        pipeline=plan.pipeline.pipeline,
        pipeline_file="",
        plan_hash=plan.hash,
        request_hash="",
        created_at=SystemClock().now(),
    )
    embedded.state.create_run(run, plan, Board.blank(run.run_id, compile_plan(plan), run.created_at))
    return run


def copy(of: State, to: State) -> None:
    """Write again what a state knows of the run, a page of dates at a time."""
    run, plan, index = of.run(RUN_ID), of.plan(RUN_ID), of.index(RUN_ID)
    board, _ = of.board(RUN_ID)
    board.cursor = ""
    to.create_run(run, plan, Board.blank(RUN_ID, index, run.created_at))
    days = iter(index.days)
    while page := list(islice(days, PAGE_DATES)):
        dates = of.dates(RUN_ID, page)
        to.record(
            RUN_ID,
            [
                (AttemptKey(day, phase, name, attempt.number), fact)
                for day, facts in dates.items()
                for (phase, name), attempts in facts.tasks.items()
                for attempt in attempts
                for fact in facts_of(attempt)
            ],
        )
        cells = {(day, phase): cell for day, facts in dates.items() for phase, cell in facts.cells.items()}
        assert to.commit(RUN_ID, board, to.board(RUN_ID)[1], cells)


def facts_of(attempt: AttemptFacts) -> list[Fact]:
    """What is known of an attempt."""
    found = (attempt.dispatched, attempt.abandoned, attempt.reported, attempt.healed, attempt.proved)
    return [fact for fact in found if fact is not None]


def fail_everywhere(dates: int, folder: Path) -> None:
    """A home with a run that has ended, of which one processor failed on every date."""
    pipeline, first = retried_pipeline(), date(1970, 1, 1)
    days = [CalendarDate(first + timedelta(days=n), "s", {"games": 1}, {}) for n in range(dates)]
    plan = make_plan(
        pipeline,
        Calendar.of(days),
        Selection(seasons=("s",)),
    ).plan
    with Embedded(Home(folder), pipeline, None) as embedded:
        begin(embedded, plan)
        assert embedded.drive(RUN_ID).status is RunStatus.COMPLETED_WITH_FAILURES


def retry_everything(embedded: Embedded) -> float:
    """Retry what failed, and drive the run to its end; returns seconds."""
    WORKER.is_mended = True
    begun = time.perf_counter()
    asked = retry(
        embedded.state, embedded.clock, RUN_ID, dates=(), phase=None, processor=None, signature=None, why="mended"
    )
    status = driven_to_its_end(embedded)
    assert (status, len(asked)) == (RunStatus.COMPLETED, len(embedded.state.index(RUN_ID).days)), (status, len(asked))
    return time.perf_counter() - begun


def driven_to_its_end(embedded: Embedded) -> RunStatus:
    """Drive the run; what an emulator did not answer in time is asked again, as a queue would."""
    for _ in range(TRIES - 1):
        try:
            return embedded.drive(RUN_ID).status
        except TransientError as error:
            print(f"goes on after: {error}", file=sys.stderr)
    return embedded.drive(RUN_ID).status


@dataclass(frozen=True, slots=True)
class RetryFigures:
    """seconds: from the retry to the end of the run. megabytes: the most memory that the process had."""

    seconds: float
    megabytes: float


def retries(ground: Ground) -> None:
    """A retry over very many dates, in embedded mode and on Firestore's emulator."""
    for where, is_on_firestore in (("embedded mode", False), ("Firestore's emulator", True)):
        found = measure_retry(DATES, is_on_firestore)
        ground.bounds.check(f"a retry over {DATES:,} dates, {where}", found.seconds, "s")
        ground.bounds.check("  peak memory", found.megabytes, "MB", most=1_000)


def measure_retry(dates: int, is_on_firestore: bool) -> RetryFigures:
    """Measure in processes of their own: one makes the failures, another retries."""
    with tempfile.TemporaryDirectory() as folder:
        _in_a_process_of_its_own(f"fail_everywhere({dates}, Path({folder!r}))")
        where = "on_the_emulator" if is_on_firestore else "in_embedded_mode"
        return RetryFigures(**json.loads(_in_a_process_of_its_own(f"{where}(Path({folder!r}))")))


def _in_a_process_of_its_own(statement: str) -> str:
    code = f"from bench.retrying import *; {statement}"
    return subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout


def in_embedded_mode(home: Path) -> None:
    """Retry, and print the figures as JSON."""
    with Embedded(Home(home), retried_pipeline(), None) as embedded:
        print_figures(retry_everything(embedded))


def on_the_emulator(home: Path) -> None:
    """Copy the run into an emulator, retry it there, and print the figures as JSON."""
    server = start_emulator(FIRESTORE, home)
    try:
        server.wait_until_ready()
        os.environ.update({FIRESTORE.variable: FIRESTORE.setting(server.port), "GOOGLE_CLOUD_PROJECT": "demo"})
        with Embedded(Home(home), retried_pipeline(), None) as made:
            copy(made.state, FirestoreState(firestore_client(CloudSettings.from_environment())))
        options = EmbeddedOptions(atomic_turns=False)
        with OnFirestore(Home(home), retried_pipeline(), None, options) as embedded:
            print_figures(retry_everything(embedded))
    finally:
        server.stop()


def print_figures(seconds: float) -> None:
    """Print what was measured in this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "megabytes": peak}))
