"""The reference worker answers for the 42 scrapers and raw tables of a basketball pipeline, for its learned system, and
for its exports, each behind a path. What else is made from these tables is SQL of the pipeline file, which Phasegate
runs; two more paths answer for some of it to runs that were planned before that.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from nba_worker.boosted import MADE_WITH, BoostedPredictions
from nba_worker.boosted_model import SYSTEM
from nba_worker.exports import EXPORTS, Exports
from nba_worker.raw import DATASET, RawProcessors
from nba_worker.scrapers import ENDPOINTS, Scrapers, spoiled
from nba_worker.source import SourceFolder
from nba_worker.sql_processors import ANALYTICS, PRECOMPUTE, READS_PROPS, SqlProcessors, hash_of
from phasegate import __version__
from phasegate.domain.errors import InputError, TransientError
from phasegate.ports import ObjectStore, Warehouse
from phasegate.worker import ProcessorResult, WorkerRequest, WorkerService

SCHEMA = Path(__file__).parents[1] / "schema"
"""Folder of the pipeline's schema, beside this package in the checkout and when installed."""


@dataclass(frozen=True, slots=True)
class _Processors:
    """The processors work over a source folder as it was read once."""

    source: SourceFolder
    """The folder."""

    scrapers: Scrapers
    """What copies it into objects."""

    raw: RawProcessors
    """What loads the objects."""

    boosted: BoostedPredictions
    """What predicts by trees that it fits."""

    exports: Exports
    """What publishes files made from the tables."""

    sql: SqlProcessors
    """What computes tables from tables, for runs that were planned before Phasegate did it."""


class NbaWorker:
    """The worker processes one processor over the dates of a request, over a source folder. Thread-safe.

    The folder is read once, and again when a file of it has changed: late data reach a worker that lives for weeks.

    ``/scrape`` (``game_date``; ``scraper`` or ``processor``), ``/load`` (``game_date``) raw tables, ``/predict``
    (``game_date``) by the learned system and ``/export`` (``game_date``) files; for runs of before, ``/process`` and
    ``/process-date`` (``analysis_date``). All other fields are those of ``WorkerRequest``. A second request for a date
    leaves the same rows and files.

    service: answers the same requests behind HTTP.
    """

    def __init__(self, source: SourceFolder, warehouse: Warehouse, objects: ObjectStore) -> None:
        self._warehouse = warehouse
        self._objects = objects
        self._read = self._processors_over(source)
        self._preparing = Lock()
        self.service = WorkerService("nba", version=__version__, prepare=self.prepare)
        route, route_batch = self.service.route, self.service.route_batch
        endpoints, scraper_or_processor = frozenset(ENDPOINTS), ("scraper", "processor")
        route_batch("/scrape", date_field="game_date", processor_fields=scraper_or_processor, processors=endpoints)(
            lambda request: self._processors().scrapers.run_batch(request.apart)
        )
        route_batch("/load", date_field="game_date", processors=endpoints)(
            lambda request: self._processors().raw.run_batch(request.apart)
        )
        route_batch("/predict", date_field="game_date", processors=[SYSTEM], made_with=MADE_WITH)(
            lambda request: self._processors().boosted.run_batch(request)
        )
        route_batch("/export", date_field="game_date", processors=EXPORTS)(
            lambda request: self._processors().exports.run_batch(request.apart)
        )
        for path, processors in (("/process", ANALYTICS), ("/process-date", PRECOMPUTE)):
            route(path, date_field="analysis_date", processors=processors, made_with=hash_of)(self._run_sql)

    def prepare(self) -> None:
        """Create the tables and bring schedule and betting lines up to date; writes nothing when they are.

        Two instances at once write the same rows twice, each time the whole table in one transaction.
        """
        with self._preparing:
            # All of it: pipeline files from before Phasegate ran the SELECTs leave their tables to the worker, too.
            for script in sorted(SCHEMA.glob("*.sql")):
                self._warehouse.apply_schema(script.read_text(encoding="utf-8"))
            self._read_again()
            self._fill_reference_tables(self._read.source)

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer one request as ``WorkerService.handle`` does. Raises HaltError when the disk is full."""
        return self.service.handle(path, body)

    def offered_batches(self) -> Mapping[str, str]:
        """Say how each path takes several dates in one request, as ``WorkerService.offered_batches`` does."""
        return self.service.offered_batches()

    def _processors_over(self, source: SourceFolder) -> _Processors:
        warehouse, objects = self._warehouse, self._objects
        raw = RawProcessors(source, warehouse, objects)
        boosted = BoostedPredictions(source.schedule, warehouse, objects)
        exports = Exports(source.schedule, warehouse, objects)
        sql = SqlProcessors(source.schedule, warehouse)
        return _Processors(source, Scrapers(source, objects), raw, boosted, exports, sql)

    def _processors(self) -> _Processors:
        """The processors over the folder as it is now. Raises TransientError where it has changed and cannot be read:
        its files may be written at this moment.
        """
        if self._read.source.has_changed():
            with self._preparing:
                self._read_again()
        return self._read

    def _read_again(self) -> None:
        """Read a folder that has changed. Only when its reference tables are written too, it counts as read."""
        if not self._read.source.has_changed():
            return
        try:
            source = SourceFolder(self._read.source.folder)
        except InputError as error:
            raise TransientError(f"the source folder has changed and cannot be read: {error}") from error
        self._fill_reference_tables(source)
        self._read = self._processors_over(source)

    def _run_sql(self, request: WorkerRequest) -> ProcessorResult:
        processors, processor = self._processors(), {**ANALYTICS, **PRECOMPUTE}[request.processor]
        if processor.name == READS_PROPS and (problem := processors.source.day(request.date, "props").problem):
            return spoiled(problem)
        return processors.sql.run(processor, request.date, request.fence)

    def _fill_reference_tables(self, source: SourceFolder) -> None:
        self._bring_up_to_date(f"{DATASET}.nbac_schedule", source.schedule_rows())
        self._bring_up_to_date("nba_reference.player_props", source.prop_rows())
        self._bring_up_to_date("nba_reference.player_props_problems", source.prop_problems())

    def _bring_up_to_date(self, table: str, rows: list[dict[str, Any]]) -> None:
        held = self._warehouse.query(f"SELECT * FROM `{table}`")
        for row in held:
            row["game_date"] = row["game_date"] and row["game_date"].isoformat()
        if Counter(frozenset(row.items()) for row in held) != Counter(frozenset(row.items()) for row in rows):
            self._warehouse.replace_table(table, "".join(f"{json.dumps(row)}\n" for row in rows).encode())


def build(source: Path, warehouse: Warehouse, objects: ObjectStore) -> NbaWorker:
    """Build a worker over a source folder; call ``prepare`` before the first request. Raises InputError for a bad
    folder.
    """
    return NbaWorker(SourceFolder(source), warehouse, objects)
