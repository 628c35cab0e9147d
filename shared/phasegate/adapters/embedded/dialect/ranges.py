"""Which parts may leave FLOAT64, or the years 1 to 9999: an error in BigQuery, a value beyond them in DuckDB.

A check of each result would cost a plan its time. What the types bound needs none: a quotient of two INT64, a hundred
times that, a sum of such shares.
"""

import math
import sys

from sqlglot import exp

from phasegate.adapters.embedded.dialect.mending import (
    DECIMAL,
    FLOAT,
    INSTANT,
    LEAVES_YEARS,
    WALL_CLOCK,
    WHOLE,
    Type,
    kind,
)
from phasegate.adapters.embedded.dialect.times import week_begins

_LARGEST = sys.float_info.max
_LARGEST_WHOLE = 2.0**63
"""Of INT64; also what no number of rows exceeds."""
_LARGEST_DECIMAL = 1e29
"""Of NUMERIC, which has 29 digits before its point."""

_OPERATORS = (exp.Add, exp.Sub, exp.Mul, exp.Div)
_TOTALS = (exp.Sum, exp.Avg)
_SPREADS = (
    exp.Stddev,
    exp.StddevPop,
    exp.StddevSamp,
    exp.Variance,
    exp.VariancePop,
    exp.CovarPop,
    exp.CovarSamp,
    exp.Corr,
)
_AS_LARGE = (
    exp.Paren,
    exp.Alias,
    exp.Neg,
    exp.Abs,
    exp.Cast,
    exp.Trunc,
    exp.Ceil,
    exp.Floor,
    exp.Min,
    exp.Max,
    exp.AnyValue,
    exp.If,
    exp.Case,
    exp.Coalesce,
    exp.Greatest,
    exp.Least,
    exp.Nullif,
    exp.Distinct,
    exp.Array,
)
"""What is as large as its parts at most."""

_MARK = "may_overflow"


def mark_overflow(tree: exp.Expr) -> None:
    """Mark each part of a statement with types that DuckDB may make, of finite values, more than FLOAT64 holds."""
    largest: dict[int, float] = {}
    for node in tree.find_all(*_OPERATORS, *_TOTALS, *_SPREADS, exp.Round):
        if kind(node) in FLOAT and _bound(node, largest) > _LARGEST:
            node.meta[_MARK] = True


def may_overflow(node: exp.Expr) -> bool:
    """Tell whether a part was marked."""
    return _MARK in node.meta


def _largest(node: exp.Expr, known: dict[int, float]) -> float:
    """Return what the absolute value of a part does not exceed; 0 of what is no number. known: those of parts, by their
    ids.
    """
    bound = known.get(id(node))
    if bound is None:
        bound = known[id(node)] = min(_bound(node, known), _LARGEST)
    return bound


def _bound(node: exp.Expr, known: dict[int, float]) -> float:
    """Return the same of DuckDB's way to a part, which may be beyond FLOAT64."""
    if isinstance(node, exp.Literal):
        return 0.0 if node.is_string else abs(float(node.name))
    if isinstance(node, _TOTALS):
        return _largest(node.this, known) * _LARGEST_WHOLE if kind(node) in FLOAT else _LARGEST_WHOLE
    if isinstance(node, _SPREADS):
        sides = node.this, node.args.get("expression") or node.this
        return math.prod(2 * _largest(side, known) for side in sides) * _LARGEST_WHOLE
    if kind(node) in WHOLE:
        return _LARGEST_WHOLE
    if kind(node) in DECIMAL:
        return _LARGEST_DECIMAL
    if isinstance(node, exp.Cast) and kind(node.this) not in WHOLE | DECIMAL | FLOAT:
        return _LARGEST if kind(node) in FLOAT else 0.0
    if isinstance(node, exp.Add | exp.Sub):
        return _largest(node.this, known) + _largest(node.expression, known)
    if isinstance(node, exp.Mul):
        return _largest(node.this, known) * _largest(node.expression, known)
    if isinstance(node, exp.Div | exp.SafeDivide):
        return _largest(node.this, known) / _smallest(node.expression)
    if isinstance(node, exp.Round):
        return 2 * _largest(node.this, known)
    if isinstance(node, _AS_LARGE):
        return max((_largest(part, known) for part in node.iter_expressions()), default=0.0)
    return _LARGEST if kind(node) in FLOAT else 0.0


def _smallest(divisor: exp.Expr) -> float:
    """Return what the absolute value of a divisor that is not 0 exceeds at least."""
    if isinstance(divisor, exp.Literal) and not divisor.is_string and float(divisor.name):
        return abs(float(divisor.name))
    return 1.0 if kind(divisor) in WHOLE else sys.float_info.min


_MOVED = (
    exp.DateAdd,
    exp.DateSub,
    exp.DatetimeAdd,
    exp.DatetimeSub,
    exp.TimestampAdd,
    exp.TimestampSub,
    exp.DateFromUnixDate,
    exp.UnixToTime,
)
"""What gives a point in time that lies apart from another one."""
_MADE = (
    exp.DateTrunc,
    exp.DatetimeTrunc,
    exp.TimestampTrunc,
    exp.LastDay,
    exp.Date,
    exp.Timestamp,
    exp.StrToTime,
    exp.Datetime,
    exp.Extract,
)
"""What may give one that lies apart, by what it is told."""
_MOMENTS = frozenset({Type.DATE}) | INSTANT | WALL_CLOCK


def mark_years(tree: exp.Expr) -> None:
    """Mark each part of a statement with types that may be a point in time beyond the years 1 to 9999."""
    for node in tree.find_all(*_MOVED, *_MADE, exp.Add, exp.Sub):
        if kind(node) in _MOMENTS and _leaves_years(node):
            node.meta[LEAVES_YEARS] = True


def _leaves_years(node: exp.Expr) -> bool:
    if isinstance(node, exp.DateTrunc | exp.DatetimeTrunc | exp.TimestampTrunc | exp.LastDay):
        unit = node.args.get("unit")
        begins_elsewhere = unit is not None and (week_begins(unit) is not None or unit.name.upper() == "ISOYEAR")
        return begins_elsewhere or node.args.get("zone") is not None
    if isinstance(node, exp.Date | exp.Timestamp | exp.StrToTime):
        return node.args.get("zone") is not None
    if isinstance(node, exp.Datetime):
        return node.expression is not None and kind(node.this) in INSTANT
    if isinstance(node, exp.Extract):
        return isinstance(node.expression, exp.AtTimeZone)
    if isinstance(node, exp.Add | exp.Sub):
        return bool({kind(node.this), kind(node.expression)} & (WHOLE | {Type.INTERVAL}))
    return isinstance(node, _MOVED)
