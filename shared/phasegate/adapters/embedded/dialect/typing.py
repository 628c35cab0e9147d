"""Types of every part of a statement, by the columns of the tables that it reads."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from functools import lru_cache

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.optimizer.annotate_types import TypeAnnotator
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.schema import MappingSchema

from phasegate.adapters.embedded.dialect.known import refusal
from phasegate.adapters.embedded.dialect.mending import DECIMAL, FLOAT, any_kind, number_with_point
from phasegate.domain.errors import StatementRefused
from phasegate.ports import Parameter, Struct


class Tables:
    """The tables of a database have columns, whose types are looked up by their names in any case.

    columns: DuckDB's types by column, by table ("dataset.table"); types that no rule knows are left out.
    """

    def __init__(self, columns: Iterable[tuple[str, Iterable[tuple[str, str]]]]) -> None:
        self._columns = {
            table: {name.lower(): _data_type(of) for name, of in bigquery_types(dict(kinds)).items()}
            for table, kinds in columns
        }

    def columns_of(self, table: exp.Table) -> Mapping[str, exp.DataType]:
        """Return the types of a table's columns by their names in lower case."""
        return self._columns.get(f"{table.db}.{table.name}", {})


_UNKNOWN = exp.DType.UNKNOWN.into_expr()
_AMBIGUOUS = exp.DType.UNKNOWN.into_expr()
"""In the place of the type of two columns of one name."""


def _type_trunc(_: TypeAnnotator, node: exp.Expr) -> None:
    of = node.this.type
    node.type = _data_type("FLOAT64") if of is not None and of.this in exp.DataType.INTEGER_TYPES else of


def _type_anonymous(_: TypeAnnotator, node: exp.Expr) -> None:
    node.type = _data_type("FLOAT64") if node.name.upper() == "IEEE_DIVIDE" else _UNKNOWN


def _type_extract(annotator: TypeAnnotator, node: exp.Expr) -> None:
    if node.name.upper() == "DATETIME":
        node.type = _data_type("DATETIME")
    else:
        BigQuery.EXPRESSION_METADATA[exp.Extract]["annotator"](annotator, node)


def _type_div(annotator: TypeAnnotator, node: exp.Expr) -> None:
    sides = node.this, node.expression
    if any_kind(sides, DECIMAL) and any_kind(sides, FLOAT):
        node.type = _beside_numeric(*sides).into_expr()
    else:
        BigQuery.EXPRESSION_METADATA[exp.Div]["annotator"](annotator, node)


_METADATA = BigQuery.EXPRESSION_METADATA | {
    exp.Trunc: {"annotator": _type_trunc},
    exp.Round: {"annotator": _type_trunc},
    exp.Div: {"annotator": _type_div},
    exp.Extract: {"annotator": _type_extract},
    exp.Anonymous: {"annotator": _type_anonymous},
    exp.TsOrDsToDatetime: {"returns": exp.DType.DATETIME},
}
"""How sqlglot types what it does not, or otherwise than BigQuery."""

_SCHEMA = MappingSchema(dialect=BigQuery)


def _beside_numeric(left: exp.Expr, right: exp.Expr) -> exp.DType:
    """A number with a point is NUMERIC beside one; else the result of a NUMERIC and a FLOAT64 is FLOAT64."""
    for side in (left, right):
        if number_with_point(side) is not None:
            for part in side.find_all(exp.Literal, exp.Neg, exp.Paren):
                part.type = _data_type("NUMERIC")
            return exp.DType.DECIMAL
    return exp.DType.DOUBLE


_DATE_AND_INTERVAL = (exp.DType.DATE, exp.DType.INTERVAL)
_BINARY = (
    TypeAnnotator.BINARY_COERCIONS
    | dict.fromkeys((_DATE_AND_INTERVAL, _DATE_AND_INTERVAL[::-1]), lambda _left, _right: exp.DType.DATETIME)
    | dict.fromkeys(((exp.DType.DECIMAL, exp.DType.DOUBLE), (exp.DType.DOUBLE, exp.DType.DECIMAL)), _beside_numeric)
)
"""sqlglot's, but for the sum of a DATE and an INTERVAL, a DATETIME whatever the interval's part, and for NUMERIC."""


def with_types(tree: exp.Expr, tables: Tables) -> exp.Expr:
    """Give each part of a statement its type, where it can be known: query by query, the inner ones first.

    Columns get theirs here, whichever way a query names or selects them; sqlglot has those of all other parts.
    """
    annotator = TypeAnnotator(_SCHEMA, _METADATA, binary_coercions=_BINARY, overwrite_types=False)
    results = _Results(tables)
    for part in tree.walk():
        part.type = None  # the parser gave some, by which what is within them would be passed over
    for scope in _scopes(tree):
        query = scope.expression
        _type_columns(query, scope, results)
        if isinstance(query, exp.Select):
            for projection in query.expressions:
                _annotate(annotator, projection, scope)
            _type_aliases(query)
        _annotate(annotator, query, scope)
        annotator.annotate_scope(scope)
        results.add(scope)
    return annotator.annotate(tree, annotate_scope=False)


