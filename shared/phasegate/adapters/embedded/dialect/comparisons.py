"""Comparisons: values compare with those of their own kind, and NaN equals nothing."""

import re
from collections.abc import Sequence
from typing import Any

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery

from phasegate.adapters.embedded.dialect.mending import (
    DECIMAL,
    FLOAT,
    Type,
    any_kind,
    call,
    duckdb,
    family,
    kind,
    may_be_nan,
    mends,
    number_with_point,
)
from phasegate.domain.errors import StatementRefused, TypesDoNotFit

_IN_TIME = frozenset({"a DATE", "a TIME", "a DATETIME", "a TIMESTAMP"})


def _families(parts: Sequence[exp.Expr]) -> set[str]:
    """Name what there is among parts that has no common type.

    A DATE is read as a DATETIME beside one; a text that stands in the statement, or is a parameter, as the date, or the
    time, that it stands beside.
    """
    families = {name for part in parts if (name := family(part))}
    texts = [part for part in parts if family(part) == "a text"]
    if families & _IN_TIME and all(
        isinstance(text, exp.Literal) or (isinstance(text, exp.Cast) and isinstance(text.this, exp.Parameter))
        for text in texts
    ):
        families.discard("a text")
    return families - {"a DATE"} if "a DATETIME" in families else families


def require_comparable(left: exp.Expr, right: exp.Expr, node: exp.Expr) -> None:
    """Raise TypesDoNotFit for values whose types BigQuery does not compare."""
    for text, other in ((left, right), (right, left)):
        if isinstance(text, exp.Literal) and text.is_string and family(other) == "a DATE":
            _require_date(text.name)
    if len(families := _families((left, right))) > 1:
        first, second = sorted(families, key=lambda name: (name != "a number", name == "a text", name))
        raise TypesDoNotFit(f"{first} does not compare with {second}: {written(node)[:80]}; write a CAST of one")


def _require_date(text: str) -> None:
    if not re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}", text):
        what = f"{text} without quotes" if text.startswith("@") else "2024-01-15"
        raise StatementRefused(f"'{text}' is no DATE: write {what}")


def written(node: exp.Expr) -> str:
    """Return a part of a statement as its author wrote it: parameters without the types that they were given."""

    def plain(part: exp.Expr) -> exp.Expr:
        return part.this if isinstance(part, exp.Cast) and isinstance(part.this, exp.Parameter) else part

    return str(node.transform(plain).sql(dialect=BigQuery))


_COMPARISONS: dict[type[exp.Expr], tuple[str, bool]] = {
    exp.EQ: ("same", False),
    exp.NEQ: ("other", False),
    exp.GT: ("greater", False),
    exp.LT: ("greater", True),
    exp.GTE: ("not_less", False),
    exp.LTE: ("not_less", True),
}


@mends(*_COMPARISONS)
def comparison(node: exp.Expr) -> exp.Expr | None:
    """NaN equals nothing, and is neither greater nor less; values compare with those of their own family."""
    left, right = node.this, node.expression
    require_comparable(left, right, node)
    if (kind(left) == Type.ARRAY) is not (kind(right) == Type.ARRAY) and Type.NULL not in (kind(left), kind(right)):
        raise TypesDoNotFit("an ARRAY does not compare with a value: write IN UNNEST(…)")
    if not (may_be_nan(left) or may_be_nan(right)):
        return None
    name, turned = _COMPARISONS[type(node)]
    sides = [duckdb("CAST(_x AS DOUBLE)", _x=side) if kind(side) not in FLOAT else side for side in (left, right)]
    return call(name, *(reversed(sides) if turned else sides))


_COMPARING = (*_COMPARISONS, exp.In, exp.Between, exp.Like, exp.Is, exp.Not)


@mends(*_COMPARISONS, exp.In, exp.Between, exp.Like, exp.Is)
def chained(node: exp.Expr) -> exp.Expr | None:
    """One comparison is no side of another without brackets."""
    others = () if isinstance(node, exp.Is) else ("expression", "low", "high")
    sides: list[exp.Expr | None] = [node.args.get(name) for name in ("this", *others)]
    if (side := next((each for each in sides if isinstance(each, _COMPARING)), None)) is not None:
        raise StatementRefused(f"comparisons follow each other: write brackets around {written(side)[:80]}")
    return None


@mends(exp.In, exp.Between)
def listed(node: exp.Expr) -> exp.Expr | None:
    """Values are compared with those of a list, or of two ends, by their types; an ARRAY is no list of values."""
    others = node.expressions or [end for name in ("low", "high") if (end := node.args.get(name)) is not None]
    if any(kind(each) == Type.ARRAY for each in node.expressions) and kind(node.this) != Type.ARRAY:
        raise TypesDoNotFit("an ARRAY is no list of values: write IN UNNEST(…)")
    for other in others:
        require_comparable(node.this, other, node)
    return None


@mends(exp.Between)
def between(node: exp.Expr) -> exp.Expr | None:
    """NaN is between no two ends, and no end itself."""
    parts = [node.this, node.args["low"], node.args["high"]]
    if not any(may_be_nan(part) for part in parts):
        return None
    return call(
        "between", *(duckdb("CAST(_x AS DOUBLE)", _x=part) if kind(part) not in FLOAT else part for part in parts)
    )


