"""CAST, SAFE_CAST and STRING: what a text may look like, and what a value looks like as text."""

import re

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery

from phasegate.adapters.embedded.dialect.mending import (
    DECIMAL,
    FLOAT,
    INSTANT,
    NUMBER,
    TEXT,
    WALL_CLOCK,
    WHOLE,
    Type,
    call,
    duckdb,
    family,
    kind,
    literal_text,
    mends,
)
from phasegate.adapters.embedded.dialect.times import FORMS, ZONED, checked_zone, in_zone, instant_of_text
from phasegate.domain.errors import StatementRefused, TypesDoNotFit


def as_text(node: exp.Expr, zone: exp.Expr | None = None) -> exp.Expr | None:
    """Return a value as text, as BigQuery writes it; None where DuckDB writes it so too, or the type is not known."""
    of = kind(node)
    if of in INSTANT:
        checked_zone(zone)
        return call("timestamp_text", node, zone if zone is not None else "UTC")
    if of in WALL_CLOCK:
        return call("datetime_text", node)
    if of == Type.TIME:
        return call("time_text", node)
    if of in FLOAT:
        return call("float_text", node)
    if of in DECIMAL:
        return call("numeric_text", node)
    return None


@mends(exp.String)
def string(node: exp.Expr) -> exp.Expr | None:
    """A point in time as text."""
    return as_text(node.this, node.args.get("zone"))


@mends(exp.Cast, exp.TryCast)
def cast(node: exp.Expr) -> exp.Expr | None:
    """By the types on both sides: DuckDB takes more texts, rounds halves to even, and writes otherwise."""
    source, to, is_safe = node.this, node.args["to"].this, isinstance(node, exp.TryCast)
    of, text = kind(source), literal_text(source)
    if node.args.get("format") is not None:
        raise StatementRefused("CAST with FORMAT is not translated: write FORMAT_DATE, FORMAT_TIMESTAMP or PARSE_DATE")
    if to in NUMBER and family(source) not in ({"a number", "a text", None} | ({"a BOOL"} if to in WHOLE else set())):
        raise TypesDoNotFit(
            f"{family(source)} is not cast to a number: {node.sql(dialect=BigQuery)[:80]}; "
            "write IF(…, 1, 0), UNIX_DATE(…) or their like"
        )
    if to in TEXT:
        if of == Type.BINARY:
            return duckdb("TRY(decode(_x))" if is_safe else "decode(_x)", _x=source)
        return as_text(source)
    if to == Type.BINARY and of in TEXT:
        return duckdb("encode(_x)", _x=source)
    if to in INSTANT:
        return _to_instant(node, source, text, is_safe=is_safe)
    if to in WHOLE:
        if of in TEXT:
            if is_safe:
                return duckdb("TRY_CAST(_x AS BIGINT)", _x=call("whole_of_text", source))
            if _is_hexadecimal(source):
                # Of such a text DuckDB takes an underscore too, and else what BigQuery does.
                return duckdb("CAST(replace(_x, '_', '~') AS BIGINT)", _x=source)
            return call("text_to_whole", source)
        if of in FLOAT | DECIMAL:
            return duckdb("TRY_CAST(round(_x) AS BIGINT)", _x=source) if is_safe else call("float_to_whole", source)
    if to in FLOAT and of in TEXT:
        new = node.copy()
        new.set("this", call("float_of_text", source))
        return new
    if to == Type.BOOLEAN and of in TEXT:
        return call("safe_text_to_bool" if is_safe else "text_to_bool", source)
    if to in FORMS and of in TEXT:
        return _of_form(node, source, FORMS[to], is_safe=is_safe)
    if to == Type.DATE and of in INSTANT:
        return duckdb("CAST(_l AS DATE)", _l=in_zone(source, None))
    if to == Type.DECIMAL and not node.args["to"].expressions:
        if isinstance(source.unnest(), exp.Literal):
            source = exp.Literal.string(source.unnest().name)  # all of its digits count
        elif of in FLOAT:
            return call("safe_float_to_numeric" if is_safe else "float_to_numeric", source)
        return _to_numeric(node, source)
    return None


def _is_hexadecimal(text: exp.Expr) -> bool:
    """Tell whether a text that is put together begins with 0x."""
    return isinstance(text, exp.Concat) and (literal_text(text.expressions[0]) or "").lower().startswith("0x")


def _to_instant(node: exp.Expr, source: exp.Expr, text: str | None, *, is_safe: bool) -> exp.Expr | None:
    if text is not None:
        try:
            return instant_of_text(text)
        except StatementRefused:
            if is_safe:
                return duckdb("CAST(NULL AS TIMESTAMPTZ)")
            raise
    of = kind(source)
    if of in TEXT:
        return _of_form(node, source, ZONED, is_safe=is_safe)
    if of in WALL_CLOCK or of == Type.DATE:
        return duckdb("CAST(_x AS TIMESTAMP) AT TIME ZONE 'UTC'", _x=source)
    return None


def _of_form(node: exp.Expr, source: exp.Expr, form: str, *, is_safe: bool) -> exp.Expr:
    text, new = literal_text(source), node.copy()
    if text is None:
        new.set("this", call("safe_in_form" if is_safe else "in_form", source, form))
    elif not re.fullmatch(form, text, re.ASCII):
        if not is_safe:
            raise StatementRefused(
                f"'{text}' is no {node.args['to'].sql(dialect=BigQuery)}: write it as 2024-01-15, 20:30:00 or both"
            )
        new.set("this", exp.null())
    return new


def _to_numeric(node: exp.Expr, source: exp.Expr) -> exp.Expr:
    new = node.copy()
    new.set("this", source.copy())
    new.set("to", exp.DataType.build("DECIMAL(38, 9)"))
    return new