def _scopes(tree: exp.Expr) -> list[Scope]:
    """Return the scopes of a statement's queries, the inner ones first: an UNNEST after the queries within it."""
    scopes = traverse_scope(tree)
    for scope in [scope for scope in scopes if isinstance(scope.expression, exp.UDTF)]:
        within = {id(query) for query in scope.expression.find_all(exp.Select, exp.Unnest)} - {id(scope.expression)}
        if places := [place for place, other in enumerate(scopes) if id(other.expression) in within]:
            scopes.remove(scope)
            scopes.insert(max(places), scope)
    return scopes


def _annotate(annotator: TypeAnnotator, part: exp.Expr, scope: Scope) -> None:
    """Give a part and all within it their types, what is cast too: the annotator passes over casts, which have one."""
    for cast in reversed(list(part.find_all(exp.Cast))):
        annotator.annotate_expression(cast.this, scope)
    annotator.annotate_expression(part, scope)


class _Results:
    """The columns that come out of the queries of a statement have names and types."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._columns: dict[int, list[tuple[str, exp.DataType]]] = {}

    def add(self, scope: Scope) -> None:
        """Add the columns of a query whose parts have types."""
        self._columns[id(scope.expression)] = self._selected(scope)

    def of(self, source: exp.Expr | Scope | None) -> Mapping[str, exp.DataType]:
        """Return the types of what can be named of a table, a query or an UNNEST, by names in lower case."""
        if isinstance(source, exp.Table):
            return self._tables.columns_of(source)
        if not isinstance(source, Scope):
            return {}
        query = source.expression
        while id(query) not in self._columns and isinstance(query, exp.SetOperation):
            query = query.this.unnest()  # a query that reads itself: what it begins with
        columns = self._columns.get(id(query), [])
        twice = {name: _AMBIGUOUS for name, times in Counter(name for name, _ in columns).items() if times > 1}
        return dict(columns) | twice

    def _selected(self, scope: Scope) -> list[tuple[str, exp.DataType]]:
        query = scope.expression
        if isinstance(query, exp.Unnest):
            return _elements(query)
        if isinstance(query, exp.SetOperation):
            left, right = (self._columns.get(id(side.unnest()), []) for side in (query.this, query.expression))
            return [(name, _common(of, other)) for (name, of), (_, other) in zip(left, right, strict=False)]
        if not isinstance(query, exp.Select):
            return []
        return [column for projection in query.expressions for column in self._projected(projection, scope)]

    def _projected(self, projection: exp.Expr, scope: Scope) -> Iterator[tuple[str, exp.DataType]]:
        if not projection.is_star:
            yield projection.alias_or_name.lower(), projection.type or _UNKNOWN
            return
        star = projection.this if isinstance(projection, exp.Column) else projection
        left_out = {part.name.lower() for part in star.args.get("except_") or ()}
        replaced = {part.alias.lower(): part.type or _UNKNOWN for part in star.args.get("replace") or ()}
        joins = scope.expression.args.get("joins") or ()
        joined = {column.name.lower() for join in joins for column in join.args.get("using") or ()}
        for name, source in _read(scope).items():
            if isinstance(projection, exp.Column) and name != projection.table.lower():
                continue
            for column, of in self.of(source).items():
                if column not in left_out:
                    yield column, replaced.get(column, of)
            left_out |= joined  # what they are joined by is one column


def _read(scope: Scope) -> dict[str, exp.Expr | Scope]:
    """Return what a query reads from, by its names in lower case: not each of the names that WITH gives."""
    return {name.lower(): source for name, (_, source) in scope.selected_sources.items()}


def _elements(unnest: exp.Unnest) -> list[tuple[str, exp.DataType]]:
    """Name what can be named of the elements of an array: each as a whole, the fields of a STRUCT, the offset."""
    of, offset = unnest.type or _UNKNOWN, unnest.args.get("offset")
    named = [*_fields(of).items(), *((name.lower(), of) for name in unnest.alias_column_names[:1])]
    return [*named, (offset.name.lower(), _data_type("INT64"))] if isinstance(offset, exp.Identifier) else named


def _fields(of: exp.DataType) -> dict[str, exp.DataType]:
    if of.this != exp.DType.STRUCT:
        return {}
    fields = (field for field in of.expressions if isinstance(field, exp.ColumnDef))
    return {field.name.lower(): field.kind for field in fields if field.kind}


def _common(left: exp.DataType, right: exp.DataType) -> exp.DataType:
    """Return the type of two columns that are put under each other."""
    if left.this == right.this or right.this in _NONE:
        return left
    if left.this in _NONE:
        return right
    if not {left.this, right.this} <= {*_NUMBERS}:
        return _UNKNOWN
    return max(left, right, key=lambda of: _NUMBERS.index(of.this))


_NONE = {exp.DType.NULL, exp.DType.UNKNOWN}
_NUMBERS = [exp.DType.INT, exp.DType.BIGINT, exp.DType.DECIMAL, exp.DType.DOUBLE]
"""Types of numbers, each of which is coerced to those after it."""


def _type_columns(query: exp.Expr, scope: Scope, results: _Results) -> None:
    """Give the columns of a query the types that its sources have, or those of the queries around it."""
    around: list[dict[str, Mapping[str, exp.DataType]]] = []
    at: Scope | None = scope
    while at is not None:
        sources = at.sources if at is scope and isinstance(query, exp.UDTF) else _read(at)
        around.append({name.lower(): results.of(source) for name, source in sources.items()})
        at = at.parent
    for column in query.find_all(exp.Column):
        if not column.is_star and column.type is None:
            column.type = _named([part.name.lower() for part in column.parts], around)
            if column.type is _AMBIGUOUS:
                raise refusal(column, f"{column.name} is ambiguous", "another name for one of the columns (AS …)")


def _named(names: list[str], around: list[dict[str, Mapping[str, exp.DataType]]]) -> exp.DataType | None:
    for sources in around:
        held = [columns for columns in sources.values() if names[0] in columns]
        if len(names) > 1 and names[0] in sources:
            path, columns = names[1:], sources[names[0]]
        elif held:
            path, columns = names, held[0]
        else:
            continue
        for name in path[:-1]:
            columns = _fields(columns.get(name, _UNKNOWN))
        if path[-1] in columns or names[0] in sources:
            return columns.get(path[-1])
    return None


def _type_aliases(select: exp.Select) -> None:
    """Columns that name one of the result have its type: all of ORDER BY, others where no source has the name."""
    types = {part.alias.lower(): part.type for part in select.expressions if isinstance(part, exp.Alias)}
    for clause in ("group", "having", "qualify", "order"):
        part = select.args.get(clause)
        for column in part.find_all(exp.Column) if part is not None else ():
            of = types.get(column.name.lower())
            if of is not None and not column.table and (clause == "order" or column.type is None):
                column.type = of


def type_of(value: Parameter | Struct) -> str | None:
    """Return the BigQuery type of a parameter's value; None for one that shows none.

    Raises StatementRefused for NaN, so that no rule needs to reckon with it.
    """
    if value != value:
        raise StatementRefused("a parameter is NaN: write CAST('nan' AS FLOAT64) in the statement")
    if isinstance(value, list | tuple):
        kinds = {kind for each in value if (kind := type_of(each))}
        return f"ARRAY<{kinds.pop()}>" if len(kinds) == 1 else None
    if isinstance(value, Mapping):
        return f"STRUCT<{', '.join(f'{name} {type_of(field)}' for name, field in value.items())}>"
    return next((name for kind, name in _PARAMETERS if isinstance(value, kind)), None)


_PARAMETERS: tuple[tuple[type, str], ...] = (
    (bool, "BOOL"),
    (int, "INT64"),
    (float, "FLOAT64"),
    (str, "STRING"),
    (datetime, "TIMESTAMP"),
    (date, "DATE"),
)


def give_types(tree: exp.Expr, kinds: Mapping[str, str]) -> None:
    """Have each parameter say its type."""
    for parameter in list(tree.find_all(exp.Parameter)):
        if (kind := kinds.get(parameter.name)) is not None:
            parameter.replace(exp.Cast(this=parameter.copy(), to=_data_type(kind).copy()))


@lru_cache(maxsize=64)
def _data_type(kind: str) -> exp.DataType:
    return exp.DataType.build(kind, dialect=BigQuery)


_TYPES = {
    "BIGINT": "INT64",
    "INTEGER": "INT64",
    "HUGEINT": "INT64",
    "DOUBLE": "FLOAT64",
    "FLOAT": "FLOAT64",
    "VARCHAR": "STRING",
    "BOOLEAN": "BOOL",
    "BLOB": "BYTES",
    "DATE": "DATE",
    "TIME": "TIME",
    "TIMESTAMP": "DATETIME",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}


def bigquery_types(columns: Mapping[str, str]) -> dict[str, str]:
    """Return BigQuery's types by column for DuckDB's; columns of other types are left out."""
    found = {}
    for name, kind in columns.items():
        element = "NUMERIC" if kind.startswith("DECIMAL") else _TYPES.get(kind.removesuffix("[]"))
        if element is not None:
            found[name] = f"ARRAY<{element}>" if kind.endswith("[]") else element
    return found
