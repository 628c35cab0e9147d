"""Takes one date through a deployment, begun by a message, and asks which functions had their part in it.

Reads the environment of a deployment (docs/stack.md). Exit status: 0 all of them, 1 not all, 2 wrong use.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date

from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.deployment import Deployment
from phasegate.domain.errors import PhasegateError, UnknownRun
from phasegate.domain.protocol.names import KICKOFF
from phasegate.domain.protocol.written_dates import read_day
from phasegate.domain.state.facts import AttemptFacts
from phasegate.domain.state.run import RunStatus
from phasegate.services.backend import Backend

ASK_EVERY_SECONDS = 2.0


class Failed(Exception):
    """What a function should have done and has not; what to look at."""


def main() -> int:
    """Begin, wait, look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("date", type=read_day, help="its tables are made anew")
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--wait-seconds", type=float, default=1800.0)
    asked = parser.parse_args()
    try:
        backend = Deployment(CloudSettings.from_environment()).backend
        for line in take_part(backend, asked.date, asked.run_id, time.monotonic() + asked.wait_seconds):
            print(line, flush=True)
    except (Failed, PhasegateError) as error:
        print(f"smoke test: {error}", file=sys.stderr)
        return 1
    return 0


def take_part(backend: Backend, day: date, run_id: str, until: float) -> Iterator[str]:
    """A line for each function that had its part. until: on the monotonic clock. Raises Failed."""
    run_request = {"run_id": run_id, "dates": [str(day)], "reprocess": "all", "why": "smoke test of a release"}
    backend.events.publish(KICKOFF, [json.dumps(run_request)])
    _wait(until, lambda: _is_there(backend, run_id), f"starter: no run {run_id}; see its log, and {KICKOFF}-dead")
    yield f"starter: began {run_id}"

    _wait(until, lambda: _is_over(backend, run_id), f"the run goes on: phasegate --backend gcp explain {run_id}")
    board, _ = backend.state.board(run_id)
    if board.status is not RunStatus.COMPLETED:
        raise Failed(f"the run is {board.status.value}: phasegate --backend gcp explain {run_id}")
    yield "conductor: released every phase and ended the run"

    attempts = list(_attempts(backend, run_id, day))
    if not attempts:
        raise Failed(f"the run had nothing to do on {day}: give a date that the calendar knows")
    yield f"dispatcher and runner: {len(attempts)} attempts were called"
    if healed := sum(a.healed is not None for a in attempts):
        raise Failed(f"listener: {healed} of {len(attempts)} ends were found by the sweeper; see the push subscription")
    yield f"listener: heard {sum(a.reported is not None for a in attempts)} ends"

    _wait(until, lambda: bool(backend.state.reports(run_id)), "verifier: no report; see its log and the queue verify")
    report = backend.state.reports(run_id)[-1]
    if not report.agrees:
        raise Failed(f"verifier: {report.verdict}")
    yield f"verifier: {report.verdict}"


def _wait(until: float, is_so: Callable[[], bool], otherwise: str) -> None:
    while not is_so():
        if time.monotonic() > until:
            raise Failed(otherwise)
        time.sleep(ASK_EVERY_SECONDS)


def _is_there(backend: Backend, run_id: str) -> bool:
    try:
        backend.state.run(run_id)
    except UnknownRun:
        return False
    return True


def _is_over(backend: Backend, run_id: str) -> bool:
    return backend.state.board(run_id)[0].is_at_rest(backend.state.run(run_id))


def _attempts(backend: Backend, run_id: str, day: date) -> Iterator[AttemptFacts]:
    for attempts in backend.state.dates(run_id, (day,))[day].tasks.values():
        yield from attempts


if __name__ == "__main__":
    sys.exit(main())
