"""Types of every part of a statement, by the columns of the tables that it reads."""

from collections.abc import Mapping, Set
from datetime import date, datetime
from functools import lru_cache

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.schema import MappingSchema

from phasegate.ports import Parameter


class Tables:
    """The tables of a database have columns, whose types are looked up by their names in any case."""

    def __init__(self) -> None:
        self.schema = MappingSchema(dialect=BigQuery)
        self.names: set[str] = set()
        self._columns: dict[str, frozenset[str]] = {}

    def add(self, table: str, columns: Mapping[str, str]) -> None:
        """Add a table ("dataset.table") with DuckDB's types by column; types that no rule knows are left out."""
        known = bigquery_types(columns)
        self.names.add(table)
        self._columns[table] = frozenset(name.lower() for name in known)
        if known:
            dataset, _, name = table.rpartition(".")
            self.schema.add_table(exp.table_(name, db=dataset), known, match_depth=False)

    def columns_of(self, table: exp.Table) -> frozenset[str]:
        """Return the names of a table's columns in lower case."""
        return self._columns.get(f"{table.db}.{table.name}", frozenset())


def with_types(tree: exp.Expr, tables: Tables) -> exp.Expr:
    """Give each part of a statement its type, where it can be known.

    Columns that do not say whose they are get the name of their source for that, and lose it again.
    """
    named: list[exp.Column] = []
    for scope in traverse_scope(tree):
        named += _name_sources(scope, tables)
    tree = annotate_types(tree, schema=tables.schema, dialect=BigQuery)
    for column in named:
        column.set("table", None)
    _type_keys(tree)
    return tree


def _type_keys(tree: exp.Expr) -> None:
    """A key of ORDER BY that names a column of the result has that column's type."""
    for key in tree.find_all(exp.Ordered):
        select = key.find_ancestor(exp.Select)
        if isinstance(key.this, exp.Column) and not key.this.table and select is not None:
            for projection in select.expressions:
                if projection.alias_or_name.lower() == key.this.name.lower() and projection.type is not None:
                    key.this.type = projection.type


def type_of(value: Parameter) -> str | None:
    """Return the BigQuery type of a parameter's value; None for one that shows none."""
    if isinstance(value, list | tuple):
        kinds = {kind for each in value if (kind := type_of(each))}
        return f"ARRAY<{kinds.pop()}>" if len(kinds) == 1 else None
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


def _name_sources(scope: Scope, tables: Tables) -> list[exp.Column]:
    """Name the source of each column of a scope that one source alone has."""
    held = {name: _columns_of(source, tables) for name, source in scope.sources.items()}
    named = []
    for column in scope.unqualified_columns:
        sources = [name for name, names in held.items() if column.name.lower() in names]
        if len(sources) == 1:
            column.set("table", exp.to_identifier(sources[0]))
            named.append(column)
    return named


def _columns_of(source: exp.Expr | Scope, tables: Tables) -> Set[str]:
    if isinstance(source, exp.Table):
        return tables.columns_of(source)
    expression = source.expression
    if isinstance(expression, exp.Unnest):
        alias = expression.args.get("alias")
        return {column.name.lower() for column in alias.columns} if alias is not None else set()
    return {name.lower() for name in expression.named_selects} if isinstance(expression, exp.Query) else set()


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
