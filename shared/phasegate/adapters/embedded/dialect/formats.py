"""FORMAT, FORMAT_DATE and its like, PARSE_DATE and its like."""

import re
from collections.abc import Callable

from sqlglot import exp

from phasegate.adapters.bigquery_sql import TEXT as SOURCE
from phasegate.adapters.embedded.dialect.casts import as_text
from phasegate.adapters.embedded.dialect.mending import DECIMAL, FLOAT, TEXT, WHOLE, Type, call, duckdb, kind, mends
from phasegate.adapters.embedded.dialect.times import in_zone, instant
from phasegate.domain.errors import StatementRefused

_SAME = frozenset("aAbBdHIjmMpSuUVGwWyYf")
_WRITTEN_OUT = {"%R": "%H:%M", "%r": "%I:%M:%S %p", "%n": "\n", "%t": "\t", "%h": "%b", "%E0S": "%S"}
_ELEMENT = re.compile(r"%E\d+S|%E\*S|%Ez|%E4Y|%-d|%-?.|[^%]+", re.DOTALL)

_ELEMENTS: dict[str, str] = {
    "%e": "lpad(CAST(day(_l) AS VARCHAR), 2, ' ')",
    "%Q": "CAST(quarter(_l) AS VARCHAR)",
    "%C": "lpad(CAST(year(_l) // 100 AS VARCHAR), 2, '0')",
    "%g": "lpad(CAST(isoyear(_l) % 100 AS VARCHAR), 2, '0')",
    "%k": "lpad(CAST(hour(_l) AS VARCHAR), 2, ' ')",
    "%l": "lpad(CAST((hour(_l) + 11) % 12 + 1 AS VARCHAR), 2, ' ')",
    "%P": "lower(strftime(_l, '%p'))",
    "%E4Y": "lpad(CAST(year(_l) AS VARCHAR), 4, '0')",
    "%E*S": "strftime(_l, '%S') || rtrim(rtrim('.' || strftime(_l, '%f'), '0'), '.')",
}
"""What DuckDB's ``strftime`` lacks, or writes otherwise, of a wall clock."""


def _element(piece: str, local: exp.Expr, minutes: Callable[[], exp.Expr], instant: exp.Expr) -> exp.Expr | None:
    """One element that ``strftime`` does not write as BigQuery does; None for one that it does."""
    piece = {"%-d": "%e"}.get(piece, piece)
    if piece in _ELEMENTS:
        return duckdb(_ELEMENTS[piece], _l=local)
    if piece in {"%z", "%Ez"}:
        return call("offset_text", minutes(), ":" if piece == "%Ez" else "")
    if piece == "%Z":
        return call("zone_name", minutes())
    if piece == "%s":
        return duckdb("CAST(CAST(floor(epoch(_x)) AS BIGINT) AS VARCHAR)", _x=instant)
    if re.fullmatch(r"%E[1-9]S", piece):
        return duckdb(f"strftime(_l, '%S') || left('.' || strftime(_l, '%f'), {int(piece[2]) + 1})", _l=local)
    return None


@mends(exp.TimeToStr)
def format_time(node: exp.Expr) -> exp.Expr | None:
    """FORMAT_DATE, FORMAT_DATETIME, FORMAT_TIME and FORMAT_TIMESTAMP, in the zone that is named."""
    inner, form, zone = node.this, node.args["format"], node.args.get("zone")
    if not isinstance(form, exp.Literal):
        raise StatementRefused(
            "the format of FORMAT_DATE and its like must be a text in the statement itself: write '%F', say"
        )
    if "%-d" in form.name and "%-d" in str(node.root().meta.get(SOURCE)):  # sqlglot reads %e as %-d too
        raise StatementRefused("FORMAT_DATE and its like: %-d is not translated; write %e or %d")
    source = (
        inner.this
        if isinstance(inner, exp.TsOrDsToDate | exp.TsOrDsToTimestamp | exp.TsOrDsToDatetime | exp.TsOrDsToTime)
        else inner
    )
    if isinstance(inner, exp.TsOrDsToTimestamp):
        is_instant = kind(source) == Type.TIMESTAMPTZ
        local = in_zone(source if is_instant else duckdb("CAST(_x AS TIMESTAMPTZ)", _x=source), zone)
    elif isinstance(inner, exp.TsOrDsToTime):
        local = duckdb("(DATE '1970-01-01' + _x)", _x=source)
    else:
        local = source
    local = call("modern", local)

    def minutes() -> exp.Expr:
        return call("minutes_of", source, zone if zone is not None else "UTC")

    parts: list[exp.Expr] = []
    plain = ""
    for piece in _ELEMENT.findall("" if form.name == "None" else form.name):
        written = _WRITTEN_OUT.get(piece, piece)
        special = _element(written, local, minutes, source)
        if special is None:
            if written.startswith("%") and written != "%%" and len(written) == 2 and written[1] not in _SAME:
                raise StatementRefused(
                    f"FORMAT_DATE and its like: {piece} is not translated; write %Y, %m, %d, %H, %M, %S or their like"
                )
            plain += written
            continue
        parts += [duckdb("strftime(_l, _f)", _l=local, _f=exp.Literal.string(plain))] if plain else []
        parts.append(special)
        plain = ""
    parts += [duckdb("strftime(_l, _f)", _l=local, _f=exp.Literal.string(plain))] if plain else []
    if not parts:
        return exp.Literal.string("")
    tree = parts[0]
    for part in parts[1:]:
        tree = exp.DPipe(this=exp.paren(tree), expression=exp.paren(part), safe=False)
    return exp.paren(tree)


