"""The service of ``pipeline.yaml`` beside it. It imports nothing of the product, so that no rename concerns it."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

TABLES = """
CREATE TABLE IF NOT EXISTS `shop.receipts` (day DATE, till STRING, cents INT64, _fence INT64);
CREATE TABLE IF NOT EXISTS `shop.totals` (day DATE, shop STRING, cents INT64, _fence INT64);
CREATE TABLE IF NOT EXISTS `shop.history` (run_id STRING, data_date DATE, phase STRING, processor_name STRING,
    attempt INT64, status STRING, error_class STRING, message STRING, rows_written INT64, fence INT64,
    code_version STRING, started_at TIMESTAMP, finished_at TIMESTAMP, proved BOOL)
"""


class Partition(NamedTuple):
    """What the warehouse is told of a table's date."""

    table: str
    date_column: str
    day: date


class Takings:
    """Collects the receipts of ``receipts.json``, loads them, and adds them up."""

    def __init__(self, source: Path, warehouse: Any, objects: Any) -> None:
        self._source, self._warehouse, self._objects = source, warehouse, objects

    def prepare(self) -> None:
        """Create the tables."""
        self._warehouse.apply_schema(TABLES)

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer one request."""
        name, fence = body["processor"], body["fence"]
        day = date.fromisoformat(body["day"] if path == "/load" else body["date"])
        if path == "/collect":
            receipts = json.loads((self._source / "receipts.json").read_text())[str(day)]
            lines = "".join(f"{json.dumps({'day': str(day), **receipt})}\n" for receipt in receipts)
            self._objects.write(f"receipts/{day}.jsonl", lines.encode())
            return 200, {"results": {name: {"status": "success"}}}
        if path == "/load":
            lines = self._objects.read(f"receipts/{day}.jsonl").decode()
            table = "shop.receipts"
        else:
            found = self._warehouse.query("SELECT SUM(cents) AS cents FROM `shop.receipts` WHERE day = @d", {"d": day})
            total = {"day": str(day), "shop": "all", "cents": int(found[0]["cents"])}
            lines, table = f"{json.dumps(total)}\n", "shop.totals"
        rows = self._warehouse.load_partition(Partition(table, "day", day), lines.encode(), fence)
        return 200, {"results": {name: {"status": "success", "rows": rows}}}


def build(source: Path, warehouse: Any, objects: Any) -> Takings:
    """The factory that the pipeline file names."""
    return Takings(source, warehouse, objects)
