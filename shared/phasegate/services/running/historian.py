"""The historian writes ``processor_run_history``: one row per attempt, in batches (a table takes 1,500 load jobs per
day, BigQuery quotas)."""

import logging
from collections.abc import Iterable
from datetime import date

from cachetools import LRUCache

from phasegate.domain.errors import PhasegateError
from phasegate.domain.plan import FIRST
from phasegate.domain.state.facts import AttemptFacts, AttemptKey, DateFacts
from phasegate.ports import Row
from phasegate.services.backend import Backend

_log = logging.getLogger(__name__)

KEYS = ("run_id", "data_date", "phase", "processor_name", "attempt")
BATCH_ROWS = 2_000

RUNS_KEPT = 64
"""Runs of which is kept in memory what waits to be written, and what was; of others the table is asked."""

DATES_AT_ONCE = 20
"""Dates read in one go; of a thousand tasks in all, half a batch of rows."""


class Historian:
    """The historian collects dates that came to rest; it writes when enough rows wait, and at the end of a run.

    Rows that the table holds already are left out, so that a crash in between writes nothing twice; ``complete``
    writes whatever a crash left unwritten.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._waiting: dict[str, dict[date, int]] = {}
        self._written: LRUCache[str, dict[date, int]] = LRUCache(RUNS_KEPT)

    def note(self, run_id: str, facts: DateFacts) -> None:
        """Note that a date of the run came to rest."""
        if run_id not in self._waiting and len(self._waiting) >= RUNS_KEPT:
            self._make_room()
        waiting = self._waiting.setdefault(run_id, {})
        waiting[facts.day] = _ended(facts)
        if sum(waiting.values()) >= BATCH_ROWS:
            self.complete(run_id, list(self._waiting.pop(run_id)))

    def _make_room(self) -> None:
        """Write what waits for longest. It is another run's: where that fails, its end brings the rows."""
        run_id = next(iter(self._waiting))
        days = list(self._waiting.pop(run_id))
        try:
            self.complete(run_id, days)
        except PhasegateError as error:
            _log.warning("the history of run %s is written when it ends: %s", run_id, error)

    def finish(self, run_id: str, days: Iterable[date]) -> None:
        """Complete the history of a run that has ended: nothing of it waits any more.

        What was written is still known, among that of the last runs: a run that has ended may be woken again and again.
        """
        self._waiting.pop(run_id, None)
        self.complete(run_id, days)

    def complete(self, run_id: str, days: Iterable[date]) -> None:
        """Write the rows of every ended attempt on these dates that are not in the table."""
        table = self._backend.state.plan(run_id, FIRST).pipeline.history_table
        rows: list[Row] = []
        unwritten: dict[date, int] = {}
        written: dict[date, int] = self._written.setdefault(run_id, {})
        days = list(days)
        for first in range(0, len(days), DATES_AT_ONCE):
            for day, facts in self._backend.state.dates(run_id, days[first : first + DATES_AT_ONCE]).items():
                ended = _ended(facts)
                if written.get(day) == ended:
                    continue
                unwritten[day] = ended
                for (phase, processor), attempts in facts.tasks.items():
                    rows.extend(
                        _row(run_id, AttemptKey(day, phase, processor, a.number), a) for a in attempts if not a.is_open
                    )
            if len(rows) >= BATCH_ROWS:
                self._backend.warehouse.append_missing(table, rows, KEYS)
                written.update(unwritten)
                rows, unwritten = [], {}
        if rows:
            self._backend.warehouse.append_missing(table, rows, KEYS)
            written.update(unwritten)


def _ended(facts: DateFacts) -> int:
    """Attempts of a date that have ended."""
    return sum(not attempt.is_open for attempts in facts.tasks.values() for attempt in attempts)


def _row(run_id: str, key: AttemptKey, attempt: AttemptFacts) -> Row:
    reported, healed = attempt.reported, attempt.healed
    if healed is not None:
        status, message = f"healed_{healed.outcome.value}", healed.reason
    elif reported is not None:
        status, message = reported.status.value, reported.message
    else:
        status, message = "abandoned", attempt.abandoned.reason if attempt.abandoned else ""
    return {
        "run_id": run_id,
        "data_date": key.day,
        "phase": key.phase,
        "processor_name": key.processor,
        "attempt": key.attempt,
        "status": status,
        "error_class": reported.error_class.value if reported and reported.error_class else None,
        "message": message,
        "rows_written": reported.rows if reported else None,
        "fence": reported.fence if reported else None,
        "code_version": reported.code_version if reported else "",
        "started_at": reported.started_at if reported else None,
        "finished_at": reported.finished_at if reported else None,
        "proved": attempt.proved.ok if attempt.proved else None,
    }
