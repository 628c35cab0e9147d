"""Which functions are known to mean the same here: each stands in the table of expressions. All others are refused."""

from difflib import get_close_matches
from pathlib import Path

from sqlglot import exp

from phasegate.domain.errors import InputError

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
}
"""What to write in the place of a function that is not known here."""

_WRITTEN: dict[type[exp.Expression], str] = {
    exp.GroupConcat: "STRING_AGG",
    exp.ArgMax: "MAX_BY",
    exp.ArgMin: "MIN_BY",
    exp.ParseJSON: "PARSE_JSON",
    exp.TryCast: "SAFE_CAST",
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


def refuse_unknown(tree: exp.Expression) -> None:
    """Raise InputError for the first function that is not known here, with its place and what to write instead."""
    for node in tree.find_all(exp.Func):
        if isinstance(node, _PARTS_OF_OTHERS):
            continue
        name = name_of(node)
        if name not in KNOWN:
            raise refusal(node, f"{name} is not translated for DuckDB", INSTEAD.get(name) or _nearest(name))


def name_of(node: exp.Func) -> str:
    """Return the name of a function as BigQuery writes it."""
    if isinstance(node, exp.Anonymous):
        return node.name.upper()
    return str(node.meta.get("bigquery_name") or _WRITTEN.get(type(node)) or node.sql_name()).upper()


def refusal(node: exp.Expression, what: str, instead: str | None = None) -> InputError:
    """Return the error about a part of a statement: the place, what is wrong, and what to write in its place."""
    place = next((part.meta for part in node.walk() if "line" in part.meta), None)
    where = f"line {place['line']}, column {place['col'] - (place['end'] - place['start'])}: " if place else ""
    return InputError(f"{where}{what}" + (f"; write {instead}" if instead else ""))


def _nearest(name: str) -> str | None:
    close = get_close_matches(name, KNOWN, 1, 0.85)
    return f"{close[0]}, if that is meant" if close else None
