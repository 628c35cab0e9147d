"""Random statements of BigQuery, each of them decided by the seed: an expression, or a query over a few rows."""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

_T = TypeVar("_T")

TYPES = {
    "I": "INT64",
    "F": "FLOAT64",
    "N": "NUMERIC",
    "S": "STRING",
    "B": "BOOL",
    "D": "DATE",
    "Z": "TIMESTAMP",
    "W": "DATETIME",
    "L": "ARRAY<INT64>",
    "M": "ARRAY<STRING>",
}
"""The types, by the letters that stand for them in shapes."""

LITERALS = {
    "I": "0 ; 1 ; 2 ; -1 ; 3 ; 7 ; 10 ; -5 ; 100 ; 9223372036854775807 ; -9223372036854775807",
    "F": "0.0 ; 1.5 ; 2.5 ; -0.5 ; 0.1 ; 1e10 ; 1e308 ; 1.7e308 ; -1.7e308 ; 1e-300"
    " ; CAST('nan' AS FLOAT64) ; CAST('inf' AS FLOAT64) ; CAST('-inf' AS FLOAT64)",
    "N": "NUMERIC '1.5' ; NUMERIC '-0.000000001' ; NUMERIC '12345.678'",
    "S": "'' ; 'a' ; 'Abc' ; '12' ; '-3.5' ; 'é日' ; ' x ' ; '2024-02-29' ; 'true' ; 'a,b,c'",
    "B": "TRUE ; FALSE",
    "D": "DATE '2024-02-29' ; DATE '2023-12-31' ; DATE '2024-01-01' ; DATE '1999-03-07'",
    "Z": "TIMESTAMP '2024-03-10 07:30:00+00' ; TIMESTAMP '2023-11-05 05:59:59.5+00' ; TIMESTAMP '2024-01-01 00:00+00'",
    "W": "DATETIME '2024-02-29 23:59:59' ; DATETIME '2023-01-01 00:00:00.123'",
    "L": "[1, 2, 3] ; [5] ; [3, 1, 2, 2] ; GENERATE_ARRAY(1, 4)",
    "M": "['a', 'b'] ; ['x']",
    "i": "0 ; 1 ; 2 ; 3 ; -1 ; -2 ; 5 ; 1 ; 2",
    "zone": "'America/New_York' ; 'UTC' ; 'Asia/Kolkata' ; '+05:30'",
}
"""What an expression may end in; ``i`` is a small number, where a large one would only be an error."""

COLUMNS = dict(zip("abxynstpdzwlm", "IIFFNSSBDZWLM", strict=True))
"""The columns over which expressions are, so that not everything in them is constant."""

