"""The plain loop calls the reference pipeline's worker and runs its SELECTs date by date from two threads: what a
person writes who has no orchestrator. Phases and processors follow in the file's order, in which each stands behind
what it needs and reads, and the dates of each in calendar order; there are no checks, no proofs, no retries, and
nothing is remembered of what was done.

``python -m bench.plain_loop`` runs it once, over the ``phasegate`` of the commit before dates travelled together, and
prints what it took as JSON.
"""

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from phasegate.adapters.embedded.home import Home
from phasegate.adapters.embedded.schedule_file import ScheduleFile
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.bootstrap import Embedded
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.protocol.worker import WorkerRequest
from phasegate.domain.spec.dispatch import Dispatch
from phasegate.domain.spec.pipeline import Phase, Pipeline, Processor
from phasegate.services.reading.schedule import read_calendar
from phasegate.services.running.sql_processors import planned_select, run_select

THREADS = 2
DEADLINE = timedelta(hours=1)


class PlainLoop:
    """A plain loop makes the calls of one pipeline in an open home."""

    def __init__(self, embedded: Embedded, pipeline: Pipeline, calendar: Calendar) -> None:
        self._embedded, self._pipeline, self._calendar = embedded, pipeline, calendar
        self._fences = itertools.count(1)

    def run(self, days: list[date]) -> int:
        """Make every call; returns how many there were. Raises RuntimeError for one that failed."""
        calls = 0
        with ThreadPoolExecutor(THREADS) as pool:
            for phase in self._pipeline.phases:
                for processor in phase.processors:
                    calls += len(list(pool.map(self._call(phase, processor), days)))
        return calls

    def _call(self, phase: Phase, processor: Processor) -> Callable[[date], None]:
        how = phase.how_of(processor)
        assert isinstance(how, Dispatch)

        def call(day: date) -> None:
            request = WorkerRequest(
                run_id="loop", date=day, phase=phase.name, processor=processor.name, attempt=1,
                fence=next(self._fences), deadline=datetime.now(UTC) + DEADLINE, may_be_empty=True,
            )  # fmt: skip
            select = planned_select(self._pipeline, self._calendar, phase.name, processor, day)
            if select is not None:
                status, answer = run_select(select, request, self._embedded.warehouse)
            else:
                named = {how.date_field: str(day), how.processor_field: processor.name}
                body = request.model_dump(mode="json", exclude={"date", "processor"}) | named
                status, answer = self._embedded.workers[how.worker].handle(how.path, body)
            if status != 200 or answer["results"][processor.name]["status"] == "failed":
                raise RuntimeError(f"{day} {processor.name}: {status} {answer}")

        return call


def main() -> None:
    """Run the loop once over the dates of a selection."""
    parser = argparse.ArgumentParser(prog="python -m bench.plain_loop", description=main.__doc__)
    parser.add_argument("--pipeline", type=Path, required=True)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--season")
    parser.add_argument("--from", dest="first", type=date.fromisoformat)
    parser.add_argument("--to", dest="last", type=date.fromisoformat)
    given = parser.parse_args()
    pipeline = load_pipeline(given.pipeline)
    calendar = read_calendar(pipeline.calendar, ScheduleFile(given.source, pipeline.calendar).query)
    selection = Selection(seasons=(given.season,) if given.season else (), first=given.first, last=given.last)
    days = list(selection.resolve(calendar))
    with (
        tempfile.TemporaryDirectory() as folder,
        Embedded(Home(Path(folder)), pipeline, given.source, pipeline_file=given.pipeline) as embedded,
    ):
        begun = time.perf_counter()
        embedded.prepare(pipeline, [phase.name for phase in pipeline.phases])
        calls = PlainLoop(embedded, pipeline, calendar).run(days)
        seconds = time.perf_counter() - begun
    print(json.dumps({"dates": len(days), "tasks": calls, "seconds": seconds}))


if __name__ == "__main__":
    main()