@mends(exp.StrToDate, exp.ParseTime)
def parse_date(node: exp.Expr) -> exp.Expr | None:
    """Written as a tree: sqlglot writes these as text, and reads that in a dialect whose arrays begin elsewhere."""
    form, value = node.args["format"], node.this
    if not isinstance(form, exp.Literal):
        raise StatementRefused("the format of PARSE_DATE must be a text in the statement itself: write '%F', say")
    if node.args.get("default_year") is not None:
        form, value = exp.Literal.string(f"%Y {form.name}"), duckdb("'1970 ' || _x", _x=value)
    to = "DATE" if isinstance(node, exp.StrToDate) else "TIME"
    parse = "try_strptime" if node.args.get("safe") else "strptime"
    return duckdb(f"CAST({parse}(_x, _f) AS {to})", _x=value, _f=form)


@mends(exp.StrToTime)
def parse_timestamp(node: exp.Expr) -> exp.Expr | None:
    """PARSE_TIMESTAMP: in the zone that is named, else in UTC."""
    form, zone = node.args["format"], node.args.get("zone")
    if not isinstance(form, exp.Literal):
        raise StatementRefused(
            "the format of PARSE_TIMESTAMP must be a text in the statement itself: write '%F %T', say"
        )
    if form.name == "%s":
        return duckdb("make_timestamptz(CAST(_x AS BIGINT) * 1000000)", _x=node.this)
    written = form.name.replace("%E*S", "%S.%f").replace("%Ez", "%z")
    clock = duckdb("strptime(_x, _f)", _x=node.this, _f=exp.Literal.string(written))
    if "%z" in written:
        return duckdb("CAST(_x AS TIMESTAMPTZ)", _x=clock)
    if re.search(r"%[EQZ]", written):
        raise StatementRefused(
            f"PARSE_TIMESTAMP: the format '{form.name}' is not translated; write %Y, %m, %d, %H, %M, %S or %z"
        )
    if not re.search(r"%[YyGF]|%c|%D|%x", written):
        clock = duckdb("strptime('1970 ' || _x, _f)", _x=node.this, _f=exp.Literal.string("%Y " + written))
    return instant(clock, zone) if zone is not None else duckdb("_x AT TIME ZONE 'UTC'", _x=clock)


_DECIMALS = 25
"""So many of a FLOAT64 DuckDB 2.0.1 writes exactly, behind the 50 digits that ``bq.printable`` lets by (measured)."""
_SPECIFIER = re.compile(r"%(?:%|([-+ 0#']*)(\d*)(\.\d+)?([a-zA-Z]))")


@mends(exp.Format)
def format_(node: exp.Expr) -> exp.Expr | None:
    """FORMAT by the specifiers of printf, ``%t`` and thousands by commas."""
    if not isinstance(node.this, exp.Literal):
        raise StatementRefused("the format of FORMAT must be a text in the statement itself: write '%d', say")
    text, values = node.this.name, list(node.expressions)
    if _SPECIFIER.sub("", text).count("%"):
        raise StatementRefused(
            f"FORMAT: '{text}' has another specifier than those translated; write %d %i %s %f %e %g %x %o %t or %%"
        )
    used = [found for found in _SPECIFIER.finditer(text) if found[0] != "%%"]
    if len(used) != len(values):
        raise StatementRefused(
            f"FORMAT: {len(used)} specifiers and {len(values)} arguments; write as many of one as of the other"
        )
    if len(used) == 1 and "'" in (used[0][1] or "") and used[0][0] == text:
        return exp.Anonymous(
            this="format",
            expressions=[
                exp.Literal.string("{:," + (used[0][3] or "") + used[0][4].replace("d", "").replace("i", "") + "}"),
                values[0],
            ],
        )
    arguments: list[exp.Expr] = [exp.Literal.string(_SPECIFIER.sub(_printf, text))]
    for found, value in zip(used, values, strict=True):
        arguments.append(_argument(found, value, text))
    return exp.Anonymous(this="printf", expressions=arguments)


def _printf(found: re.Match[str]) -> str:
    if found[0] == "%%":
        return "%%"
    return f"%{found[1]}{found[2]}{found[3] or ''}{ {'i': 'd', 't': 's'}.get(found[4], found[4]) }"


def _argument(found: re.Match[str], value: exp.Expr, text: str) -> exp.Expr:
    letter, of = found[4], kind(value)
    if "'" in found[1] or letter not in "dieEfFgGsxXot":
        raise StatementRefused(
            f"FORMAT: '{found[0]}' of '{text}' is not translated; write it without flags, or %s of a text"
        )
    if letter == "t":
        return _as_t(value)
    if of in DECIMAL and letter in "fF":
        return duckdb(f"CAST(round(_x, {(found[3] or '.6')[1:]}) AS DOUBLE)", _x=value)
    if of not in FLOAT:
        return value
    if letter not in "fF":
        return duckdb("_x + 0e0", _x=value)  # -0.0 has no sign
    if int((found[3] or ".6")[1:] or 0) > _DECIMALS:
        raise StatementRefused(f"FORMAT: '{found[0]}' has too many decimals for DuckDB: write {_DECIMALS} at most")
    return call("printable", value)


def _as_t(value: exp.Expr) -> exp.Expr:
    written = as_text(value)
    if kind(value) in FLOAT:
        written = duckdb(
            "CASE WHEN regexp_full_match(_t, '-?[0-9]+') THEN _t || '.0' ELSE _t END", _t=call("float_text", value)
        )
    if written is None:
        if kind(value) not in WHOLE | TEXT | {Type.BOOLEAN, Type.DATE}:
            raise StatementRefused("FORMAT: %t of this type is not translated; write %s of CAST(… AS STRING)")
        written = duckdb("CAST(_x AS VARCHAR)", _x=value)
    return duckdb("coalesce(_x, 'NULL')", _x=written)
