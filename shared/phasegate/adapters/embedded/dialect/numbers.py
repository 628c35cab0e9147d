"""Arithmetic: whole numbers have 64 bits, and what has no number is an error."""

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery

from phasegate.adapters.embedded.dialect.mending import (
    DECIMAL,
    FLOAT,
    TEXT,
    WHOLE,
    Type,
    any_kind,
    call,
    duckdb,
    kind,
    mends,
)
from phasegate.adapters.embedded.dialect.ranges import may_overflow
from phasegate.domain.errors import StatementRefused

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
    """A whole number is INT64, where DuckDB reads an INT32; one with a point is FLOAT64, or NUMERIC beside one."""
    if node.is_string:
        return None
    if not node.is_int:
        if kind(node) in DECIMAL or _is_compared_with_numeric(node):
            if abs(float(node.name)) >= 1e29:
                raise StatementRefused(f"{node.name} is no NUMERIC, which it has to be here: write CAST(… AS FLOAT64)")
            node.type = Type.DECIMAL.into_expr()
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


def _is_compared_with_numeric(number: exp.Expr) -> bool:
    compared: exp.Expr = number
    while isinstance(compared.parent, exp.Neg | exp.Paren):
        compared = compared.parent
    comparison = compared.parent
    if not isinstance(comparison, exp.Binary | exp.In | exp.Between) or not isinstance(comparison, exp.Predicate):
        return False
    return any_kind(comparison.iter_expressions(), DECIMAL)


@mends(exp.Neg)
def negative(node: exp.Expr) -> exp.Expr | None:
    """A negative whole number is INT64 too."""
    if isinstance(node.this, exp.Literal) and node.this.is_int and isinstance(node.parent, _VALUES):
        return duckdb(f"CAST(-{node.this.name} AS BIGINT)")
    return None


@mends(exp.Div, exp.IntDiv)
def division(node: exp.Expr) -> exp.Expr | None:
    """By zero it is an error, and beyond FLOAT64; of NUMERIC it is NUMERIC."""
    number, divisor = node.this, node.expression
    if any_kind((number, divisor), DECIMAL) and not any_kind((number, divisor), FLOAT):
        name = "decimal_div" if isinstance(node, exp.IntDiv) else "decimal_quotient"
        return call(name, number, call("divisor", divisor))
    if may_overflow(node):
        return call("quotient", number, divisor)
    if isinstance(node, exp.IntDiv):
        return call("div", number, divisor)
    if isinstance(divisor, exp.Literal) and float(divisor.name):
        return None
    new = node.copy()
    new.set("expression", call("divisor", divisor))
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


_WITHIN_RANGE: dict[type[exp.Expr], str] = {exp.Add: "add", exp.Sub: "subtract", exp.Mul: "multiply"}


@mends(*_WITHIN_RANGE)
def within_range(node: exp.Expr) -> exp.Expr | None:
    """Beyond FLOAT64 is an error."""
    return call(_WITHIN_RANGE[type(node)], node.this, node.expression) if may_overflow(node) else None


@mends(exp.SafeDivide)
def safe_divide(node: exp.Expr) -> exp.Expr | None:
    """NULL by zero, and where no number comes of it: by an INT64 one always does."""
    sides = (node.this, node.expression)
    divisor = duckdb("nullif(_b, 0)", _b=node.expression)
    if any_kind(sides, DECIMAL) and not any_kind(sides, FLOAT):
        return call("decimal_quotient", node.this, divisor)
    if kind(node.expression) in WHOLE:
        return duckdb("_a / _b", _a=node.this, _b=divisor)
    return call("safe_quotient", node.this, divisor)


_WITHIN: dict[type[exp.Expr], str] = {
    exp.Sqrt: "not_negative",
    exp.Ln: "positive",
    exp.Log: "positive",
    exp.Exp: "exponent",
}


@mends(*_WITHIN, exp.Pow)
def no_number(node: exp.Expr) -> exp.Expr | None:
    """Where no number comes of numbers it is an error, where DuckDB says NaN or infinity."""
    if any_kind((node.this, node.args.get("expression")), DECIMAL):
        name = node.sql(dialect=BigQuery).partition("(")[0]
        raise StatementRefused(f"{name} of NUMERIC is not translated: write it of CAST(… AS FLOAT64)")
    if isinstance(node, exp.Pow):
        return call("power", node.this, node.expression)
    if isinstance(node, exp.Log) and node.args.get("expression") is not None:
        return call("log", node.expression, node.this)  # sqlglot has the base first
    new = node.copy()
    new.set("this", call(_WITHIN[type(node)], node.this))
    return new


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


@mends(exp.Round, exp.Trunc, exp.Ceil, exp.Floor)
def nine_decimals(node: exp.Expr) -> exp.Expr | None:
    """Of NUMERIC it is NUMERIC: DuckDB makes a type of fewer decimals, and takes them from what stands beside it."""
    if kind(node.this) not in DECIMAL:
        return None
    new = node.copy()
    if (places := node.args.get("decimals")) is not None and not isinstance(places, exp.Literal | exp.Neg):
        new.set("decimals", duckdb("CAST(_n AS INTEGER)", _n=places))
    return duckdb("CAST(_r AS DECIMAL(38, 9))", _r=new)


@mends(exp.Round)
def rounded_up(node: exp.Expr) -> exp.Expr | None:
    """To a negative number of decimals the largest are rounded beyond FLOAT64: an error."""
    places = node.args.get("decimals")
    if places is None or isinstance(places, exp.Literal) or not may_overflow(node):
        return None
    return call("rounded", node.this, places)


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


@mends(exp.HexString)
def hexadecimal(node: exp.Expr) -> exp.Expr | None:
    """INT64."""
    return duckdb(f"CAST({int(node.name, 16)} AS BIGINT)") if node.args.get("is_integer") else None


@mends(exp.Least)
def least(node: exp.Expr) -> exp.Expr | None:
    """NaN is less than every number."""
    values = [node.this, *node.expressions]
    if not any_kind(values, FLOAT):
        return None
    tests = [duckdb("isnan(CAST(_x AS DOUBLE))", _x=value) for value in values]
    return duckdb("CASE WHEN _t THEN CAST('nan' AS DOUBLE) ELSE _l END", _t=exp.or_(*tests), _l=node)


@mends(
    exp.BitwiseAnd,
    exp.BitwiseOr,
    exp.BitwiseXor,
    exp.BitwiseNot,
    exp.BitwiseLeftShift,
    exp.BitwiseRightShift,
    exp.BitwiseCount,
)
def of_bits(node: exp.Expr) -> exp.Expr | None:
    """A FLOAT64 or a NUMERIC has none."""
    if any_kind((node.this, node.args.get("expression")), FLOAT | DECIMAL):
        raise StatementRefused("bits are those of an INT64: write CAST(… AS INT64)")
    return None


@mends(exp.BitwiseNot)
def bit_not(node: exp.Expr) -> exp.Expr | None:
    """``~`` binds closer than any operator between two values."""
    return exp.paren(node)


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


@mends(exp.Anonymous)
def ieee_divide(node: exp.Expr) -> exp.Expr | None:
    """Infinity or NaN, no error."""
    if node.name.upper() != "IEEE_DIVIDE":
        return None
    return duckdb("CAST(_a AS DOUBLE) / CAST(_b AS DOUBLE)", _a=node.expressions[0], _b=node.expressions[1])