@mends(exp.Unnest)
def unnested(node: exp.Expr) -> exp.Expr | None:
    """Only an ARRAY has elements."""
    of = node.expressions[0] if node.expressions else None
    if of is not None and (name := family(of)):
        raise TypesDoNotFit(f"UNNEST takes an ARRAY, and {written(of)[:80]} is {name}: write = in place of IN UNNEST")
    return None


@mends(exp.Union, exp.Except, exp.Intersect)
def set_operation(node: exp.Expr) -> exp.Expr | None:
    """Columns that are put under each other have one type, or a common one: DuckDB makes texts of what has none. The
    literals that BigQuery reads as dates are to be cast. Between two kinds of operations stand brackets."""
    sides: list[Any] = [node.this, node.expression]
    for side in sides:
        if isinstance(side, exp.SetOperation) and (type(side), side.args["distinct"]) != (
            type(node),
            node.args["distinct"],
        ):
            raise StatementRefused("set operations of two kinds follow each other: write brackets around one")
    for left, right in zip(*(side.selects for side in sides), strict=False):
        families = {family(left), family(right)}
        if len(families) > 1 and None not in families and families != {"a DATE", "a DATETIME"}:
            raise TypesDoNotFit(
                f"columns of a set operation have no common type: {left.alias_or_name or left.sql()[:80]} is "
                f"{' and '.join(sorted(str(name) for name in families))}: write a CAST of one of them"
            )
    return None


def _alternatives(node: exp.Expr) -> list[exp.Expr]:
    """Return the values of which one comes out."""
    parts: list[exp.Expr | None]
    if isinstance(node, exp.Nullif):
        parts = [node.this, node.expression]
    elif isinstance(node, exp.Case):
        parts = [*(branch.args["true"] for branch in node.args["ifs"]), node.args.get("default")]
    elif isinstance(node, exp.If):
        parts = [] if isinstance(node.parent, exp.Case) else [node.args["true"], node.args.get("false")]
    else:
        parts = [node.this, *node.expressions]
    return [part for part in parts if part is not None]


@mends(exp.If, exp.Case, exp.Coalesce, exp.Greatest, exp.Least, exp.Nullif)
def of_one_kind(node: exp.Expr) -> exp.Expr | None:
    """What comes out is one of values with a common type: DuckDB makes texts of what has none."""
    if len(families := _families([part for part in _alternatives(node) if not isinstance(part, exp.Null)])) > 1:
        raise TypesDoNotFit(f"{' and '.join(sorted(families))} have no common type: write a CAST of one of them")
    return None


@mends(exp.If, exp.Case, exp.Coalesce, exp.Greatest, exp.Least, exp.Nullif, exp.Array)
def literal_beside_numeric(node: exp.Expr) -> exp.Expr | None:
    """A number with a point that stands beside a NUMERIC is one."""
    parts = _alternatives(node)
    if any_kind(parts, DECIMAL) and (literal := next(filter(None, map(number_with_point, parts)), None)) is not None:
        number = literal.name.removesuffix("e0")
        raise StatementRefused(f"{number} is a NUMERIC beside another: write NUMERIC '{number}'")
    return None


@mends(exp.Nullif)
def nullif(node: exp.Expr) -> exp.Expr | None:
    """NaN equals nothing."""
    if kind(node.this) not in FLOAT:
        return None
    return duckdb(
        "CASE WHEN NOT coalesce(_t, FALSE) THEN _a END", _t=call("same", node.this, node.expression), _a=node.this
    )


@mends(exp.In)
def among(node: exp.Expr) -> exp.Expr | None:
    """NaN equals nothing."""
    if kind(node.this) not in FLOAT or not node.expressions:
        return None
    return exp.paren(
        exp.or_(*[call("same", node.this, duckdb("CAST(_x AS DOUBLE)", _x=value)) for value in node.expressions])
    )


@mends(exp.In)
def among_rows(node: exp.Expr) -> exp.Expr | None:
    """NaN is in no array, and in no query's result, but NULL where one of them holds NULL."""
    if not may_be_nan(node.this):
        return None
    other, unnest, query = node.copy(), node.args.get("unnest"), node.args.get("query")
    if unnest is not None and kind(unnest) in FLOAT:
        other.args["unnest"].set("expressions", [call("without_nan", unnest.expressions[0])])
    elif query is not None and kind(query.unnest().selects[0]) in FLOAT:
        rows = exp.Subquery(
            this=query.unnest().copy(),
            alias=exp.TableAlias(this=exp.to_identifier("_rows"), columns=[exp.to_identifier("_value")]),
        )
        numbers = exp.select("_value").from_(rows).where("_value IS NULL OR NOT isnan(_value)")
        other.set("query", numbers.subquery(copy=False))
    else:
        return None
    return duckdb("CASE WHEN isnan(_x) THEN _o ELSE _i END", _x=node.this, _o=other, _i=node)


@mends(exp.Case)
def case_of(node: exp.Expr) -> exp.Expr | None:
    """NaN is no case of a CASE."""
    of = node.this
    if of is None or not may_be_nan(of):
        return None
    new = exp.Case(default=node.args.get("default"))
    for branch in node.args["ifs"]:
        new = new.when(call("same", of, duckdb("CAST(_x AS DOUBLE)", _x=branch.this)), branch.args["true"].copy())
    return new
