"""A statement is named by a hash, which changes with what it says and not with how it is laid out."""

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot.tokenizer_core import Token


def hash_of_statement(sql: str) -> str:
    """Return a hash of SQL in BigQuery's dialect, 32 characters. Comments do not count, nor where lines are broken; all
    else does, upper and lower case too. It takes milliseconds: keep it.
    """
    tokens = _tokens_of(sql)
    words = [sql[token.start : token.end + 1] for token in tokens] if tokens is not None else [sql]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]


def parameters_of_statement(sql: str) -> frozenset[str]:
    """Return the names of the ``@name`` parameters of SQL in BigQuery's dialect; none of what cannot be read. It takes
    milliseconds too.
    """
    return frozenset(name.text for at, name in pairwise(_tokens_of(sql) or ()) if at.token_type.name == "PARAMETER")


def _tokens_of(sql: str) -> "list[Token] | None":
    """The words of a statement; None: it cannot be read."""
    # Takes longer to import than a process takes to start that never asks for a hash.
    import sqlglot
    from sqlglot.dialects.bigquery import BigQuery
    from sqlglot.errors import SqlglotError

    try:
        return sqlglot.tokenize(sql, read=BigQuery)
    except SqlglotError:
        return None
