"""JSON, as far as it is the same."""

from sqlglot import exp

from phasegate.adapters.embedded.dialect.mending import INSTANT, TEXT, Type, call, duckdb, kind, mends
from phasegate.domain.errors import StatementRefused


@mends(exp.JSONExtractScalar)
def json_value(node: exp.Expr) -> exp.Expr | None:
    """Of a text that is no JSON it is NULL. A fraction may be cast, not read as text: DuckDB forgets its last zeros."""
    if kind(node.this) not in TEXT:
        raise StatementRefused("JSON_VALUE is translated for STRING alone: write it of the JSON's text")
    found = duckdb("CASE WHEN json_valid(_x) THEN _f END", _x=node.this, _f=node)
    if isinstance(node.parent, exp.Cast):
        return found
    raw = exp.JSONExtract(this=node.this.copy(), expression=node.expression.copy())
    return call("json_text", found, duckdb("CASE WHEN json_valid(_x) THEN json_type(_j) END", _x=node.this, _j=raw))


@mends(exp.JSONExtract)
def json_query(node: exp.Expr) -> exp.Expr | None:
    """Of a text it is a text, and NULL where JSON says null; DuckDB writes its numbers anew, not all of them alike."""
    if kind(node.this) not in TEXT:
        return None
    new = node.copy()
    new.set("this", call("with_plain_numbers", node.this))
    return duckdb("nullif(CAST(_f AS VARCHAR), 'null')", _f=exp.paren(new))


@mends(exp.JSONFormat)
def to_json_string(node: exp.Expr) -> exp.Expr | None:
    """Of a text, a truth value or a date; of a STRUCT as the content of rows is asked for."""
    if isinstance(node.this, exp.Struct) and not node.args.get("to_json") and node.args.get("options") is None:
        fields = node.this.copy()
        for field, of in zip(fields.expressions, node.this.expressions, strict=True):
            value = of.expression if isinstance(of, exp.PropertyEQ) else of
            if kind(value) in INSTANT and isinstance(field, exp.PropertyEQ):
                field.set("expression", duckdb("_x AT TIME ZONE 'UTC'", _x=value))
        return duckdb("CAST(to_json(_x) AS VARCHAR)", _x=fields)
    if (
        node.args.get("to_json")
        or node.args.get("options") is not None
        or kind(node.this) not in TEXT | {Type.BOOLEAN, Type.DATE}
    ):
        raise StatementRefused("TO_JSON_STRING is translated for STRING, BOOL and DATE alone: write CAST(… AS STRING)")
    return duckdb("coalesce(CAST(to_json(_x) AS VARCHAR), 'null')", _x=node.this)
