"""Rows that DuckDB yields, as BigQuery would give them out."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from phasegate.domain.errors import EvaluationError

_LAST = 2**63


def readers(kinds: Sequence[str]) -> list[Callable[[Any], Any] | None]:
    """Return what each column's values go through, by DuckDB's types; None: they are right as they are."""
    return [_of_array if kind.endswith("[]") else _READERS.get(kind.partition("(")[0]) for kind in kinds]


def _of_whole(value: int | None) -> int | None:
    """A sum of whole numbers is an INT64. Raises EvaluationError beyond."""
    if value is not None and not -_LAST <= value < _LAST:
        raise EvaluationError(f"{value} is beyond INT64")
    return value


def _of_array(value: list[Any] | None) -> list[Any]:
    """No array is an empty one. Raises EvaluationError for an element that is NULL, which no result may hold."""
    if value is not None and any(element is None for element in value):
        raise EvaluationError("an array of the result holds NULL: leave NULLs out (ARRAY_AGG(… IGNORE NULLS))")
    return value or []


def _of_instant(value: datetime | None) -> datetime | None:
    """In UTC, by Python's own name of it."""
    return value if value is None else value.replace(tzinfo=UTC)


def _of_numeric(value: Decimal | None) -> Decimal | None:
    """Without zeros at its end, as a text of it has none."""
    if value is None:
        return None
    text = f"{value:f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


_READERS: dict[str, Callable[[Any], Any]] = {
    "HUGEINT": _of_whole,
    "TIMESTAMP WITH TIME ZONE": _of_instant,
    "DECIMAL": _of_numeric,
}
