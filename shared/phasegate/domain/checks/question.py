"""Questions to a warehouse are asked for many dates at once, and for many tables together."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any


class DuckDbSql(str):
    """A statement is DuckDB's own SQL, which embedded mode takes as it is and no other backend takes."""

    __slots__ = ()


class JoinedSql(str):
    """A statement is made of several by ``together``. Who takes statements apart finds in it what it was made of."""

    parts: tuple[str, ...]
    """The statements that it joins, each in the BigQuery dialect, in their order."""

    @classmethod
    def of(cls, parts: Iterable[str]) -> "JoinedSql":
        """Join statements, each of which has the same columns; a first column ``asked`` counts them from 0."""
        listed = tuple(parts)
        made = cls(_joined(listed))
        made.parts = listed
        return made


def _joined(parts: Sequence[str]) -> str:
    return " UNION ALL ".join(f"SELECT {n} AS asked, q{n}.* FROM ({part}\n) AS q{n}" for n, part in enumerate(parts))


Answer = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Question:
    """A question is one SELECT about some dates, with its parameters."""

    sql: str
    """The SELECT, in the BigQuery dialect; except for the check ``sql``, its rows carry the date as ``d``."""

    parameters: Mapping[str, Any]
    """Name -> value: ``first``, ``last`` and ``days`` are the dates; others bound the values of a range."""

    shape: str
    """Questions of one shape have the same columns, of the same types: about the same dates they are asked
    together."""

    @property
    def fingerprint(self) -> str:
        """Name the statement, whatever its dates and bounds: 12 hex digits of its SHA-256."""
        return hashlib.sha256(self.sql.encode()).hexdigest()[:12]


def question(sql: str, days: Iterable[date], shape: str, values: Mapping[str, float] | None = None) -> Question:
    """Make a question about these dates. values: further parameters, by names made with ``value_name``."""
    days = sorted(days)
    return Question(sql, {"first": days[0], "last": days[-1], "days": days, **(values or {})}, shape)


def value_name(value: float) -> str:
    """Name a parameter after its value, so that questions with different values can be asked together."""
    return f"v_{hashlib.sha256(repr(value).encode()).hexdigest()[:12]}"


def together(questions: Sequence[Question]) -> Question:
    """Make one question of several of one shape about the same dates; each row says which it answers (``asked``)."""
    parts = [each.sql for each in questions]
    parameters = {name: value for each in questions for name, value in each.parameters.items()}
    is_duckdb = any(isinstance(part, DuckDbSql) for part in parts)
    return Question(DuckDbSql(_joined(parts)) if is_duckdb else JoinedSql.of(parts), parameters, "")


def in_dialect(dialect: str, sql: str) -> str:
    """Return a statement of ours around texts of the pipeline file, in the dialect of these: names are quoted by it."""
    if dialect != "duckdb":
        return sql
    return DuckDbSql(_QUOTED.sub(lambda name: ".".join(f'"{part}"' for part in name[1].split(".")), sql))


_QUOTED = re.compile(r"`([^`]+)`")


def quoted(column: str) -> str:
    """Write a column as SQL names it, also where its name is a word of SQL (``end``, ``rows``)."""
    return f"`{column}`"


def on_days(column: str) -> str:
    """Write the condition that bounds a table by the question's dates."""
    name = quoted(column)
    return f"{name} BETWEEN @first AND @last AND {name} IN (SELECT x FROM UNNEST(@days) AS x)"


def key_text(texts: Sequence[str]) -> str:
    """Write the parts of a key as one text that no other key has. texts: SQL of type STRING, one for each part.

    NULL is written NULL. A text is put in double quotes where it would else be taken for something else: ``NULL``, one
    that begins with a quote and, in a key of several parts, one with the slash that stands between them.
    """
    slash = "|/" if len(texts) > 1 else ""
    part = (
        "CASE WHEN {0} IS NULL THEN 'NULL' "
        f"WHEN REGEXP_CONTAINS({{0}}, '^\"|^NULL${slash}') "
        "THEN CONCAT('\"', REPLACE({0}, '\"', '\"\"'), '\"') ELSE {0} END"
    )
    return " || '/' || ".join(part.format(text) for text in texts)


def as_text(expression: str) -> str:
    """Write a value as SQL of type STRING."""
    return f"CAST({expression} AS STRING)"
