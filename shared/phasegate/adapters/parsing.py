"""SQL is taken apart by sqlglot here. What it cannot read, and what it reads too kindly, is said in plain words, with
its place.
"""

import re
from itertools import pairwise

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from phasegate.domain.errors import StatementRefused

_READ_TOO_KINDLY = frozenset(
    {
        (TokenType.COMMA, TokenType.COMMA),
        (TokenType.L_PAREN, TokenType.COMMA),
        (TokenType.L_BRACKET, TokenType.COMMA),
        (TokenType.COMMA, TokenType.WHERE),
        (TokenType.COMMA, TokenType.GROUP_BY),
        (TokenType.COMMA, TokenType.HAVING),
        (TokenType.SELECT, TokenType.FROM),
        (TokenType.GROUP_BY, TokenType.HAVING),
        (TokenType.GROUP_BY, TokenType.ORDER_BY),
        (TokenType.GROUP_BY, TokenType.R_PAREN),
    }
)
"""What BigQuery's grammar does not let follow each other, and sqlglot does."""

_TEXT_OR_COMMENT = re.compile(
    r"--[^\n]*|#[^\n]*|/\*.*?\*/"
    r"|'''.*?'''|\"\"\".*?\"\"\""
    r"|'(?!'')(?:\\.|[^'\\])*'|\"(?!\"\")(?:\\.|[^\"\\])*\"|`[^`]*`"
    r"|(/\*|'''|'|\"\"\"|\"|`)",
    re.DOTALL,
)
"""A comment or a text; its group is what begins one that has no end."""


def place_of(sql: str, start: int) -> tuple[int, int]:
    """Return line and column, both from 1, of a place in a text."""
    return sql.count("\n", 0, start) + 1, start - sql.rfind("\n", 0, start)


def tokens_of(sql: str, dialect: type[Dialect] = BigQuery) -> list[Token]:
    """Return the words and signs of SQL. Raises StatementRefused for a text or a comment that has no end."""
    try:
        return dialect().tokenize(sql)
    except SqlglotError as error:
        opened = next((found for found in _TEXT_OR_COMMENT.finditer(sql) if found[1]), None)
        if opened is None:
            raise StatementRefused(f"there are signs in it that are none of SQL: {_line(error)}") from error
        what, end = ("comment", "*/") if opened[1] == "/*" else ("text", opened[1])
        raise StatementRefused(
            f"the {what} that begins here has no end: write {end} behind it", *place_of(sql, opened.start())
        ) from error


def trees_of(sql: str, tokens: list[Token], dialect: type[Dialect] = BigQuery) -> list[exp.Expr]:
    """Return the statements of SQL, whose words and signs are known. Raises StatementRefused with the place where the
    grammar of the dialect allows no such word or sign.
    """
    for before, token in pairwise(tokens if dialect is BigQuery else ()):
        if before.token_type in (TokenType.FROM, TokenType.JOIN) and token.token_type == TokenType.STRING:
            sentence = f"'{token.text}' is no table of a dataset; write dataset.table"
            raise StatementRefused(sentence, *place_of(sql, token.start))
    if dialect is BigQuery and (found := _unexpected(tokens)) is not None:
        raise StatementRefused(f"'{found.text}' is not expected here", *place_of(sql, found.start))
    try:
        return [tree for tree in dialect().parser().parse(tokens, sql) if tree is not None]
    except ParseError as error:
        said = error.errors[0] if error.errors else {}
        line, column, word = said.get("line"), said.get("col"), said.get("highlight") or ""
        if line is None or column is None:
            raise StatementRefused(_line(error)) from error
        # The parser names the end of the word.
        raise StatementRefused(
            _sentence(said.get("description") or "", word), line, max(column - len(word or ".") + 1, 1)
        ) from error
    except SqlglotError as error:
        raise StatementRefused(_line(error)) from error


def _unexpected(tokens: list[Token]) -> Token | None:
    """The first word or sign that sqlglot lets pass and BigQuery does not."""
    of_types = any(
        before.token_type in (TokenType.ARRAY, TokenType.STRUCT) and token.token_type == TokenType.LT
        for before, token in pairwise(tokens)
    )
    for before, token in pairwise(tokens):
        kinds = (before.token_type, token.token_type)
        is_apart = token.start > before.end + 1
        if kinds in _READ_TOO_KINDLY:
            return token
        # It reads << and >> also where there is a blank between.
        if is_apart and (
            kinds == (TokenType.LT, TokenType.LT) or (kinds == (TokenType.GT, TokenType.GT) and not of_types)
        ):
            return token
    return tokens[-1] if tokens and tokens[-1].token_type == TokenType.GROUP_BY else None


def _sentence(description: str, word: str) -> str:
    at = word if word[:1] in {"'", '"', "`"} else f"'{word}'"
    if description.startswith("Required keyword"):
        return f"a part is missing at {at}"
    if description.startswith("Expecting "):
        return f"a {description.removeprefix('Expecting ').rstrip('.')} is missing at {at}"
    if found := re.match("Expected (.+?) but got", description):
        return f"a {found[1]} is missing at {at}"
    if description.startswith("Invalid expression"):
        return f"{at} is not expected here"
    plain = re.sub(r"<class '[\w.]*?(\w+)'>|<Token .*?text: (.*?), line: .*?>", r"\1\2", description.splitlines()[0])
    return f"{plain.rstrip('.')} (at {at})"


def _line(error: SqlglotError) -> str:
    return str(error).splitlines()[0].rstrip(".")
