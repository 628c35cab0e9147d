"""Aggregates, alone and over a window."""

from collections.abc import Callable

from sqlglot import exp

from phasegate.adapters.embedded.dialect.mending import (
    DECIMAL,
    TEXT,
    WHOLE,
    Type,
    call,
    duckdb,
    kind,
    may_be_nan,
    mends,
)
from phasegate.adapters.embedded.dialect.ranges import may_overflow
from phasegate.domain.errors import StatementRefused

Over = Callable[[exp.Expr], exp.Expr]
"""Returns an aggregate over the rows that another one is over: those of a group, or of a window."""


def _aggregate(node: exp.Expr, *kinds: type[exp.Expr]) -> tuple[exp.Expr, Over] | None:
    """Return the aggregate of one of these kinds that stands here, alone or over a window; None for anything else."""
    if isinstance(node, exp.Window):
        of, window = node.this, node

        def over(aggregate: exp.Expr) -> exp.Expr:
            new = window.copy()
            new.set("this", aggregate.copy())
            return exp.Paren(this=new)

        return (of, over) if isinstance(of, kinds) else None
    if not isinstance(node, kinds) or isinstance(node.parent, exp.Window):
        return None
    return node, lambda aggregate: aggregate


def _values(aggregate: exp.Expr) -> exp.Expr:
    """Return what is aggregated, without its DISTINCT."""
    of: exp.Expr = aggregate.this
    return of.expressions[0] if isinstance(of, exp.Distinct) else of


@mends(exp.Sum)
def no_sum(node: exp.Expr) -> exp.Expr | None:
    """Of BOOL and STRING there is none."""
    if kind(_values(node)) in TEXT | {Type.BOOLEAN}:
        raise StatementRefused("SUM takes numbers alone: write COUNTIF of a BOOL, or cast the text")
    return None


@mends(exp.Sum, exp.Window)
def total(node: exp.Expr) -> exp.Expr | None:
    """Of INT64 it is an INT64, and an error beyond; beyond FLOAT64 it is an error too."""
    if (found := _aggregate(node, exp.Sum)) is None:
        return None
    of, over = found
    if kind(of) in WHOLE:
        return duckdb("CAST(_s AS BIGINT)", _s=over(of))
    if not may_overflow(of):
        return None
    unbounded = duckdb("sum(_x) FILTER (WHERE NOT isfinite(_x))", _x=_values(of))
    return call("total", over(of), over(unbounded))


@mends(exp.Avg, exp.Window)
def average(node: exp.Expr) -> exp.Expr | None:
    """Of NUMERIC it is NUMERIC; beyond FLOAT64 it is an error."""
    if (found := _aggregate(node, exp.Avg)) is None:
        return None
    of, over = found
    if kind(_values(of)) in DECIMAL:
        sum_, count = (over(aggregate(this=of.this.copy())) for aggregate in (exp.Sum, exp.Count))
        return call("decimal_quotient", sum_, duckdb("nullif(_n, 0)", _n=count))
    return call("average", over(of)) if may_overflow(of) else None


@mends(exp.Min, exp.Window)
def minimum(node: exp.Expr) -> exp.Expr | None:
    """NaN is less than every number."""
    if (found := _aggregate(node, exp.Min)) is None or not may_be_nan(_values(found[0])):
        return None
    of, over = found
    return duckdb(
        "CASE WHEN _t THEN CAST('nan' AS DOUBLE) ELSE _m END",
        _t=over(duckdb("bool_or(isnan(_x))", _x=_values(of))),
        _m=over(of),
    )


@mends(exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop, exp.CovarPop, exp.Window)
def spread(node: exp.Expr) -> exp.Expr | None:
    """NaN of values that are none or infinite; an error where DuckDB goes beyond FLOAT64 and BigQuery may not."""
    found = _aggregate(node, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop, exp.CovarPop)
    if found is None or not may_overflow(found[0]):
        return None
    of, over = found
    return call("spread", over(of), over(_has_no_number(of)))


@mends(exp.Corr, exp.CovarSamp, exp.Window)
def of_pairs(node: exp.Expr) -> exp.Expr | None:
    """NULL of fewer than two pairs; else as other spreads. A correlation of what does not vary is NaN."""
    if (found := _aggregate(node, exp.Corr, exp.CovarSamp)) is None:
        return None
    of, over = found
    result = over(of)
    if may_overflow(of):
        result = call("spread", result, over(_has_no_number(of)))
        if isinstance(of, exp.Corr):
            for side in (of.this, of.expression):
                parts = {f"_{name}": over(duckdb(f"{name}(_x)", _x=side)) for name in ("min", "max", "var_pop")}
                result = duckdb(
                    "CASE WHEN _min = _max THEN CAST('nan' AS DOUBLE) WHEN isinf(_var_pop) AND isfinite(_max - _min) "
                    "THEN bq.fail('beyond FLOAT64 on the way') ELSE _r END",
                    **parts,
                    _r=result,
                )
    pairs = over(duckdb("regr_count(_a, _b)", _a=of.this, _b=of.expression))
    return duckdb("CASE WHEN _n >= 2 THEN _f END", _n=pairs, _f=result)


def _has_no_number(aggregate: exp.Expr) -> exp.Expr:
    """Return whether a value, or one of a pair, is NaN or infinite: times 0 it is NaN then, and NULL stays NULL."""
    zeros = [duckdb("_x * 0e0", _x=value) for value in (_values(aggregate), aggregate.args.get("expression")) if value]
    return duckdb("bool_or(isnan(_z))", _z=zeros[0] if len(zeros) == 1 else exp.Add(this=zeros[0], expression=zeros[1]))


@mends(exp.CountIf)
def countif(node: exp.Expr) -> exp.Expr | None:
    """Nothing counted is 0, not NULL."""
    if isinstance(node.this, exp.Distinct):
        raise StatementRefused("COUNTIF(DISTINCT …) is not translated: write COUNT(DISTINCT IF(…))")
    return exp.Count(this=exp.Case().when(node.this, exp.Literal.number(1)))