SHAPES = {
    "I": """
        {I} + {I} ; {I} - {I} ; {I} * {I} ; -{I} ; ~{I} ; ({I}) ; {I} & {I} ; {I} | {I} ; {I} ^ {I} ; {I} << {i}
        {I} >> {i} ; DIV({I}, {I}) ; MOD({I}, {I}) ; ABS({I}) ; SIGN({I}) ; GREATEST({I}, {I}) ; LEAST({I}, {I})
        BIT_COUNT({I}) ; SAFE_ADD({I}, {I}) ; SAFE_SUBTRACT({I}, {I}) ; SAFE_MULTIPLY({I}, {I}) ; SAFE_NEGATE({I})
        RANGE_BUCKET({I}, [1, 5, 10]) ; IF({B}, {I}, {I}) ; COALESCE({I}, {I}) ; IFNULL({I}, {I}) ; NULLIF({I}, {I})
        CASE WHEN {B} THEN {I} ELSE {I} END ; CASE {I} WHEN {I} THEN {I} END ; CAST({S} AS INT64) ; CAST({F} AS INT64)
        CAST({N} AS INT64) ; CAST({B} AS INT64) ; SAFE_CAST({S} AS INT64) ; SAFE_CAST({F} AS INT64) ; LENGTH({S})
        BYTE_LENGTH({S}) ; STRPOS({S}, {S}) ; INSTR({S}, {S}) ; ASCII({S}) ; UNICODE({S}) ; EDIT_DISTANCE({S}, {S})
        REGEXP_INSTR({S}, 'a') ; ARRAY_LENGTH({L}) ; ARRAY_LENGTH({M}) ; {L}[SAFE_OFFSET({i})] ; {L}[OFFSET({i})]
        {L}[SAFE_ORDINAL({i})] ; EXTRACT(YEAR FROM {D}) ; EXTRACT(QUARTER FROM {D}) ; EXTRACT(DAYOFWEEK FROM {D})
        EXTRACT(DAYOFYEAR FROM {D}) ; EXTRACT(WEEK FROM {D}) ; EXTRACT(WEEK(MONDAY) FROM {D})
        EXTRACT(ISOWEEK FROM {D}) ; EXTRACT(ISOYEAR FROM {D}) ; EXTRACT(HOUR FROM {Z} AT TIME ZONE {zone})
        EXTRACT(MONTH FROM {Z}) ; EXTRACT(MILLISECOND FROM {Z}) ; EXTRACT(SECOND FROM {W}) ; DATE_DIFF({D}, {D}, DAY)
        DATE_DIFF({D}, {D}, WEEK) ; DATE_DIFF({D}, {D}, ISOWEEK) ; DATE_DIFF({D}, {D}, MONTH)
        DATE_DIFF({D}, {D}, YEAR) ; TIMESTAMP_DIFF({Z}, {Z}, HOUR) ; TIMESTAMP_DIFF({Z}, {Z}, DAY)
        DATETIME_DIFF({W}, {W}, DAY) ; DATETIME_DIFF({W}, {W}, HOUR) ; UNIX_DATE({D}) ; UNIX_SECONDS({Z})
        UNIX_MILLIS({Z}) ; (SELECT SUM(e) FROM UNNEST({L}) e) ; (SELECT MAX(e + {I}) FROM UNNEST({L}) e)
        (SELECT COUNT(*) FROM UNNEST({L}) e WHERE e > {I}) ; (SELECT COUNTIF(e > {I}) FROM UNNEST({L}) e)
    """,
    "F": """
        {F} + {F} ; {F} - {F} ; {F} * {F} ; {F} / {F} ; {I} / {I} ; -{F} ; ({F}) ; {I} + {F} ; {F} * {I} ; {F} - {I}
        {N} + {F} ; {N} * {F} ; ABS({F}) ; SIGN({F}) ; ROUND({F}) ; ROUND({F}, {i}) ; ROUND({I}) ; TRUNC({F})
        TRUNC({F}, {i}) ; CEIL({F}) ; FLOOR({F}) ; SQRT({F}) ; SQRT({I}) ; CBRT({F}) ; EXP({F}) ; LN({F}) ; LOG10({F})
        LOG({F}, {F}) ; POW({F}, {F}) ; POW({I}, {I}) ; COS({F}) ; ATAN2({F}, {F}) ; SAFE_DIVIDE({F}, {F})
        SAFE_DIVIDE({I}, {I}) ; IEEE_DIVIDE({F}, {F}) ; GREATEST({F}, {F}) ; LEAST({F}, {F}) ; IF({B}, {F}, {F})
        COALESCE({F}, {F}) ; NULLIF({F}, {F}) ; CASE WHEN {B} THEN {F} ELSE {I} END ; CAST({I} AS FLOAT64)
        CAST({S} AS FLOAT64) ; CAST({N} AS FLOAT64) ; SAFE_CAST({S} AS FLOAT64) ; (SELECT AVG(e) FROM UNNEST({L}) e)
        (SELECT AVG(e) FROM UNNEST([{F}, {F}]) e) ; (SELECT SUM(e) FROM UNNEST([{F}, {F}, {F}]) e)
        (SELECT MIN(e) FROM UNNEST([{F}, {F}]) e) ; (SELECT MAX(e) FROM UNNEST([{F}, {F}]) e)
        (SELECT STDDEV(e) FROM UNNEST([{F}, {F}, {F}]) e) ; (SELECT VAR_POP(e) FROM UNNEST([{F}, {F}, {F}]) e)
        (SELECT COVAR_POP(e, e) FROM UNNEST([{F}, {F}, {F}]) e)
        (SELECT CORR(e, e * {F}) FROM UNNEST([{F}, {F}, {F}]) e)
    """,
    "N": """
        {N} + {N} ; {N} - {N} ; {N} * {N} ; {N} / {N} ; {N} + {I} ; {N} * {I} ; {I} / {N} ; -{N} ; ABS({N})
        SIGN({N}) ; ROUND({N}) ; ROUND({N}, {i}) ; TRUNC({N}) ; CEIL({N}) ; FLOOR({N}) ; SQRT({N}) ; MOD({N}, {N})
        DIV({N}, {N}) ; SAFE_DIVIDE({N}, {N}) ; GREATEST({N}, {N}) ; LEAST({N}, {I}) ; IF({B}, {N}, {N})
        COALESCE({N}, {I}) ; NULLIF({N}, {N}) ; CAST({I} AS NUMERIC) ; CAST({S} AS NUMERIC) ; CAST({F} AS NUMERIC)
        SAFE_CAST({S} AS NUMERIC) ; (SELECT SUM(e) FROM UNNEST([{N}, {N}]) e)
        (SELECT AVG(e) FROM UNNEST([{N}, {N}]) e)
    """,
    "S": """
        CONCAT({S}, {S}) ; {S} || {S} ; UPPER({S}) ; LOWER({S}) ; INITCAP({S}) ; SUBSTR({S}, {i})
        SUBSTR({S}, {i}, {i}) ; LEFT({S}, {i}) ; RIGHT({S}, {i}) ; TRIM({S}) ; LTRIM({S}, 'a') ; RTRIM({S})
        REPLACE({S}, {S}, {S}) ; REVERSE({S}) ; LPAD({S}, {i}, '*') ; RPAD({S}, {i}) ; REPEAT({S}, {i})
        TRANSLATE({S}, 'ab', 'x') ; CHR({i}) ; REGEXP_EXTRACT({S}, '[a-z]+') ; REGEXP_REPLACE({S}, 'a', 'b')
        TO_HEX(MD5({S})) ; TO_BASE64(MD5({S})) ; ({S}) ; CAST({I} AS STRING) ; CAST({F} AS STRING)
        CAST({N} AS STRING) ; CAST({B} AS STRING) ; CAST({D} AS STRING) ; CAST({Z} AS STRING) ; CAST({W} AS STRING)
        STRING({Z}, {zone}) ; TO_JSON_STRING({I}) ; TO_JSON_STRING({S}) ; FORMAT_DATE('%Y-%m-%d %a %j', {D})
        FORMAT_TIMESTAMP('%F %T', {Z}, {zone}) ; FORMAT_DATETIME('%H:%M', {W}) ; FORMAT('%d of %s', {I}, {S})
        FORMAT('%t', {D}) ; FORMAT('%05d', {I}) ; FORMAT('%.2f', {F}) ; IF({B}, {S}, {S}) ; COALESCE({S}, {S})
        NULLIF({S}, {S}) ; GREATEST({S}, {S}) ; LEAST({S}, {S}) ; CASE {S} WHEN {S} THEN {S} ELSE {S} END
        {M}[SAFE_OFFSET({i})] ; ARRAY_TO_STRING({M}, '-') ; JSON_VALUE('{"k": "v"}', '$.k')
        (SELECT STRING_AGG(e, '+' ORDER BY e) FROM UNNEST({M}) e)
    """,
    "B": """
        {I} = {I} ; {I} < {I} ; {I} >= {I} ; {F} = {F} ; {F} <> {F} ; {F} < {F} ; {F} >= {F} ; {F} > {F} ; {N} > {N}
        {S} = {S} ; {S} < {S} ; {D} < {D} ; {D} = {D} ; {Z} <= {Z} ; {W} > {W} ; {B} = {B} ; {I} < {F} ; {N} = {I}
        {S} LIKE 'a%' ; {B} AND {B} ; {B} OR {B} ; NOT {B} ; ({B}) ; {I} IS NULL ; {F} IS NOT NULL ; {B} IS TRUE
        {B} IS NOT FALSE ; {I} IN ({I}, {I}) ; {I} NOT IN ({I}, {I}) ; {F} IN ({F}, {F}) ; {F} NOT IN ({F}, {F})
        {S} IN ({S}, {S}) ; {I} IN UNNEST({L}) ; {F} IN UNNEST([{F}, {F}]) ; {I} BETWEEN {I} AND {I}
        {F} BETWEEN {F} AND {F} ; {F} NOT BETWEEN {F} AND {F} ; {S} BETWEEN {S} AND {S} ; {I} IS DISTINCT FROM {I}
        {F} IS DISTINCT FROM {F} ; {F} IS NOT DISTINCT FROM {F} ; STARTS_WITH({S}, {S}) ; ENDS_WITH({S}, {S})
        REGEXP_CONTAINS({S}, '^[a-z]') ; IS_NAN({F}) ; IS_INF({F}) ; IF({B}, {B}, {B}) ; CAST({I} AS BOOL)
        CAST({S} AS BOOL) ; SAFE_CAST({S} AS BOOL) ; EXISTS(SELECT 1 FROM UNNEST({L}) e WHERE e = {I})
        (SELECT LOGICAL_OR(e > {I}) FROM UNNEST({L}) e)
    """,
    "D": """
        DATE_ADD({D}, INTERVAL {i} DAY) ; DATE_SUB({D}, INTERVAL {i} MONTH) ; DATE_ADD({D}, INTERVAL {i} YEAR)
        DATE_ADD({D}, INTERVAL {i} WEEK) ; DATE_TRUNC({D}, MONTH) ; DATE_TRUNC({D}, WEEK)
        DATE_TRUNC({D}, WEEK(MONDAY)) ; DATE_TRUNC({D}, ISOYEAR) ; DATE_TRUNC({D}, QUARTER) ; LAST_DAY({D})
        LAST_DAY({D}, WEEK) ; DATE({Z}) ; DATE({Z}, {zone}) ; DATE({W}) ; {D} + {i} ; {D} - {i} ; DATE(2024, {i}, {i})
        DATE_FROM_UNIX_DATE({i}) ; CAST({S} AS DATE) ; SAFE_CAST({S} AS DATE) ; CAST({Z} AS DATE)
        PARSE_DATE('%Y-%m-%d', {S}) ; IF({B}, {D}, {D}) ; COALESCE({D}, {D}) ; NULLIF({D}, {D}) ; GREATEST({D}, {D})
    """,
    "Z": """
        TIMESTAMP({D}) ; TIMESTAMP({D}, {zone}) ; TIMESTAMP({W}, {zone}) ; TIMESTAMP_ADD({Z}, INTERVAL {i} HOUR)
        TIMESTAMP_SUB({Z}, INTERVAL {i} DAY) ; {Z} + INTERVAL {i} HOUR ; TIMESTAMP_TRUNC({Z}, DAY, {zone})
        TIMESTAMP_TRUNC({Z}, WEEK, {zone}) ; TIMESTAMP_TRUNC({Z}, HOUR) ; TIMESTAMP_TRUNC({Z}, MONTH)
        TIMESTAMP_SECONDS({i}) ; CAST({D} AS TIMESTAMP) ; CAST({W} AS TIMESTAMP) ; IF({B}, {Z}, {Z})
        COALESCE({Z}, {Z}) ; LEAST({Z}, {Z})
    """,
    "W": """
        DATETIME({Z}, {zone}) ; DATETIME({D}) ; DATETIME_ADD({W}, INTERVAL {i} DAY)
        DATETIME_ADD({W}, INTERVAL {i} MONTH) ; DATETIME_SUB({W}, INTERVAL {i} MINUTE) ; DATETIME_TRUNC({W}, HOUR)
        DATETIME_TRUNC({W}, MONTH) ; CAST({D} AS DATETIME) ; CAST({Z} AS DATETIME) ; IF({B}, {W}, {W})
        {D} + INTERVAL {i} DAY
    """,
    "L": """
        ARRAY_CONCAT({L}, {L}) ; ARRAY_REVERSE({L}) ; GENERATE_ARRAY({i}, {i}) ; TO_CODE_POINTS({S})
        ARRAY(SELECT e + 1 FROM UNNEST({L}) e ORDER BY e)
        ARRAY(SELECT o FROM UNNEST({L}) e WITH OFFSET o ORDER BY o)
        (SELECT ARRAY_AGG(e ORDER BY e DESC LIMIT 2) FROM UNNEST({L}) e)
    """,
    "M": """
        SPLIT({S}, ',') ; ARRAY_REVERSE({M}) ; REGEXP_EXTRACT_ALL({S}, '[a-z]')
        ARRAY(SELECT UPPER(e) FROM UNNEST({M}) e ORDER BY e)
    """,
}
"""Expressions of each type, with the types of their parts. PARSE_DATE without %F, which the engine lacks."""

