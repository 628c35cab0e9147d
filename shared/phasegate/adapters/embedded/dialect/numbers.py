"""Arithmetic: whole numbers have 64 bits, what has no number is an error, and NaN equals nothing."""

import re
from collections.abc import Sequence
from typing import Any

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery

from phasegate.adapters.embedded.dialect.mending import (
    DECIMAL,
    FLOAT,
    NUMBER,
    TEXT,
    WHOLE,
    Type,
    any_kind,
    call,
    duckdb,
    family,
    kind,
    mends,
)
from phasegate.domain.errors import StatementRefused, TypesDoNotFit

_VALUES = (
    exp.Select,
    exp.Alias,
    exp.Add,
    exp.Sub,
    exp.Mul,
    exp.Neg,
    exp.Mod,
    exp.Div,
    exp.IntDiv,
    exp.Paren,
    exp.Array,
    exp.Struct,
    exp.PropertyEQ,
    exp.Tuple,
    exp.If,
    exp.Case,
    exp.Coalesce,
    exp.Greatest,
    exp.Least,
    exp.Nullif,
    exp.Sum,
    exp.Min,
    exp.Max,
    exp.AnyValue,
    exp.ArrayAgg,
    exp.Abs,
    exp.BitwiseAnd,
    exp.BitwiseOr,
    exp.BitwiseXor,
    exp.BitwiseNot,
    exp.BitwiseLeftShift,
    exp.BitwiseRightShift,
    exp.SafeAdd,
    exp.SafeSubtract,
    exp.SafeMultiply,
    exp.SafeNegate,
    exp.GenerateSeries,
    exp.Sign,
    exp.Lag,
    exp.Lead,
)


@mends(exp.Literal)
def whole_number(node: exp.Expr) -> exp.Expr | None:
    """A whole number is INT64, where DuckDB reads an INT32; one with a point is FLOAT64, not DECIMAL."""
    if node.is_string:
        return None
    if not node.is_int:
        if isinstance(node.parent, exp.Add | exp.Sub | exp.Mul | exp.Div) and any_kind(
            (node.parent.this, node.parent.expression), DECIMAL
        ):
            return duckdb(f"CAST('{node.name}' AS DECIMAL(38, 9))")
        return None if "e" in node.name.lower() else exp.Literal.number(f"{node.name}e0")
    parent = node.parent
    if not isinstance(parent, _VALUES) or (isinstance(parent, exp.Lag | exp.Lead) and node.arg_key == "offset"):
        return None
    if (
        isinstance(parent, exp.Neg)
        or kind(parent) in {Type.DATE, Type.INTERVAL}
        or (
            isinstance(parent, exp.Add | exp.Sub | exp.Mul | exp.Div)
            and any_kind((parent.this, parent.expression), FLOAT)
        )
    ):
        return None
    return duckdb(f"CAST({node.name} AS BIGINT)")


@mends(exp.Neg)
def negative(node: exp.Expr) -> exp.Expr | None:
    """A negative whole number is INT64 too."""
    if isinstance(node.this, exp.Literal) and node.this.is_int and isinstance(node.parent, _VALUES):
        return duckdb(f"CAST(-{node.this.name} AS BIGINT)")
    return None


@mends(exp.Div, exp.IntDiv)
def division(node: exp.Expr) -> exp.Expr | None:
    """By zero it is an error; of NUMERIC it is NUMERIC."""
    number, divisor = node.this, node.expression
    nonzero = divisor if isinstance(divisor, exp.Literal) and float(divisor.name) else call("divisor", divisor)
    if any_kind((number, divisor), DECIMAL) and not any_kind((number, divisor), FLOAT):
        quotient = duckdb("_a / _b", _a=number, _b=nonzero)
        return (
            duckdb("CAST(trunc(_q) AS DECIMAL(38, 9))", _q=quotient)
            if isinstance(node, exp.IntDiv)
            else call("numeric", quotient)
        )
    if nonzero is divisor:
        return None
    new = node.copy()
    new.set("expression", nonzero)
    return new


@mends(exp.Mul)
def product(node: exp.Expr) -> exp.Expr | None:
    """Of two NUMERIC it has nine decimals."""
    return (
        call("numeric", exp.paren(node.copy()))
        if kind(node.this) in DECIMAL and kind(node.expression) in DECIMAL
        else None
    )


