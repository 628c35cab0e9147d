"""Each raw processor loads the object of the scraper of its name into the table of the same name."""

from datetime import date

from nba_worker.scrapers import ENDPOINTS, nothing_to_do, object_name, spoiled
from nba_worker.source import SourceFolder
from phasegate.ports import ObjectStore, Partition, Warehouse
from phasegate.worker import ErrorClass, ProcessorResult, ResultStatus

DATASET = "nba_raw"


class RawProcessors:
    """Raw processors load scraped objects into ``nba_raw``. The source is asked only why an object is empty."""

    def __init__(self, source: SourceFolder, warehouse: Warehouse, objects: ObjectStore) -> None:
        self._source = source
        self._warehouse = warehouse
        self._objects = objects

    def run(self, name: str, day: date, fence: int) -> ProcessorResult:
        """Replace the date's partition of one raw table. Raises KeyError for an unknown name, and StaleFence."""
        endpoint = ENDPOINTS[name]
        scraped = object_name(endpoint, day)
        try:
            lines = self._objects.read(scraped)
        except FileNotFoundError:
            return ProcessorResult(
                status=ResultStatus.FAILED,
                message=f"object {scraped} is not there: run the scraper {name} for {day} first",
                error_class=ErrorClass.NOT_YET,
            )
        rows = self._warehouse.load_partition(Partition(f"{DATASET}.{name}", "game_date", day), lines, fence)
        if rows:
            return ProcessorResult(status=ResultStatus.SUCCESS, rows=rows)
        found = self._source.day(day, endpoint.subject)
        if found.problem:
            return spoiled(found.problem)
        if found.reason:
            return nothing_to_do(found.reason)
        return ProcessorResult(
            status=ResultStatus.FAILED,
            rows=0,
            message=f"object {scraped} is empty, but the source has rows of {day}: run the scraper {name} again",
            error_class=ErrorClass.NOT_YET,
        )
