"""The recorder keeps what each output was made from, per table and date, outside any run, when a run has ended.

The table of records stands beside the history's, and only grows. What is recorded is what can be argued: fences only
rise, so an output over whose inputs nothing was written since was made from what they hold now. The calendar has no
fence: an attempt read that of the generation of the plan by which the run went on when it began, or a later one.
"""

import json
import logging
from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from phasegate.domain.checks.fingerprint import NOTHING
from phasegate.domain.checks.proof import Found
from phasegate.domain.decisions.stale import (
    CALENDAR,
    calendar_read,
    dates_read,
    made_from,
    made_from_what_is_there,
    version_of,
)
from phasegate.domain.errors import PhasegateError
from phasegate.domain.plan import PlanIndex
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.domain.state.facts import AttemptFacts
from phasegate.ports import Row
from phasegate.services.backend import Backend
from phasegate.services.reading.ages import CONTENTS_COLUMNS, CONTENTS_KEYS, read_contents, read_records

_log = logging.getLogger(__name__)

BATCH_ROWS = 2_000
"""Records that are written at once: a few hundred bytes each, and one write carries 8 MiB."""

DATES_AT_ONCE = 20
"""Dates read in one go."""


class Recorder:
    """The recorder reads a run's attempts and its tables, and writes the records that are not there yet.

    Called again it writes nothing twice. It is of no use to the run itself: what cannot be recorded is warned of, and
    holds nothing up. The age of such an output is told by the fences, as it was before there were records.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def record(self, run_id: str, index: PlanIndex) -> None:
        """Record what a run that has ended made."""
        try:
            self._record(run_id, index)
        except PhasegateError as error:
            _log.warning("what run %s made its outputs from is not recorded: %s", run_id, error)

    def _record(self, run_id: str, index: PlanIndex) -> None:
        warehouse, now = self._backend.warehouse, self._backend.clock.now()
        attempts = self._made(run_id, index)
        known = read_records(index, attempts, warehouse)
        made = {
            ref: fences
            for ref, of_ref in attempts.items()
            if (
                fences := {
                    day: each.fence
                    for day, each in of_ref.items()
                    if (record := known.get(ref, {}).get(day)) is None or record.fence < each.fence
                }
            )
        }
        if not made:
            return
        contents = read_contents(index, dates_read(index, made), warehouse)
        held = {
            ref: {day: Found(1, each.lowest_fence, each.highest_fence) for day, each in of_ref.items()}
            for ref, of_ref in contents.items()
        }
        fingerprints = {ref: {day: c.fingerprint for day, c in of_ref.items()} for ref, of_ref in contents.items()}
        run = self._backend.state.run(run_id)
        rows: list[Row] = []
        asked_and_made = {ref: fences for ref, fences in made.items() if ref in held}
        if unasked := sorted(made.keys() - held.keys()):
            _log.warning("what %s was made from is not recorded: it could not be asked", ", ".join(unasked))
        for ref, day, read in made_from_what_is_there(index, asked_and_made, held):
            output, attempt = index.processor(ref).output, attempts[ref][day]
            inputs = {
                of_input.table: made_from(days, fingerprints[name])
                for name, days in read.items()
                if isinstance(of_input := index.processor(name).output, TableOutput)
            }
            generation = index if not run.refreshes else self._backend.state.index(run_id, run.plan_at(attempt.began))
            if (read_of_calendar := calendar_read(generation, generation.by_ref[ref], day)) is not None:
                inputs[CALENDAR] = read_of_calendar
            assert isinstance(output, TableOutput)  # noqa: S101 - only tables were asked about
            rows.append(
                {
                    "table_name": output.table,
                    "data_date": day,
                    "fence": attempt.fence,
                    "content": fingerprints[ref].get(day, NOTHING),
                    "inputs": json.dumps(inputs, sort_keys=True),
                    "code_version": version_of(index, index.by_ref[ref]),
                    "made_with": attempt.made_with,
                    "pipeline": index.plan.pipeline.pipeline,
                    "processor": ref,
                    "run_id": run_id,
                    "recorded_at": now,
                }
            )
        if rows:
            table = index.plan.pipeline.contents_table
            warehouse.apply_schema(f"CREATE TABLE IF NOT EXISTS `{table}` ({CONTENTS_COLUMNS}) PARTITION BY data_date")
            for first in range(0, len(rows), BATCH_ROWS):
                warehouse.append_missing(table, rows[first : first + BATCH_ROWS], CONTENTS_KEYS)

    def _made(self, run_id: str, index: PlanIndex) -> dict[str, dict[date, "_Made"]]:
        """What attempts of the run made, and proved, by ref and date."""
        tables = {(t.phase, t.processor): t.ref for t in index.tasks if isinstance(t.spec.output, TableOutput)}
        made: dict[str, dict[date, _Made]] = {}
        if not tables:
            return made
        for first in range(0, len(index.days), DATES_AT_ONCE):
            for day, facts in self._backend.state.dates(run_id, index.days[first : first + DATES_AT_ONCE]).items():
                for task, attempts in facts.tasks.items():
                    if task in tables and (last := _proved(attempts)) is not None:
                        made.setdefault(tables[task], {})[day] = last
        return made


class _Made(NamedTuple):
    """An attempt made an output, which was proved."""

    fence: int
    """The fence that it ran under."""
    made_with: str
    """What its worker made it with; empty: it did not say."""
    began: datetime
    """When it was called or when it was dispatched, whichever is told to be earlier, UTC."""


def _proved(attempts: Sequence[AttemptFacts]) -> _Made | None:
    """The newest attempt that was proved right. When it was called a worker that reports by itself tells by its own
    clock; when it was dispatched it does not."""
    for attempt in reversed(attempts):
        if (reported := attempt.reported) is not None and attempt.proved is not None and attempt.proved.ok:
            dispatched = attempt.dispatched
            began = min(reported.started_at, dispatched.at) if dispatched else reported.started_at
            return _Made(reported.fence, reported.made_with, began)
    return None