@mends(exp.Add, exp.Sub, exp.Mul, exp.Div)
def operands(node: exp.Expr) -> exp.Expr | None:
    """A BOOL or a STRING is no number."""
    if any_kind((node.this, node.expression), TEXT | {Type.BOOLEAN}):
        raise StatementRefused(
            f"a BOOL or STRING is no number: {node.sql(dialect=BigQuery)[:80]}; write CAST(… AS INT64)"
        )
    return None


@mends(exp.SafeDivide)
def safe_divide(node: exp.Expr) -> exp.Expr | None:
    """NULL by zero, and where no number comes of it: by an INT64 one always does."""
    quotient = duckdb("_a / nullif(_b, 0)", _a=node.this, _b=node.expression)
    sides = (node.this, node.expression)
    if any_kind(sides, DECIMAL) and not any_kind(sides, FLOAT):
        return call("numeric", quotient)
    if kind(node.expression) in WHOLE:
        return quotient
    if kind(node.this) in WHOLE:
        return duckdb("CASE WHEN NOT isinf(_q) THEN _q END", _q=quotient)
    return call("safe_quotient", quotient, node.this)


_WITHIN: dict[type[exp.Expr], str] = {exp.Sqrt: "not_negative", exp.Ln: "positive", exp.Exp: "exponent"}


@mends(*_WITHIN, exp.Log, exp.Pow)
def no_number(node: exp.Expr) -> exp.Expr | None:
    """Where no number comes of numbers it is an error, where DuckDB says NaN or infinity."""
    new = node.copy()
    if (name := _WITHIN.get(type(node))) is not None:
        new.set("this", call(name, node.this))
    elif isinstance(node, exp.Log) and node.args.get("expression") is None:
        new.set("this", call("positive", node.this))
    else:
        new = call("finite", node, node.this, node.expression)
    return call("numeric", new) if kind(node.this) in DECIMAL else new


_SIGNS: dict[type[exp.Expr], str] = {exp.SafeAdd: "+", exp.SafeSubtract: "-", exp.SafeMultiply: "*"}


@mends(*_SIGNS)
def safe_arithmetic(node: exp.Expr) -> exp.Expr | None:
    """NULL beyond INT64."""
    if any_kind((node.this, node.expression), FLOAT | DECIMAL):
        raise StatementRefused(
            "SAFE_ADD, SAFE_SUBTRACT and SAFE_MULTIPLY are translated for INT64 alone: write + - or *"
        )
    sign = _SIGNS[type(node)]
    return duckdb(
        f"TRY_CAST(CAST(_a AS HUGEINT) {sign} CAST(_b AS HUGEINT) AS BIGINT)", _a=node.this, _b=node.expression
    )


@mends(exp.SafeNegate)
def safe_negate(node: exp.Expr) -> exp.Expr | None:
    """NULL beyond INT64."""
    return duckdb("TRY_CAST(-CAST(_a AS HUGEINT) AS BIGINT)", _a=node.this)


@mends(exp.Round, exp.Trunc)
def decimals(node: exp.Expr) -> exp.Expr | None:
    """A number of decimals that stands in a column is an INT32 for DuckDB."""
    places = node.args.get("decimals")
    if places is None or isinstance(places, exp.Literal | exp.Neg):
        return None
    new = node.copy()
    new.set("decimals", duckdb("CAST(_n AS INTEGER)", _n=places))
    if kind(node.this) in WHOLE:
        new.set("this", duckdb("CAST(_x AS DOUBLE)", _x=node.this))
    return new


@mends(exp.Add, exp.Sub)
def days(node: exp.Expr) -> exp.Expr | None:
    """A DATE and a number of days."""
    sides = {"this": node.this, "expression": node.expression}
    if {kind(side) for side in sides.values()} & {Type.DATE} and any_kind(sides.values(), WHOLE):
        new = node.copy()
        for name, side in sides.items():
            if kind(side) in WHOLE and not isinstance(side, exp.Literal):
                new.set(name, duckdb("CAST(_n AS INTEGER)", _n=side))
        return new if new != node else None
    return None


