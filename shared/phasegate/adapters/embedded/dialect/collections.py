"""Arrays, offsets and structs."""

from sqlglot import exp

from phasegate.adapters.embedded.dialect.known import refusal
from phasegate.adapters.embedded.dialect.mending import DECIMAL, FLOAT, any_kind, call, duckdb, kind, mends
from phasegate.domain.errors import StatementRefused


def prepared(tree: exp.Expr) -> exp.Expr:
    """Mend what has to be mended before types are known: names of the structs of an array, and of queries read from."""
    for array in list(tree.find_all(exp.Array)):
        first = array.expressions[0] if array.expressions else None
        if isinstance(first, exp.Struct):
            names = [field.this for field in first.expressions if isinstance(field, exp.PropertyEQ)]
            for item in array.expressions[1:]:
                if isinstance(item, exp.Tuple) and len(names) == len(item.expressions):
                    fields = zip(names, item.expressions, strict=True)
                    item.replace(
                        exp.Struct(expressions=[exp.PropertyEQ(this=n.copy(), expression=v.copy()) for n, v in fields])
                    )
    for chain in [node for node in tree.find_all(*_BITWISE) if not isinstance(node.parent, _BITWISE)]:
        _regroup(chain)
    for part in list(tree.find_all(exp.Not)):
        if isinstance(part.parent, exp.ArrayAgg | exp.Order | exp.Distinct | exp.Limit):
            # For IGNORE NULLS sqlglot writes NOT x IS NOT NULL, which asks about x.
            part.replace(exp.paren(part.copy()))
    for extract in tree.find_all(exp.Extract):
        _zone_of_all(extract)
    for select in tree.find_all(exp.Select):
        _prefer_results(select)
    for key in tree.find_all(exp.Ordered):
        _name_key(key)
    for number, query in enumerate(list(tree.find_all(exp.Subquery))):
        if isinstance(query.parent, exp.From | exp.Join) and not query.alias:
            query.set("alias", exp.TableAlias(this=exp.to_identifier(f"_query_{number}")))
    for number, unnest in enumerate(tree.find_all(exp.Unnest)):
        if not unnest.expressions or not _is_of_structs(unnest.expressions[0]):
            continue
        if unnest.args.get("alias"):
            _refuse_star(unnest)
        else:
            unnest.set("alias", exp.TableAlias(columns=[exp.to_identifier(f"_of_array_{number}")]))
            unnest.set("explode_array", True)
    return tree


def _is_of_structs(array: exp.Expr) -> bool:
    """Tell whether an array that is written out, or a parameter, is one of STRUCTs."""
    if isinstance(array, exp.Cast):
        return array.is_type(exp.DType.ARRAY) and bool(array.to.expressions[0].this == exp.DType.STRUCT)
    return isinstance(array, exp.Array) and bool(array.expressions) and isinstance(array.expressions[0], exp.Struct)


def _refuse_star(unnest: exp.Unnest) -> None:
    """An asterisk is all fields of a STRUCT that has a name; in DuckDB it is the STRUCT."""
    select = unnest.find_ancestor(exp.Select)
    if select is not None and any(isinstance(part, exp.Star) for part in select.expressions):
        name = unnest.alias_column_names[0] if unnest.alias_column_names else unnest.alias
        raise refusal(unnest, "SELECT * of an UNNEST of STRUCTs with a name is not translated", f"{name}.*")


def _zone_of_all(extract: exp.Expr) -> None:
    """AT TIME ZONE is said of all that EXTRACT takes a part of; sqlglot reads it as said of the last operand."""
    last = extract.expression
    while isinstance(last, exp.Binary):
        last = last.expression
    if isinstance(last, exp.AtTimeZone) and last is not extract.expression:
        zone = last.args["zone"]
        last.replace(last.this)
        extract.set("expression", exp.AtTimeZone(this=exp.paren(extract.expression, copy=False), zone=zone))


_BITWISE = (exp.BitwiseLeftShift, exp.BitwiseRightShift, exp.BitwiseAnd, exp.BitwiseXor, exp.BitwiseOr)
"""Shifts bind closest, then ``&``, then ``^``, then ``|``; sqlglot reads all of them from the left."""
_BINDING: dict[type[exp.Expr], int] = {kind: max(number, 1) for number, kind in enumerate(_BITWISE)}


def _regroup(chain: exp.Expr) -> None:
    """Bind the operators of a chain as BigQuery does."""
    operators: list[exp.Expr] = []
    at = chain
    while isinstance(at, _BITWISE):
        operators.insert(0, at)
        at = at.this
    pending: list[exp.Expr] = []
    values = [at]
    for operator in operators:
        while pending and _BINDING[type(pending[-1])] <= _BINDING[type(operator)]:
            _bind(pending.pop(), values)
        pending.append(operator)
        values.append(operator.expression)
    while pending:
        _bind(pending.pop(), values)
    if len(operators) > 1:
        chain.replace(values[0])


def _bind(operator: exp.Expr, values: list[exp.Expr]) -> None:
    right, left = values.pop(), values.pop()
    bound = exp.paren(type(operator)(this=left.copy(), expression=right.copy()), copy=False)
    bound.meta.update(operator.meta)
    values.append(bound)