ROW = {"k": "I", "i": "I", "x": "F", "n": "N", "s": "S", "b": "B", "d": "D", "z": "Z"}
"""The columns over which queries are; ``k`` numbers the rows."""

CELLS = {
    "i": "1 ; 2 ; 3 ; -1 ; 0 ; NULL",
    "x": "0.5 ; 1.5 ; -2.0 ; CAST('nan' AS FLOAT64) ; NULL ; 1.5 ; CAST('inf' AS FLOAT64) ; 0.5 ; 1e308",
    "n": "NUMERIC '1.5' ; NUMERIC '-0.25' ; NULL ; NUMERIC '2'",
    "s": "'a' ; 'b' ; 'B' ; '' ; NULL ; 'é' ; 'a'",
    "b": "TRUE ; FALSE ; NULL",
    "d": "DATE '2024-01-01' ; DATE '2023-12-31' ; DATE '2024-02-29' ; NULL",
    "z": "TIMESTAMP '2024-01-01 00:00:00+00' ; TIMESTAMP '2024-03-10 07:30:00+00' ; NULL",
}
"""What those columns hold: few values, so that many rows have the same."""

AGGREGATES = {
    "IFNSBDZ": "COUNT({distinct}{e}) ; MIN({e}) ; MAX({e}) ; COUNT(*)",
    "IFN": "SUM({distinct}{e}) ; AVG({distinct}{e}) ; SUM({e})",
    "IF": "STDDEV({e}) ; STDDEV_POP({e}) ; VAR_POP({e}) ; COVAR_POP({e}, x) ; CORR({e}, x)",
    "I": "BIT_AND({e}) ; BIT_OR({e}) ; BIT_XOR({e})",
    "B": "COUNTIF({e}) ; LOGICAL_OR({e}) ; LOGICAL_AND({e})",
}
"""Aggregates, by the types that they take."""

