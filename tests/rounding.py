"""Tables of the embedded warehouse beside those of the stand-in for BigQuery, which rounds by another rule.

BigQuery, and DuckDB from 2.0.1 on, look at the stored binary value: ``ROUND(2.675, 2)`` is 2.67. The stand-in runs
DuckDB 1.5.5, where it is 2.68. What the pipeline's SQL rounds may therefore differ by one unit in its last place, and
what is computed from that by a few, where the stand-in is compared with, and nowhere else
(docs/decisions/0019-locked-versions.md).
"""

from functools import lru_cache
from typing import Any

from sqlglot import exp

from phasegate.adapters.bigquery_sql import read_statement
from tests.nba_sql import ANALYTICS, PRECOMPUTE, PREDICTIONS, select_of

UNITS = 4.001
"""A value that is computed from rounded ones may differ by a few units in its last place."""

MEANS = dict.fromkeys(("mean_error", "mean_absolute_error", "mean_absolute_error_compared", "adjustment"), 0.01)
MEANS |= {"root_mean_squared_error": 0.01}
"""Means over predictions, each of which may differ by a unit in its last place, by that unit: many do so alike."""

Row = list[tuple[str, str, Any]]
"""Of every column: its name, the name of its value's type, its value."""


@lru_cache(maxsize=1)
def units() -> dict[str, float]:
    """One unit in the last place of every column that the pipeline's SQL rounds, or takes over from a rounded one."""
    found: dict[str, float] = {}
    for processor in (*ANALYTICS.values(), *PRECOMPUTE.values(), *PREDICTIONS.values()):
        for column in read_statement(select_of(processor)).find_all(exp.Alias):
            made = column.this
            places = [int(one.args["decimals"].name) for one in made.find_all(exp.Round) if one.args.get("decimals")]
            if places:
                found[column.alias] = 10.0 ** -max(places)
            elif isinstance(made, exp.Column) and made.name in found:
                found[column.alias] = found[made.name]
    return found


def assert_same_but_for_the_last_place(embedded: list[Row], stand_in: list[Row]) -> None:
    """Every row is there twice with the same values; a rounded one may differ by a few units in its last place."""
    assert len(embedded) == len(stand_in)
    for ours, theirs in zip(_ordered(embedded), _ordered(stand_in), strict=True):
        assert _unrounded(ours) == _unrounded(theirs)
        for (name, kind, value), (_, other_kind, other) in zip(ours, theirs, strict=True):
            if name in units():
                assert kind == other_kind, (name, ours, theirs)
                most = MEANS.get(name, UNITS * units()[name])
                assert value == other or abs(value - other) <= most, (name, value, other, ours[:6])


def _ordered(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: repr(_unrounded(row)))


def _unrounded(row: Row) -> Row:
    return [(name, kind, value) for name, kind, value in row if name not in units()]
