"""Values and types of DuckDB in the words of the table of expressions (``tests/dialect``)."""

import datetime as clock
import json
import math
from decimal import Decimal
from typing import Any

import duckdb

from phasegate.adapters.embedded.dialect.results import readers

TYPES = {
    "BIGINT": "INT64",
    "DOUBLE": "FLOAT64",
    "VARCHAR": "STRING",
    "BOOLEAN": "BOOL",
    "BLOB": "BYTES",
    "TIMESTAMP": "DATETIME",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "HUGEINT": "INT64",  # what is beyond INT64 is refused when the rows are read
}


def found(database: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], list[list[Any]]]:
    """Types and rows of a translated statement, in the words of the table."""
    cursor = database.execute(sql)
    kinds = [str(kind) for _, kind, *_ in cursor.description or ()]
    if kinds == ["INTERVAL"]:
        parts = "['year', 'month', 'day', 'hour', 'minute', 'microsecond']"
        rows = database.execute(f"SELECT datepart({parts}, v) FROM ({sql}) AS t(v)").fetchall()
        return ["INTERVAL"], [[None if row[0] is None else interval(row[0])] for row in rows]
    reading = list(zip(readers(kinds), kinds, strict=True))
    read = [
        [in_words(reader(value) if reader else value, kind) for value, (reader, kind) in zip(row, reading, strict=True)]
        for row in cursor.fetchall()
    ]
    return [bigquery_type(kind) for kind in kinds], read


def bigquery_type(kind: str) -> str:
    """The name of a DuckDB type in BigQuery."""
    if kind.endswith("[]"):
        return f"ARRAY<{bigquery_type(kind[:-2])}>"
    return "NUMERIC" if kind.startswith("DECIMAL") else TYPES.get(kind, kind)


def interval(parts: dict[str, int]) -> str:
    """An INTERVAL of whole seconds as text."""
    seconds = parts["microsecond"] // 1_000_000
    return f"{parts['year']}-{parts['month']} {parts['day']} {parts['hour']}:{parts['minute']}:{seconds}"


def in_words(value: Any, kind: str) -> Any:
    """A value as the table writes it."""
    if isinstance(value, list):
        return [in_words(each, kind[:-2]) for each in value]
    if isinstance(value, clock.datetime):
        moment = value.astimezone(clock.UTC) if value.tzinfo else value
        return moment.isoformat(sep=" ")
    if isinstance(value, clock.date | clock.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        text = format(value, "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return text if value else text.replace("-0", "0")
    if isinstance(value, bytes):
        return value.hex()
    if kind == "JSON" and isinstance(value, str):
        return json.dumps(json.loads(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return value


def same(right: Any, here: Any, nearness: float = 1e-15) -> bool:
    """Equal values; FLOAT64 to the last digit but one, or as near as is said, NaN as itself."""
    if isinstance(right, list) and isinstance(here, list):
        return len(right) == len(here) and all(same(*pair, nearness) for pair in zip(right, here, strict=True))
    if isinstance(right, float) and isinstance(here, float):
        return (math.isnan(right) and math.isnan(here)) or math.isclose(right, here, rel_tol=nearness)
    return type(right) is type(here) and bool(right == here)