IN_NO_WINDOW = {
    "IFNSBDZ": "ARRAY_LENGTH(ARRAY_AGG({e} IGNORE NULLS))",
    "S": "STRING_AGG({e}, '+' ORDER BY k) ; STRING_AGG({distinct}{e}, ',' ORDER BY {e})",
}
"""Aggregates with a clause of their own, which no window takes."""

RANKS = "RANK() ; DENSE_RANK() ; ROW_NUMBER() ; NTILE(3)"
NEIGHBOURS = "LAG({e}) ; LAG({e}, 1) ; LEAD({e}, 2)"
FIRSTS = """
    FIRST_VALUE({e}) ; LAST_VALUE({e}) ; NTH_VALUE({e}, 2) ; FIRST_VALUE({e} IGNORE NULLS)
    LAST_VALUE({e} IGNORE NULLS)
"""
FRAMES = """
    ROWS BETWEEN 1 PRECEDING AND CURRENT ROW ; ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING
    ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING ; ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING
"""
ORDERS = "i ; x ; s ; d ; n ; x DESC ; i DESC ; s DESC ; d DESC ; i NULLS LAST ; x DESC NULLS FIRST"
JOINS = "JOIN ; LEFT JOIN ; FULL JOIN ; RIGHT JOIN"
SETS = "UNION ALL ; UNION DISTINCT ; EXCEPT DISTINCT ; INTERSECT DISTINCT"


