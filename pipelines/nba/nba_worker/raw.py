"""Each raw processor loads the object of the scraper of its name into the table of the same name."""

from collections.abc import Sequence
from datetime import date

from nba_worker.scrapers import ENDPOINTS, Endpoint, nothing_to_do, object_name, spoiled
from nba_worker.source import SourceFolder
from phasegate.domain.errors import PhasegateError
from phasegate.ports import ObjectStore, Partitions, Replaced, Warehouse
from phasegate.worker import ErrorClass, ProcessorResult, ResultStatus, WorkerRequest

DATASET = "nba_raw"


class RawProcessors:
    """Raw processors load scraped objects into ``nba_raw``. The source is asked only why an object is empty."""

    def __init__(self, source: SourceFolder, warehouse: Warehouse, objects: ObjectStore) -> None:
        self._source = source
        self._warehouse = warehouse
        self._objects = objects

    def run_batch(self, requests: Sequence[WorkerRequest]) -> dict[date, ProcessorResult | PhasegateError]:
        """Replace the partitions of many dates of one raw table, each under its own fence, with one statement.

        requests: of one processor. Returns a result for each date, or the error that met this date alone. Raises
        KeyError for an unknown name.
        """
        name = requests[0].processor
        endpoint = ENDPOINTS[name]
        lines = {request.date: self._scraped(endpoint, request.date) for request in requests}
        there = {day: content for day, content in lines.items() if content is not None}
        fences = {request.date: request.fence for request in requests if request.date in there}
        written = self._warehouse.load_partitions(Partitions(f"{DATASET}.{name}", "game_date", fences), there)
        return {r.date: self._result(endpoint, r.date, written.get(r.date)) for r in requests}

    def _scraped(self, endpoint: Endpoint, day: date) -> bytes | None:
        """The lines that the scraper left; None: it has left none yet."""
        try:
            return self._objects.read(object_name(endpoint, day))
        except FileNotFoundError:
            return None

    def _result(self, endpoint: Endpoint, day: date, written: Replaced | None) -> ProcessorResult | PhasegateError:
        """What becomes of a date. written: what the warehouse says of it; None: there was nothing to load."""
        if isinstance(written, PhasegateError):
            return written
        if written:
            return ProcessorResult(status=ResultStatus.SUCCESS, rows=written)
        scraped = object_name(endpoint, day)
        if written is None:
            return ProcessorResult(
                status=ResultStatus.FAILED,
                message=f"object {scraped} is not there: run the scraper {endpoint.name} for {day} first",
                error_class=ErrorClass.NOT_YET,
            )
        found = self._source.day(day, endpoint.subject)
        if found.problem:
            return spoiled(found.problem)
        if found.reason:
            return nothing_to_do(found.reason)
        return ProcessorResult(
            status=ResultStatus.FAILED,
            rows=0,
            message=f"object {scraped} is empty, but the source has rows of {day}: run the scraper {endpoint.name} "
            "again",
            error_class=ErrorClass.NOT_YET,
        )
