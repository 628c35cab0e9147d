"""The reference worker answers for 52 processors of a basketball pipeline behind four paths, and a fifth for ranges of
dates.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

from nba_worker.raw import DATASET, RawProcessors
from nba_worker.scrapers import ENDPOINTS, Scrapers, spoiled
from nba_worker.source import SourceFolder
from nba_worker.sql_processors import ANALYTICS, PIPELINE, PRECOMPUTE, READS_PROPS, SqlProcessors, hash_of
from phasegate import __version__
from phasegate.domain.errors import InputError, TransientError
from phasegate.ports import ObjectStore, Warehouse
from phasegate.worker import (
    ErrorClass,
    ProcessorResult,
    RangeRequest,
    ResultStatus,
    Said,
    WorkerRequest,
    WorkerService,
    WouldEmpty,
    has_passed,
    kept_rows,
)

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Processors:
    """The processors work over a source folder as it was read once."""

    source: SourceFolder
    """The folder."""

    scrapers: Scrapers
    """What copies it into objects."""

    raw: RawProcessors
    """What loads the objects."""

    sql: SqlProcessors
    """What computes tables from tables."""


class NbaWorker:
    """The worker processes one (processor, date) per request, over a source folder. Thread-safe.

    The folder is read once, and again when a file of it has changed: late data reach a worker that lives for weeks.

    ``/scrape`` (``game_date``; ``scraper`` or ``processor``), ``/load`` (``game_date``) raw tables, ``/process``
    (``analysis_date``) analytics, ``/process-date`` (``analysis_date``) precompute, ``/process-date-range``
    (``start_date``, ``end_date``) analytics or precompute of the game dates between. All other fields are those of
    ``WorkerRequest``. A second request for a date leaves the same rows.

    service: answers the same requests behind HTTP.
    """

    def __init__(self, source: SourceFolder, warehouse: Warehouse, objects: ObjectStore) -> None:
        self._warehouse = warehouse
        self._objects = objects
        self._read = self._processors_over(source)
        self._preparing = Lock()
        self.service = WorkerService("nba", version=__version__, prepare=self.prepare)
        route, endpoints = self.service.route, frozenset(ENDPOINTS)
        scraper_or_processor = ("scraper", "processor")
        route("/scrape", date_field="game_date", processor_fields=scraper_or_processor, processors=endpoints)(
            lambda request: self._processors().scrapers.run(request.processor, request.date)
        )
        route("/load", date_field="game_date", processors=endpoints)(
            lambda request: self._processors().raw.run(request.processor, request.date, request.fence)
        )
        for path, processors in (("/process", ANALYTICS), ("/process-date", PRECOMPUTE)):
            route(path, date_field="analysis_date", processors=processors, made_with=hash_of)(
                lambda request: self._run_sql(self._processors(), request, request.date)
            )
        ranges = self.service.route_range(
            "/process-date-range", processors={**ANALYTICS, **PRECOMPUTE}, made_with=hash_of
        )
        ranges(self._run_range)

    def prepare(self) -> None:
        """Create the tables and bring schedule and betting lines up to date; writes nothing when they are.

        Two instances at once write the same rows twice, each time the whole table in one transaction.
        """
        with self._preparing:
            for script in sorted((PIPELINE / "schema").glob("*.sql")):
                self._warehouse.apply_schema(script.read_text(encoding="utf-8"))
            self._read_again()
            self._fill_reference_tables(self._read.source)

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer one request as ``WorkerService.handle`` does. Raises HaltError when the disk is full."""
        return self.service.handle(path, body)

    def made_with(self) -> Said:
        """Say the hash of the SELECT of each processor that has one: path -> processor -> hash."""
        return self.service.made_with()

    def _processors_over(self, source: SourceFolder) -> _Processors:
        warehouse, objects = self._warehouse, self._objects
        raw = RawProcessors(source, warehouse, objects)
        return _Processors(source, Scrapers(source, objects), raw, SqlProcessors(source.schedule, warehouse))

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

    def _fill_reference_tables(self, source: SourceFolder) -> None:
        self._bring_up_to_date(f"{DATASET}.nbac_schedule", source.schedule_rows())
        self._bring_up_to_date("nba_reference.player_props", source.prop_rows())

    def _run_sql(self, processors: _Processors, request: WorkerRequest, day: date) -> ProcessorResult:
        processor = {**ANALYTICS, **PRECOMPUTE}[request.processor]
        if processor.name == READS_PROPS and (problem := processors.source.day(day, "props").problem):
            return spoiled(problem)
        return processors.sql.run(processor, day, request.fence)

    def _run_range(self, request: RangeRequest) -> dict[date, ProcessorResult]:
        """One after the other, as far as the deadline allows; dates without games only when asked for by themselves."""
        processors = self._processors()
        every = [request.date + n * _ONE_DAY for n in range((request.last - request.date).days + 1)]
        days = [day for day in every if processors.source.schedule.is_game_date(day)] if len(every) > 1 else every
        results: dict[date, ProcessorResult] = {}
        for day in days:
            if has_passed(request.deadline):
                results[day] = ProcessorResult(
                    status=ResultStatus.FAILED,
                    message=f"the deadline {request.deadline} passed before {day}: ask again from there",
                    error_class=ErrorClass.TRANSIENT,
                )
            else:
                try:
                    results[day] = self._run_sql(processors, request, day)
                except WouldEmpty as refusal:
                    results[day] = kept_rows(refusal)
        return results

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
