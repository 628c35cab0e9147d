"""The reference worker: 52 processors of a basketball pipeline behind four paths."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.domain.errors import HaltError, StaleFence, TransientError
from shared.domain.worker_protocol import ErrorClass, ProcessorResult, WorkerAnswer, WorkerRequest
from shared.ports import ObjectStore, Warehouse
from workers.nba.raw import DATASET, RawProcessors
from workers.nba.scrapers import ENDPOINTS, Scrapers
from workers.nba.source import SourceFolder
from workers.nba.sql_processors import ANALYTICS, PIPELINE, PRECOMPUTE, SqlProcessors

_log = logging.getLogger(__name__)

Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Route:
    """A path: the names under which date and processor travel, the processors that it knows, how one is run."""

    date_field: str
    name_fields: tuple[str, ...]
    processors: frozenset[str]
    run: Callable[[str, date, int], ProcessorResult]


class NbaWorker:
    """Processes one (processor, date) a request, over a source folder. Thread-safe.

    ``/scrape`` (``game_date``; ``scraper`` or ``processor``), ``/load`` (``game_date``) raw tables, ``/process``
    (``analysis_date``) analytics, ``/process-date`` (``analysis_date``) precompute. All other fields are those of
    ``WorkerRequest``. A second request for a date leaves the same rows.
    """

    def __init__(self, source: SourceFolder, warehouse: Warehouse, objects: ObjectStore) -> None:
        self._source = source
        self._warehouse = warehouse
        scrapers = Scrapers(source, objects)
        raw = RawProcessors(source, warehouse, objects)
        sql = SqlProcessors(source.schedule, warehouse)
        endpoints = frozenset(ENDPOINTS)
        self._routes = {
            "/scrape": _Route("game_date", ("scraper", "processor"), endpoints, lambda n, d, _: scrapers.run(n, d)),
            "/load": _Route("game_date", ("processor",), endpoints, raw.run),
            "/process": _Route(
                "analysis_date", ("processor",), frozenset(ANALYTICS), lambda n, d, f: sql.run(ANALYTICS[n], d, f)
            ),
            "/process-date": _Route(
                "analysis_date", ("processor",), frozenset(PRECOMPUTE), lambda n, d, f: sql.run(PRECOMPUTE[n], d, f)
            ),
        }

    def prepare(self) -> None:
        """Create the tables and bring schedule and betting lines up to date; writes nothing when they are."""
        for script in sorted((PIPELINE / "schema").glob("*.sql")):
            self._warehouse.apply_schema(script.read_text(encoding="utf-8"))
        self._bring_up_to_date(f"{DATASET}.nbac_schedule", self._source.schedule_rows(), "game_date, game_id")
        self._bring_up_to_date("nba_reference.player_props", self._source.prop_rows(), "game_date, player_id")

    def handle(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Answer one request: 200 with a ``WorkerAnswer``, or a refusal with ``error_class`` and ``message``.

        404 unknown path, 409 a newer attempt owns the partition (no ``error_class``: this attempt is void),
        422 bad request, 503 try again, 500 anything unexpected. Raises HaltError when the disk is full.
        """
        route = self._routes.get(path)
        if route is None:
            return _refusal(404, ErrorClass.BUG, f"no path {path}: use one of {', '.join(self._routes)}")
        try:
            request = _read_request(route, body)
        except ValueError as error:
            return _refusal(422, ErrorClass.BUG, f"{path}: {error}")
        try:
            result = route.run(request.processor, request.date, request.fence)
        except StaleFence as error:
            return 409, {"message": str(error)}
        except HaltError:
            raise
        except TransientError as error:
            return _refusal(503, ErrorClass.TRANSIENT, str(error))
        except Exception as error:
            _log.exception("%s %s %s failed", path, request.processor, request.date)
            return _refusal(500, ErrorClass.BUG, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
        return 200, WorkerAnswer(results={request.processor: result}).model_dump(mode="json")

    def _bring_up_to_date(self, table: str, rows: list[dict[str, Any]], order: str) -> None:
        held = self._warehouse.query(f"SELECT * FROM `{table}` ORDER BY {order}")
        for row in held:
            row["game_date"] = row["game_date"].isoformat()
        if held != rows:
            self._warehouse.replace_table(table, "".join(f"{json.dumps(row)}\n" for row in rows).encode())


def build(source: Path, warehouse: Warehouse, objects: ObjectStore) -> NbaWorker:
    """A worker over a source folder; call ``prepare`` before the first request. Raises InputError for a bad folder."""
    return NbaWorker(SourceFolder(source), warehouse, objects)


def _read_request(route: _Route, body: Mapping[str, Any]) -> WorkerRequest:
    """The request under its own field names. Raises ValueError that says what is wrong with which field."""
    fields = dict(body)
    names = [name for name in route.name_fields if name in fields]
    if len(names) != 1:
        raise ValueError(f"name the processor in exactly one of {', '.join(route.name_fields)}")
    if "date" in fields or route.date_field not in fields:
        raise ValueError(f"the date travels as {route.date_field}, and under no other name")
    fields["processor"] = fields.pop(names[0])
    fields["date"] = fields.pop(route.date_field)
    try:
        request = WorkerRequest.model_validate(fields)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
        raise ValueError("; ".join(wrong)) from error
    if request.processor not in route.processors:
        raise ValueError(f"unknown processor '{request.processor}': use one of {', '.join(sorted(route.processors))}")
    return request


def _refusal(status: int, error_class: ErrorClass, message: str) -> Answer:
    return status, {"error_class": error_class.value, "message": message}
