"""Which functions are known to mean the same here: every one stands in the table of expressions. All others are refused."""

from difflib import get_close_matches

from sqlglot import exp

from phasegate.domain.errors import InputError

KNOWN = frozenset(
    """
    ABS ATAN2 CEIL CEILING COS EXP FLOOR GREATEST IEEE_DIVIDE IS_INF IS_NAN LEAST LN LOG LOG10 MOD DIV POW POWER RANGE_BUCKET ROUND
    SAFE_ADD SAFE_DIVIDE SAFE_MULTIPLY SAFE_NEGATE SAFE_SUBTRACT SIGN SQRT CBRT TRUNC BIT_COUNT
    ANY_VALUE APPROX_COUNT_DISTINCT ARRAY_AGG AVG BIT_AND BIT_OR BIT_XOR CORR COUNT COUNTIF COVAR_POP COVAR_SAMP GROUPING LOGICAL_AND
    LOGICAL_OR MAX MAX_BY MIN MIN_BY STDDEV STDDEV_POP STDDEV_SAMP STRING_AGG SUM VARIANCE VAR_POP VAR_SAMP
    CUME_DIST DENSE_RANK FIRST_VALUE LAG LAST_VALUE LEAD NTH_VALUE NTILE PERCENTILE_CONT PERCENTILE_DISC PERCENT_RANK RANK ROW_NUMBER
    ARRAY ARRAY_CONCAT ARRAY_LENGTH ARRAY_REVERSE ARRAY_TO_STRING GENERATE_ARRAY GENERATE_DATE_ARRAY GENERATE_TIMESTAMP_ARRAY UNNEST
    ASCII BYTE_LENGTH CHAR_LENGTH CHR CONCAT EDIT_DISTANCE ENDS_WITH FROM_BASE64 FROM_HEX INITCAP INSTR LEFT LENGTH LOWER LPAD LTRIM
    MD5 OCTET_LENGTH REGEXP_CONTAINS REGEXP_EXTRACT REGEXP_EXTRACT_ALL REGEXP_INSTR REGEXP_REPLACE REPEAT REPLACE REVERSE RIGHT RPAD
    RTRIM SHA1 SHA256 SPLIT STARTS_WITH STRPOS SUBSTR SUBSTRING TO_BASE64 TO_CODE_POINTS TO_HEX TRANSLATE TRIM UNICODE UPPER
    CAST SAFE_CAST COALESCE IF IFNULL NULLIF CASE ERROR EXISTS AND OR EXTRACT
    DATE DATETIME DATETIME_ADD DATETIME_DIFF DATETIME_SUB DATETIME_TRUNC DATE_ADD DATE_DIFF DATE_FROM_UNIX_DATE DATE_SUB DATE_TRUNC
    FORMAT FORMAT_DATE FORMAT_DATETIME FORMAT_TIME FORMAT_TIMESTAMP LAST_DAY PARSE_DATE PARSE_DATETIME PARSE_TIME PARSE_TIMESTAMP
    STRING STRUCT TIME TIMESTAMP TIMESTAMP_ADD TIMESTAMP_DIFF TIMESTAMP_MICROS TIMESTAMP_MILLIS TIMESTAMP_SECONDS TIMESTAMP_SUB
    TIMESTAMP_TRUNC TIME_ADD TIME_DIFF TIME_SUB TIME_TRUNC UNIX_DATE UNIX_MICROS UNIX_MILLIS UNIX_SECONDS MAKE_INTERVAL
    JSON_EXTRACT_SCALAR JSON_VALUE JSON_QUERY JSON_EXTRACT TO_JSON_STRING
    """.split()
)
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