def _prefer_results(select: exp.Select) -> None:
    """In GROUP BY, QUALIFY and ORDER BY a name means what the result calls so, before a column that is read.

    DuckDB takes it so in HAVING too, and for a key of ORDER BY as a whole.
    """
    named = {part.alias.lower(): number for number, part in enumerate(select.expressions, 1) if part.alias}
    has_star = any(part.is_star for part in select.expressions)
    for clause in ("group", "qualify", "order"):
        part = select.args.get(clause)
        for column in list(part.find_all(exp.Column)) if part is not None else ():
            number = named.get(column.name.lower())
            is_key = isinstance(column.parent, exp.Ordered) and column.parent.parent is part
            if number is None or column.table or is_key or column.find_ancestor(exp.Select) is not select:
                continue
            if column.parent is part and clause == "group" and not has_star:
                column.replace(exp.Literal.number(number))
            elif (meant := select.expressions[number - 1].unalias()) != column:
                column.replace(exp.paren(meant.copy()))


def _name_key(key: exp.Expr) -> None:
    """A key of ORDER BY that is a number is the column at that place."""
    query = key.parent.parent if key.parent is not None else None
    if not isinstance(query, exp.Query) or not isinstance(key.this, exp.Literal) or not key.this.is_int:
        return
    if any(part.is_star for part in query.selects) or not 0 < int(key.this.name) <= len(query.selects):
        return
    meant = query.selects[int(key.this.name) - 1]
    if isinstance(meant, exp.Alias):
        key.set("this", exp.column(meant.args["alias"].copy()))
    elif isinstance(meant, exp.Column) and isinstance(query, exp.Select):
        key.set("this", meant.copy())


def count_from_zero(tree: exp.Expr) -> None:
    """An offset of UNNEST counts from 0, an ordinality of DuckDB from 1: one less wherever it is named."""
    for unnest in list(tree.find_all(exp.Unnest)):
        offset, select = unnest.args.get("offset"), unnest.find_ancestor(exp.Select)
        if not isinstance(offset, exp.Identifier) or select is None:
            continue
        if any(isinstance(part, exp.Star) for part in select.expressions):
            raise refusal(
                unnest, "SELECT * of an UNNEST with WITH OFFSET is not translated", "the columns by their names"
            )
        for column in list(select.find_all(exp.Column)):
            if column.name.lower() != offset.name.lower() or column.table or isinstance(column.parent, exp.Ordered):
                continue
            less = duckdb("_x - 1", _x=column)
            less.type = column.type
            column.replace(exp.alias_(less, column.name) if isinstance(column.parent, exp.Select) else exp.paren(less))


@mends(exp.Bracket)
def subscript(node: exp.Expr) -> exp.Expr | None:
    """Beyond the bounds is an error, unless it says SAFE."""
    if node.args.get("offset") is None or len(node.expressions) != 1:
        return None
    index, is_safe = node.expressions[0], node.args.get("safe") is not False
    if is_safe and isinstance(index, exp.Literal):
        return None
    place = duckdb("_i + 1", _i=index) if node.args["offset"] == 0 else index
    return call("safe_element" if is_safe else "element", node.this, place)


@mends(exp.ArrayToString)
def array_to_string(node: exp.Expr) -> exp.Expr | None:
    """Of no elements it is an empty text."""
    return duckdb("CASE WHEN _a IS NOT NULL THEN coalesce(_f, '') END", _a=node.this, _f=node)


@mends(exp.GenerateSeries)
def generate_array(node: exp.Expr) -> exp.Expr | None:
    """Of whole numbers, and with a step."""
    step = node.args.get("step")
    if any_kind((node.args["start"], node.args["end"], step), FLOAT | DECIMAL):
        raise StatementRefused(
            "GENERATE_ARRAY is translated for INT64 alone: write it of whole numbers, and divide them"
        )
    literal = step.find(exp.Literal) if isinstance(step, exp.Literal | exp.Cast) else None
    if step is None or (literal is not None and literal.name != "0"):
        return None
    node.set("step", call("step", step))
    return node


@mends(exp.ArrayConcat)
def array_concat(node: exp.Expr) -> exp.Expr | None:
    """With NULL it is NULL."""
    arrays = [node.this, *node.expressions]
    return duckdb(
        "CASE WHEN _t THEN NULL ELSE _l END", _t=exp.or_(*[duckdb("_x IS NULL", _x=array) for array in arrays]), _l=node
    )


@mends(exp.ArrayAgg, exp.GroupConcat)
def limited(node: exp.Expr) -> exp.Expr | None:
    """LIMIT within an aggregate cuts the ordered list."""
    if not isinstance(node.this, exp.Limit):
        return None
    elements: exp.Expr = exp.ArrayAgg(this=node.this.this.copy())
    if isinstance(node.parent, exp.IgnoreNulls):
        elements = exp.IgnoreNulls(this=elements)
    cut = duckdb("list_slice(_l, 1, _n)", _l=elements, _n=node.this.expression)
    if isinstance(node, exp.ArrayAgg):
        return cut
    return duckdb("array_to_string(_l, _s)", _l=cut, _s=node.args.get("separator") or exp.Literal.string(","))