@mends(exp.Round, exp.Trunc)
def rounding_of_whole(node: exp.Expr) -> exp.Expr | None:
    """Of an INT64 it is a FLOAT64."""
    if kind(node.this) not in WHOLE:
        return None
    new = node.copy()
    new.set("this", duckdb("CAST(_x AS DOUBLE)", _x=node.this))
    return new


@mends(exp.Sign)
def sign(node: exp.Expr) -> exp.Expr | None:
    """Of its argument's type; of NaN it is NaN."""
    if kind(node.this) in FLOAT:
        return duckdb("CASE WHEN isnan(_x) THEN _x ELSE CAST(sign(_x) AS DOUBLE) END", _x=node.this)
    return duckdb(f"CAST(sign(_x) AS {'DECIMAL(38, 9)' if kind(node.this) in DECIMAL else 'BIGINT'})", _x=node.this)


def may_be_nan(node: exp.Expr) -> bool:
    """Tell whether NaN may come out: of a column of FLOAT64, of a text, or of a division that lets it; no parameter is
    NaN (``type_of``)."""
    if kind(node) not in FLOAT:
        return False
    for part in node.walk():
        if isinstance(part, exp.Column) and kind(part) in FLOAT | {Type.UNKNOWN, None}:
            return True
        if (
            isinstance(part, exp.Cast)
            and kind(part) in FLOAT
            and kind(part.this) not in NUMBER
            and not isinstance(part.this, exp.Parameter)
        ):
            return True
        if isinstance(part, exp.Anonymous) and not part.name.lower().startswith("bq."):
            return True
    return False


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


@mends(exp.In, exp.Between)
def listed(node: exp.Expr) -> exp.Expr | None:
    """Values are compared with those of a list, or of two ends, by their types; an ARRAY is no list of values."""
    others = node.expressions or [end for name in ("low", "high") if (end := node.args.get(name)) is not None]
    if any(kind(each) == Type.ARRAY for each in node.expressions) and kind(node.this) != Type.ARRAY:
        raise TypesDoNotFit("an ARRAY is no list of values: write IN UNNEST(…)")
    for other in others:
        require_comparable(node.this, other, node)
    return None


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
    assert isinstance(node, exp.SetOperation)  # noqa: S101 - the kinds above
    for side in (node.left, node.right):
        if isinstance(side, exp.SetOperation) and (type(side), side.args["distinct"]) != (
            type(node),
            node.args["distinct"],
        ):
            raise StatementRefused("set operations of two kinds follow each other: write brackets around one")
    selects: list[list[Any]] = [node.left.selects, node.right.selects]
    for left, right in zip(*selects, strict=False):
        families = {family(left), family(right)}
        if len(families) > 1 and None not in families and families != {"a DATE", "a DATETIME"}:
            raise TypesDoNotFit(
                f"columns of a set operation have no common type: {left.alias_or_name or left.sql()[:80]} is "
                f"{' and '.join(sorted(str(name) for name in families))}: write a CAST of one of them"
            )
    return None


@mends(exp.If, exp.Case, exp.Coalesce, exp.Greatest, exp.Least, exp.Nullif)
def of_one_kind(node: exp.Expr) -> exp.Expr | None:
    """What comes out is one of values with a common type: DuckDB makes texts of what has none."""
    if isinstance(node, exp.Nullif):
        parts = [node.this, node.expression]
    elif isinstance(node, exp.Case):
        parts = [*(branch.args["true"] for branch in node.args["ifs"]), node.args.get("default")]
    elif isinstance(node, exp.If):
        parts = [] if isinstance(node.parent, exp.Case) else [node.args["true"], node.args.get("false")]
    else:
        parts = [node.this, *node.expressions]
    if len(families := _families([part for part in parts if part and not isinstance(part, exp.Null)])) > 1:
        raise TypesDoNotFit(f"{' and '.join(sorted(families))} have no common type: write a CAST of one of them")
    return None


@mends(exp.Mod)
def modulo(node: exp.Expr) -> exp.Expr | None:
    """By zero it is an error; of FLOAT64 there is none."""
    if any_kind((node.this, node.expression), FLOAT):
        raise StatementRefused("MOD takes no FLOAT64: write MOD of CAST(… AS NUMERIC)")
    divisor = node.expression
    if isinstance(divisor, exp.Literal) and float(divisor.name):
        return None
    new = node.copy()
    new.set("expression", call("divisor", divisor))
    return new


