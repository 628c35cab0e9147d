"""Aggregates, alone and over a window."""

from sqlglot import exp

from phasegate.adapters.embedded.dialect.mending import DECIMAL, FLOAT, TEXT, WHOLE, Type, call, duckdb, kind, mends
from phasegate.domain.errors import StatementRefused


@mends(exp.Sum)
def total(node: exp.Expr) -> exp.Expr | None:
    """Of INT64 it is an INT64, and an error beyond; an error beyond FLOAT64; of BOOL there is none."""
    if kind(node.this) in TEXT | {Type.BOOLEAN}:
        raise StatementRefused("SUM takes numbers alone: write COUNTIF of a BOOL, or cast the text")
    if kind(node) in WHOLE and not isinstance(node.parent, exp.Window):
        return duckdb("CAST(_s AS BIGINT)", _s=node)
    return None


@mends(exp.Window)
def in_window(node: exp.Expr) -> exp.Expr | None:
    """What is mended of an aggregate holds in a window too."""
    of, window = node.this, exp.paren(node.copy())
    if isinstance(of, exp.Sum) and kind(of) in WHOLE:
        return duckdb("CAST(_s AS BIGINT)", _s=window)
    if isinstance(of, exp.Avg) and kind(of.this) in DECIMAL:
        return call("numeric", window)
    if isinstance(of, exp.Min) and kind(of.this) in FLOAT:
        has_nan = _over(node, duckdb("bool_or(isnan(_x))", _x=of.this))
        return duckdb("CASE WHEN _t THEN CAST('nan' AS DOUBLE) ELSE _m END", _t=has_nan, _m=window)
    if isinstance(of, exp.Corr | exp.CovarSamp):
        pairs = _over(node, duckdb("regr_count(_a, _b)", _a=of.this, _b=of.expression))
        return duckdb("CASE WHEN _n >= 2 THEN _f END", _n=pairs, _f=window)
    return None


def _over(window: exp.Expr, aggregate: exp.Expr) -> exp.Expr:
    """Return another aggregate over the same window."""
    new = window.copy()
    new.set("this", aggregate)
    return exp.paren(new)


@mends(exp.CountIf)
def countif(node: exp.Expr) -> exp.Expr | None:
    """Nothing counted is 0, not NULL."""
    if isinstance(node.this, exp.Distinct):
        raise StatementRefused("COUNTIF(DISTINCT …) is not translated: write COUNT(DISTINCT IF(…))")
    return exp.Count(this=exp.Case().when(node.this, exp.Literal.number(1)))


@mends(exp.Corr, exp.CovarSamp)
def of_pairs(node: exp.Expr) -> exp.Expr | None:
    """NULL of fewer than two pairs."""
    if isinstance(node.parent, exp.Window):
        return None
    return duckdb("CASE WHEN regr_count(_a, _b) >= 2 THEN _f END", _a=node.this, _b=node.expression, _f=node)


@mends(exp.Avg)
def average(node: exp.Expr) -> exp.Expr | None:
    """Of NUMERIC it is NUMERIC."""
    return call("numeric", node) if kind(node.this) in DECIMAL and not isinstance(node.parent, exp.Window) else None