@mends(exp.IgnoreNulls)
def cut_already(node: exp.Expr) -> exp.Expr | None:
    """NULLs are left out before the list is cut."""
    return node.this.copy() if isinstance(node.this, exp.Anonymous) else None


_SAFE = (exp.StrToDate, exp.StrToTime, exp.ParseDatetime, exp.ParseTime, exp.Date, exp.Datetime)


@mends(exp.SafeFunc)
def safe(node: exp.Expr) -> exp.Expr | None:
    """SAFE. before what parses and makes dates is NULL where that is an error."""
    if not isinstance(node.meta.get("of"), str):
        raise StatementRefused(
            "SAFE. is translated before PARSE_DATE and its like, DATE and DATETIME: write IF(…) with the condition"
        )
    return duckdb("TRY(_x)", _x=node.this)


def mark_safe(tree: exp.Expr) -> None:
    """Keep what SAFE. stands before: the rules change it."""
    for node in tree.find_all(exp.SafeFunc):
        if isinstance(node.this, _SAFE):
            node.meta["of"] = type(node.this).__name__


@mends(exp.EQ, exp.NEQ)
def of_structs(node: exp.Expr) -> exp.Expr | None:
    """STRUCTs are compared field by field in BigQuery, by names and with NULL as a value in DuckDB."""
    if any(isinstance(side, exp.Struct | exp.Tuple) for side in (node.this, node.expression)):
        raise StatementRefused("a comparison of STRUCTs is not translated: write one of their fields")
    return None


@mends(exp.Lag, exp.Lead)
def lag(node: exp.Expr) -> exp.Expr | None:
    """A negative offset is an error."""
    offset = node.args.get("offset")
    if offset is not None and not isinstance(offset, exp.Literal):
        raise StatementRefused(
            "the offset of LAG and LEAD must be a number in the statement itself, not below zero: write LEAD for LAG"
        )
    return None


@mends(exp.Order)
def nan_first(node: exp.Expr) -> exp.Expr | None:
    """NaN comes before all numbers in ascending order."""
    spec = node.parent.args.get("spec") if isinstance(node.parent, exp.Window) else None
    has_distance = spec is not None and spec.args.get("kind") == "RANGE" and spec.find(exp.Literal) is not None
    if has_distance or not any(kind(key.this) in FLOAT for key in node.expressions if isinstance(key, exp.Ordered)):
        return None
    keys: list[exp.Expr] = []
    for key in node.expressions:
        if isinstance(key, exp.Ordered) and kind(key.this) in FLOAT:
            first = key.copy()
            first.set("this", duckdb("CASE WHEN isnan(_x) THEN 0 WHEN _x IS NOT NULL THEN 1 END", _x=key.this))
            keys.append(first)
        keys.append(key.copy())
    node.set("expressions", keys)
    return node


@mends(exp.DataType)
def bignumeric(node: exp.Expr) -> exp.Expr | None:
    """BIGNUMERIC has 76 digits, DuckDB 38."""
    if node.args["this"] == exp.DataType.Type.BIGDECIMAL:
        raise StatementRefused("BIGNUMERIC is not translated: write NUMERIC")
    return None


@mends(exp.Window)
def parted(node: exp.Expr) -> exp.Expr | None:
    """Rows are parted by what has equal values for certain."""
    if any_kind(node.args.get("partition_by") or (), FLOAT):
        raise StatementRefused("PARTITION BY takes no FLOAT64: write CAST(… AS STRING)")
    return None


@mends(exp.Pivot)
def pivot(node: exp.Expr) -> exp.Expr | None:
    """Names of columns are made otherwise."""
    name = "UNPIVOT" if node.args.get("unpivot") else "PIVOT"
    raise StatementRefused(f"{name} is not translated: write an aggregate of IF(…) for each column")


@mends(exp.Select)
def without_from(node: exp.Expr) -> exp.Expr | None:
    """What is selected from nothing is one row: there is none to leave out."""
    if node.args.get("where") and not node.args.get("from_"):
        raise StatementRefused("a SELECT without FROM takes no WHERE: write FROM (SELECT 1)")
    return None


@mends(exp.Select)
def qualify_alone(node: exp.Expr) -> exp.Expr | None:
    """QUALIFY stands beside another clause that chooses rows."""
    if node.args.get("qualify") and not any(node.args.get(clause) for clause in ("where", "group", "having")):
        raise StatementRefused("QUALIFY takes a WHERE, GROUP BY or HAVING beside it: write WHERE TRUE")
    return None


@mends(exp.Select)
def as_value(node: exp.Expr) -> exp.Expr | None:
    """SELECT AS VALUE of a STRUCT makes its fields columns."""
    if str(node.args.get("kind") or "").upper() == "VALUE" and any(
        isinstance(part.unalias(), exp.Struct) for part in node.expressions
    ):
        raise StatementRefused("SELECT AS VALUE STRUCT is not translated: write SELECT with the fields")
    return None