@mends(exp.Sum)
def total(node: exp.Expr) -> exp.Expr | None:
    """Of INT64 it is an INT64, and an error beyond; an error beyond FLOAT64; of BOOL there is none."""
    if kind(node.this) in TEXT | {Type.BOOLEAN}:
        raise StatementRefused("SUM takes numbers alone: write COUNTIF of a BOOL, or cast the text")
    if kind(node) in WHOLE and not isinstance(node.parent, exp.Window):
        return duckdb("CAST(_s AS BIGINT)", _s=node)
    return None


@mends(exp.HexString)
def hexadecimal(node: exp.Expr) -> exp.Expr | None:
    """INT64."""
    return duckdb(f"CAST({int(node.name, 16)} AS BIGINT)") if node.args.get("is_integer") else None


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


@mends(exp.BitwiseAnd)
def bit_order(node: exp.Expr) -> exp.Expr | None:
    """``&`` binds closer than ``|`` and ``^``; sqlglot reads all three alike."""
    left = node.this
    if not isinstance(left, exp.BitwiseOr | exp.BitwiseXor):
        return None
    return type(left)(
        this=left.this.copy(),
        expression=exp.paren(exp.BitwiseAnd(this=left.expression.copy(), expression=node.expression.copy())),
    )


@mends(exp.Corr, exp.CovarSamp)
def of_pairs(node: exp.Expr) -> exp.Expr | None:
    """NULL of fewer than two pairs."""
    if isinstance(node.parent, exp.Window):
        return None
    return duckdb("CASE WHEN regr_count(_a, _b) >= 2 THEN _f END", _a=node.this, _b=node.expression, _f=node)


@mends(exp.Least, exp.Min)
def least(node: exp.Expr) -> exp.Expr | None:
    """NaN is less than every number."""
    values = [node.this, *node.expressions]
    if not any_kind(values, FLOAT) or isinstance(node.parent, exp.Window):
        return None
    if isinstance(node, exp.Min):
        if not may_be_nan(node.this):
            return None
        return duckdb("CASE WHEN bool_or(isnan(_x)) THEN CAST('nan' AS DOUBLE) ELSE _m END", _x=node.this, _m=node)
    tests = [duckdb("isnan(CAST(_x AS DOUBLE))", _x=value) for value in values]
    return duckdb("CASE WHEN _t THEN CAST('nan' AS DOUBLE) ELSE _l END", _t=exp.or_(*tests), _l=node)


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
    """NaN is in no array, and in no query's result."""
    rows = node.args.get("query") or node.args.get("unnest")
    if rows is None or not may_be_nan(node.this):
        return None
    return duckdb("CASE WHEN isnan(_x) THEN FALSE ELSE _i END", _x=node.this, _i=node)


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


@mends(exp.BitwiseLeftShift, exp.BitwiseRightShift)
def shift(node: exp.Expr) -> exp.Expr | None:
    """Zeros come in from both sides, and bits go without an error."""
    bits = type(node)(
        this=duckdb("CAST(CAST(_a AS BIGINT) AS BIT)", _a=node.this),
        expression=duckdb("CAST(_b AS INTEGER)", _b=node.expression),
    )
    return call("shifted", exp.paren(bits), node.expression)


@mends(exp.BitwiseCount)
def bit_count(node: exp.Expr) -> exp.Expr | None:
    """Of 64 bits."""
    return duckdb("CAST(bit_count(CAST(_x AS BIGINT)) AS BIGINT)", _x=node.this)


@mends(exp.RangeBucket)
def range_bucket(node: exp.Expr) -> exp.Expr | None:
    """The number of bounds that are not above."""
    return call("range_bucket", node.this, node.expression)


@mends(exp.Avg)
def average(node: exp.Expr) -> exp.Expr | None:
    """Of NUMERIC it is NUMERIC."""
    return call("numeric", node) if kind(node.this) in DECIMAL and not isinstance(node.parent, exp.Window) else None


@mends(exp.Anonymous)
def ieee_divide(node: exp.Expr) -> exp.Expr | None:
    """Infinity or NaN, no error."""
    if node.name.upper() != "IEEE_DIVIDE":
        return None
    return duckdb("CAST(_a AS DOUBLE) / CAST(_b AS DOUBLE)", _a=node.expressions[0], _b=node.expressions[1])