@dataclass(frozen=True)
class Statement:
    """One statement, and whether its rows have an order."""

    sql: str
    ordered: bool = False


def statements(seed: int) -> Iterator[Statement]:
    """Yield statements without end, the same ones for the same seed."""
    chance = Chance(seed)
    while True:
        yield expression(chance) if chance.maybe(0.5) else query(chance)


class Chance:
    """What is chosen, decided by a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def maybe(self, share: float) -> bool:
        """True in such a share of all cases."""
        return self._random.random() < share

    def of(self, choices: Sequence[_T]) -> _T:
        """One of these."""
        return self._random.choice(choices)

    def one(self, listed: str) -> str:
        """One of a list as text, whose parts a semicolon or the end of a line divides."""
        return self.of([part.strip() for part in re.split(r"[;\n]", listed.strip())])

    def optional(self, text: str) -> str:
        """The text, or nothing."""
        return text if self.maybe(0.5) else ""


def filled(shape: str, part: Callable[[str], str]) -> str:
    """A shape with a part in the place of each ``{name}``."""
    return re.sub(r"\{(\w+)\}", lambda found: part(found[1]), shape)


def expression(chance: Chance) -> Statement:
    """A SELECT of one expression over one row."""

    def value(kind: str) -> str:
        return f"CAST(NULL AS {TYPES[kind]})" if chance.maybe(0.1) else chance.one(LITERALS[kind])

    def nested(kind: str, depth: int) -> str:
        if kind not in SHAPES:
            return chance.one(LITERALS[kind])
        if depth <= 0 or chance.maybe(0.12):
            columns = [name for name, of in COLUMNS.items() if of == kind]
            return chance.of(columns) if chance.maybe(0.4) else value(kind)
        return filled(chance.one(SHAPES[kind]), lambda part: nested(part, depth - 1))

    sql = nested(chance.of(list(SHAPES)), chance.of([1, 2, 2, 3, 3, 4]))
    row = ", ".join(f"{value(kind)} AS {name}" for name, kind in COLUMNS.items() if re.search(rf"\b{name}\b", sql))
    return Statement(f"SELECT {sql} AS v" + (f" FROM (SELECT {row})" if row else ""))


def rows(chance: Chance, names: Sequence[str], count: int) -> str:
    """So many rows of these columns, in the place of a table."""

    def cell(name: str, number: int) -> str:
        found = chance.one(CELLS.get(name, str(number)))
        return f"CAST(NULL AS {TYPES[ROW[name]]})" if found == "NULL" else found

    made = ", ".join(f"({', '.join(cell(name, number) for name in names)})" for number in range(count))
    return f"UNNEST(ARRAY<STRUCT<{', '.join(f'{name} {TYPES[ROW[name]]}' for name in names)}>>[{made}])"


def column(chance: Chance, kind: str) -> str:
    """A column of the type."""
    return chance.of([name for name, of in ROW.items() if of == kind])


def scalar(chance: Chance, kind: str, depth: int = 1) -> str:
    """An expression of the type over the columns of a row."""
    if kind not in SHAPES:
        return chance.one(LITERALS[kind])
    if depth <= 0 or chance.maybe(0.5):
        return column(chance, kind)
    shape = chance.one(SHAPES[kind])
    while re.search(r"SELECT|\{[LMW]\}", shape):
        shape = chance.one(SHAPES[kind])
    return filled(shape, lambda part: scalar(chance, part, depth - 1))


def aggregate(chance: Chance, window: bool = False) -> str:
    """An aggregate of an expression."""
    kind = chance.of("IFNSBDZ")
    taking = [shapes for kinds, shapes in [*AGGREGATES.items(), *IN_NO_WINDOW.items()] if kind in kinds]
    if window:
        taking = [shapes for kinds, shapes in AGGREGATES.items() if kind in kinds]
    parts = {"e": scalar(chance, kind), "distinct": "" if window else chance.optional("DISTINCT ")}
    return filled(chance.one("\n".join(taking)), parts.__getitem__)


def window(chance: Chance) -> str:
    """A function over a window."""
    over = chance.optional(f"PARTITION BY {chance.of('sbi')} ")
    order = f"ORDER BY {chance.one(ORDERS)}"
    frame = chance.optional(f" {chance.one(FRAMES)}")
    e = column(chance, chance.of("IFNSD"))
    return chance.of(
        [
            f"{aggregate(chance, window=True)} OVER ({over}{order}, k{frame})",
            f"{aggregate(chance, window=True)} OVER ({over.strip()})",
            f"{chance.one(RANKS)} OVER ({over}{order}, k)",
            f"{chance.of(['RANK()', 'DENSE_RANK()'])} OVER ({over}{order})",
            f"{chance.one(NEIGHBOURS)} OVER ({over}{order}, k)".replace("{e}", e),
            f"{chance.one(FIRSTS)} OVER ({over}{order}, k{frame})".replace("{e}", e),
        ]
    )


def having(chance: Chance) -> str:
    """A condition on an aggregate."""
    found = aggregate(chance)
    if found.startswith("LOGICAL"):
        return found
    if found.startswith(("MIN", "MAX")):
        return f"{found} IS NOT NULL"
    return f"{found} > 'a'" if found.startswith("STRING_AGG") else f"{found} > 1"


def query(chance: Chance) -> Statement:
    """A query over a few rows, which have the columns that it names."""
    given, few = "{given}", "{few}"
    where = given + chance.optional(" WHERE " + scalar(chance, "B", 2))
    c, kind = chance.of([(name, of) for name, of in ROW.items() if name != "k"])
    grouped = f"SELECT {c} AS g, {aggregate(chance)} AS v FROM {where} GROUP BY {c}"
    order = f"{c}{chance.of(['', ' DESC', ' ASC NULLS LAST', ' DESC NULLS FIRST'])}, k"
    correlated = f"SELECT {aggregate(chance)} FROM {few} AS q WHERE q.{c} = o.{c}"
    sql = chance.of(
        [
            f"SELECT {aggregate(chance)} AS v FROM {where}",
            grouped,
            f"{grouped} HAVING {having(chance)}",
            f"SELECT k, {window(chance)} AS v FROM {where}",
            f"SELECT k, {scalar(chance, kind, 2)} AS v FROM {where}",
            f"SELECT l.k AS a, r.k AS b FROM {given} AS l {chance.one(JOINS)} {few} AS r ON l.{c} = r.{c}",
            f"SELECT {c} AS v FROM {given} {chance.one(SETS)} SELECT {c} AS v FROM {few}",
            f"SELECT DISTINCT {scalar(chance, kind)} AS v FROM {given}",
            f"SELECT k, {c} {chance.of(['IN', 'NOT IN'])} (SELECT {c} FROM {few}) AS v FROM {given}",
            f"SELECT k FROM {where} ORDER BY {order}{chance.optional(' LIMIT 2 OFFSET 1')}",
            f"SELECT o.k, ({correlated}) AS v FROM {given} AS o",
        ]
    )
    used = [name for name in ROW if name in "ki" or re.search(rf"\b{name}\b", sql)]
    tables = {
        "given": rows(chance, used, chance.of([0, 1, 3, 5, 8])),
        "few": rows(chance, used, chance.of([0, 2, 3, 4])),
    }
    return Statement(filled(sql, tables.__getitem__), ordered="ORDER BY" in sql.rpartition(")")[2])
