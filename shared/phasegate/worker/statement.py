"""A statement is named by a hash, which changes with what it says and not with how it is laid out."""

import hashlib


def hash_of_statement(sql: str) -> str:
    """Return a hash of SQL in BigQuery's dialect, 32 characters. Comments do not count, nor where lines are broken; all
    else does, upper and lower case too. It takes milliseconds: keep it.
    """
    # Takes longer to import than a process takes to start that never asks for a hash.
    import sqlglot
    from sqlglot.dialects.bigquery import BigQuery
    from sqlglot.errors import SqlglotError

    try:
        words = [sql[token.start : token.end + 1] for token in sqlglot.tokenize(sql, read=BigQuery)]
    except SqlglotError:
        words = [sql]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]
