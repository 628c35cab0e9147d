"""Texts."""

import re

from sqlglot import exp

from phasegate.adapters.embedded.dialect.comparisons import written
from phasegate.adapters.embedded.dialect.known import name_of
from phasegate.adapters.embedded.dialect.mending import TEXT, call, duckdb, family, kind, literal_text, mends
from phasegate.domain.errors import StatementRefused, TypesDoNotFit

_GROUP = re.compile(r"(?<!\\)\((?!\?)")
"""The beginning of a group in a regular expression."""


_WHITE = " \t\n\v\f\r\x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""White space, as Unicode has it."""


@mends(
    exp.Substring,
    exp.Left,
    exp.Right,
    exp.Lower,
    exp.Upper,
    exp.Trim,
    exp.Pad,
    exp.Repeat,
    exp.Replace,
    exp.Reverse,
    exp.Split,
    exp.StrPosition,
    exp.StartsWith,
    exp.EndsWith,
    exp.Translate,
    exp.RegexpLike,
    exp.RegexpExtract,
    exp.RegexpExtractAll,
    exp.RegexpReplace,
)
def of_bytes(node: exp.Expr) -> exp.Expr | None:
    """Of a STRING alone."""
    if isinstance(node, exp.Func) and family(node.this) == "BYTES":
        raise TypesDoNotFit(f"{name_of(node)} of BYTES is not translated: write it of CAST(… AS STRING)")
    return None


@mends(exp.Substring)
def substr(node: exp.Expr) -> exp.Expr | None:
    """Position 0 counts as 1, as one before the beginning does; a negative length is an error."""
    if (name := family(node.this)) not in {None, "a text", "BYTES"}:
        raise TypesDoNotFit(f"SUBSTR takes a STRING, and {written(node.this)[:80]} is {name}: write CAST(… AS STRING)")
    start, length = node.args.get("start"), node.args.get("length")
    if start is None:
        return None
    is_plain = isinstance(start, exp.Literal) and int(start.name) > 0
    first = start if is_plain else call("first_of", node.this, start)
    if length is None:
        return None if is_plain else duckdb("substr(_x, _s)", _x=node.this, _s=first)
    if is_plain and isinstance(length, exp.Literal):
        return None
    count = length if isinstance(length, exp.Literal) else call("length_of", length)
    return duckdb("substr(_x, _s, _n)", _x=node.this, _s=first, _n=count)


@mends(exp.StrPosition)
def instr(node: exp.Expr) -> exp.Expr | None:
    """INSTR with a position from the end, or another occurrence than the first, is not translated."""
    if node.args.get("occurrence") is not None or isinstance(node.args.get("position"), exp.Neg):
        raise StatementRefused("INSTR is translated with two arguments alone: write STRPOS")
    return None


@mends(exp.Trim)
def trim(node: exp.Expr) -> exp.Expr | None:
    """Without characters all white space goes, not blanks only."""
    if node.args.get("expression") is not None:
        return None
    new = node.copy()
    new.set("expression", exp.Literal.string(_WHITE))
    return new


@mends(exp.Like)
def like(node: exp.Expr) -> exp.Expr | None:
    r"""``\`` takes the meaning from the character that follows."""
    pattern = literal_text(node.expression)
    if isinstance(node.parent, exp.Escape) or (pattern is not None and "\\" not in pattern):
        return None
    return exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))


@mends(exp.Reverse)
def reverse(node: exp.Expr) -> exp.Expr | None:
    """Code point by code point, where DuckDB keeps a letter and its accents together."""
    return call("reversed", node.this) if kind(node.this) in TEXT else None


@mends(exp.ToCodePoints)
def to_code_points(node: exp.Expr) -> exp.Expr | None:
    """Numbers of characters."""
    if kind(node.this) not in TEXT:
        raise StatementRefused("TO_CODE_POINTS is translated for STRING alone: write it of CAST(… AS STRING)")
    return call("code_points", node.this)


@mends(exp.Unicode)
def unicode(node: exp.Expr) -> exp.Expr | None:
    """0 for an empty text."""
    return duckdb("CASE WHEN _x = '' THEN 0 ELSE CAST(unicode(_x) AS BIGINT) END", _x=node.this)


@mends(exp.Upper)
def upper(node: exp.Expr) -> exp.Expr | None:
    """ß has two capital letters."""
    return duckdb("upper(replace(_x, 'ß', 'SS'))", _x=node.this)


@mends(exp.Lower)
def lower(node: exp.Expr) -> exp.Expr | None:
    """İ has a dot of its own as a small letter."""
    return duckdb("lower(replace(_x, 'İ', 'i\u0307'))", _x=node.this)


@mends(exp.Left, exp.Right)
def left(node: exp.Expr) -> exp.Expr | None:
    """A negative length is an error."""
    if isinstance(node.expression, exp.Literal):
        return None
    new = node.copy()
    new.set("expression", call("length_of", node.expression))
    return new


@mends(exp.Concat)
def concat(node: exp.Expr) -> exp.Expr | None:
    """With a NULL it is NULL."""
    return duckdb("CAST(NULL AS VARCHAR)") if any(isinstance(part, exp.Null) for part in node.expressions) else None


@mends(exp.RegexpExtract)
def regexp_extract(node: exp.Expr) -> exp.Expr | None:
    """More than one group is an error; whether there is one decides what is extracted."""
    pattern = literal_text(node.expression)
    if pattern is None:
        raise StatementRefused("REGEXP_EXTRACT takes a pattern that stands in the statement: write it as a text")
    if len(_GROUP.findall(pattern)) > 1:
        raise StatementRefused("REGEXP_EXTRACT takes a pattern with one group at most: write (?:…) for the others")
    return None


@mends(exp.Repeat, exp.Pad)
def repeat(node: exp.Expr) -> exp.Expr | None:
    """A negative number is an error, and a pattern of nothing."""
    name = "times" if isinstance(node, exp.Repeat) else "expression"
    new, count, pattern = node.copy(), node.args[name], node.args.get("fill_pattern")
    if not isinstance(count, exp.Literal):
        new.set(name, duckdb("CAST(_n AS INTEGER)", _n=call("length_of", count)))
    if pattern is not None and not literal_text(pattern):
        new.set("fill_pattern", call("pattern", pattern))
    return new if new != node else None


@mends(exp.Ascii)
def ascii_(node: exp.Expr) -> exp.Expr | None:
    """Of ASCII alone; 0 for an empty text."""
    return call("ascii", node.this)


@mends(exp.Translate)
def translate(node: exp.Expr) -> exp.Expr | None:
    """A character that is named twice is an error."""
    named = literal_text(node.args["from_"])
    if named is None or len(set(named)) < len(named):
        raise StatementRefused(
            "TRANSLATE takes a text in the statement itself that names no character twice: write REPLACE"
        )
    return None
