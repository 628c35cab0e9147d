"""Which functions are known to mean the same here: each stands in the table of expressions. All others are refused.

So are tables that are none of a dataset, and statements that do anything but read and write tables.
"""

import re
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from sqlglot import exp

from phasegate.domain.errors import StatementRefused

KNOWN = frozenset(Path(__file__).with_name("known.txt").read_text().split())
"""Names of functions, as BigQuery writes them."""

INSTEAD = {
    "FARM_FINGERPRINT": "TO_HEX(MD5(…))",
    "APPROX_QUANTILES": "PERCENTILE_DISC(…) OVER ()",
    "ARRAY_CONCAT_AGG": "ARRAY_AGG over an UNNEST",
    "ARRAY_FIRST": "array[OFFSET(0)]",
    "ARRAY_LAST": "array[OFFSET(ARRAY_LENGTH(array) - 1)]",
    "ARRAY_SLICE": "ARRAY(SELECT … FROM UNNEST(array) WITH OFFSET)",
    "SHA512": "SHA256",
    "NORMALIZE": "text that is in one form already",
    "CONTAINS_SUBSTR": "STRPOS(LOWER(…), LOWER(…)) > 0",
    "PARSE_NUMERIC": "CAST(… AS NUMERIC)",
    "SAFE_CONVERT_BYTES_TO_STRING": "SAFE_CAST(… AS STRING)",
    "PARSE_JSON": "JSON_VALUE or JSON_QUERY of the text",
    "LAX_INT64": "SAFE_CAST(JSON_VALUE(…) AS INT64)",
    "LAX_FLOAT64": "SAFE_CAST(JSON_VALUE(…) AS FLOAT64)",
    "LAX_STRING": "JSON_VALUE(…)",
    "LAX_BOOL": "SAFE_CAST(JSON_VALUE(…) AS BOOL)",
    "TO_JSON": "TO_JSON_STRING(…)",
    "CODE_POINTS_TO_STRING": "CHR(…) of each number, and CONCAT",
    "NORMALIZE_AND_CASEFOLD": "LOWER(…)",
    "INT64": "CAST(… AS INT64)",
    "FLOAT64": "CAST(… AS FLOAT64)",
    "BOOL": "CAST(… AS BOOL)",
}
"""What to write in the place of a function that is not known here."""

_ELSE = "what docs/dialect.md names, or DuckDB's own words under `dialect: duckdb`, which checks and calendars take"
_OPERATORS = {"AND", "OR", "CASE"}
_READERS = re.compile(r"READ_\w+|\w+_SCAN|GLOB|SNIFF_CSV|EXTERNAL_QUERY")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_WRITTEN: dict[type[exp.Expr], str] = {
    exp.GroupConcat: "STRING_AGG",
    exp.ArgMax: "MAX_BY",
    exp.ArgMin: "MIN_BY",
    exp.ParseJSON: "PARSE_JSON",
    exp.TryCast: "SAFE_CAST",
    exp.JSONObject: "JSON_OBJECT",
    exp.JSONArray: "JSON_ARRAY",
    exp.ReadCSV: "READ_CSV",
    exp.ReadParquet: "READ_PARQUET",
}
"""Names of what sqlglot keeps no name of."""
_PARTS_OF_OTHERS = (
    exp.SafeFunc,
    exp.WeekStart,
    exp.TsOrDsToDate,
    exp.TsOrDsToTimestamp,
    exp.TsOrDsToDatetime,
    exp.TsOrDsToTime,
    exp.StrToDate,
)


_RESPECTING = (exp.FirstValue, exp.LastValue, exp.NthValue, exp.Lag, exp.Lead, exp.ArrayAgg)


def refuse_unknown(tree: exp.Expr) -> None:
    """Raise StatementRefused for the first part that is not known here, with its place and what to write instead."""
    _refuse_other_statements(tree)
    named = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for node in tree.walk(bfs=False):
        if isinstance(node, exp.Table):
            _refuse_no_table(node, named)
        elif isinstance(node, exp.RespectNulls) and not isinstance(node.this, _RESPECTING):
            raise refusal(node, "RESPECT NULLS is not translated within an aggregate", "it without: NULLs are left out")
        elif isinstance(node, exp.Func) and not isinstance(node, _PARTS_OF_OTHERS):
            _refuse_unknown_function(node)


def _refuse_unknown_function(node: exp.Func) -> None:
    name = name_of(node)
    if name in KNOWN:
        return
    if _READERS.fullmatch(name):
        raise refusal(node, f"{name} reads what is no table of the warehouse", "dataset.table, which a worker fills")
    raise refusal(node, f"{name} is not translated for DuckDB", INSTEAD.get(name) or _nearest(name) or _ELSE)


def _refuse_other_statements(tree: exp.Expr) -> None:
    """What attaches, loads, copies or sets anything is no statement about tables."""
    if not isinstance(tree, exp.Query | exp.DML | exp.DDL):
        word = type(tree).__name__.upper() if not isinstance(tree, exp.Command) else tree.name.upper()
        raise refusal(tree, f"{word} is no statement that reads or writes a table", "one SELECT")


def _refuse_no_table(table: exp.Table, named: Collection[str]) -> None:
    """A table stands in a dataset, or is named by WITH; a file is none, whose name DuckDB would take for one."""
    if not isinstance(table.this, exp.Identifier):
        return
    written = ".".join(part.name for part in table.parts)
    if not table.db and table.name.lower() in named:
        return
    if table.catalog or not table.db or not all(_NAME.fullmatch(part.name) for part in table.parts):
        raise refusal(table, f"'{written}' is no table of a dataset", "dataset.table")


def name_of(node: exp.Func) -> str:
    """Return the name of a function as BigQuery writes it."""
    if isinstance(node, exp.Anonymous):
        return node.name.upper()
    if isinstance(node, exp.NetFunc):
        return f"NET.{node.this.sql_name() if isinstance(node.this, exp.Func) else node.name}".upper()
    return str(node.meta.get("bigquery_name") or _WRITTEN.get(type(node)) or node.sql_name()).upper()


def mark_places(tree: exp.Expr) -> None:
    """Have each part of a statement say where it begins, also those of which the parser says nothing."""
    for node in reversed(list(tree.walk(bfs=False))):
        meta = node.meta
        if "line" in meta:
            meta[_PLACE] = (meta["line"], meta["col"] - (meta["end"] - meta["start"]))
        parent = node.parent
        if parent is not None and _PLACE in meta:
            before = parent.meta.get(_PLACE)
            parent.meta[_PLACE] = min(before, meta[_PLACE]) if before else meta[_PLACE]


_PLACE = "place"


def refusal(
    node: exp.Expr, what: str, instead: str | None = None, kind: type[StatementRefused] = StatementRefused
) -> StatementRefused:
    """Return the error about a part of a statement, of a kind: the place, what is wrong, and what to write instead.

    The place is that of the nearest part around it, where nothing within it has one; else the statement's beginning.
    """
    place = (1, 1)
    at: exp.Expr | None = node
    while at is not None:
        if _PLACE in at.meta:
            place = at.meta[_PLACE]
            break
        at = at.parent
    return kind(f"{what}" + (f"; write {instead}" if instead else ""), *place)


def _nearest(name: str) -> str | None:
    close = get_close_matches(name, KNOWN - _OPERATORS, 1, 0.85)
    return f"{close[0]}, if that is meant" if close else None
