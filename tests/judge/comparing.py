"""Whether a statement means the same on both sides."""

import re
from collections import Counter
from collections.abc import Iterable
from copy import deepcopy
from enum import StrEnum
from typing import Any

from sqlglot import exp

from phasegate.adapters.bigquery_sql import read_statement
from tests.judge.sides import Answer, Side
from tests.judge.statements import Statement
from tests.judge.words import same


class Verdict(StrEnum):
    """How two answers stand to each other."""

    EQUAL = "equal"
    BOTH_FAIL = "an error or a refusal on both sides"
    REFUSED_HERE = "refused here"
    REFUSED_THERE = "refused there"
    ERROR_HERE = "an error here alone"
    NULL_HERE = "NULL here, an error there"
    FOLDED = "folded"
    DIFFERENT = "different"
    VALUE_HERE = "a value here, an error there"
    BROKEN_HERE = "broken here"


FAULTS = (Verdict.DIFFERENT, Verdict.VALUE_HERE, Verdict.BROKEN_HERE)
"""The statement means something else here, and nobody is told; or it breaks the translator."""

CHOOSING = (exp.If, exp.Case, exp.Coalesce, exp.Connector)
"""These compute only what they need, in BigQuery too."""

SPREAD = re.compile(r"\b(STDDEV|VAR_|COVAR_|CORR)")


def verdict(statement: Statement, there: Answer, here: Answer, unfolded: Side) -> Verdict:
    """Judge an answer by that of the engine. unfolded: this side, where DuckDB computes nothing before it runs."""
    if here.broken:
        return Verdict.BROKEN_HERE
    if here.fails:
        if there.fails:
            return Verdict.BOTH_FAIL
        # Some of these errors are known: LN, SQRT and POW of infinities are values in BigQuery.
        return Verdict.REFUSED_HERE if here.refused else Verdict.ERROR_HERE
    if there.refused:
        # The reader takes some that BigQuery does not: `x IS NULL IS NOT FALSE` without parentheses.
        return Verdict.REFUSED_THERE
    if there.error:
        # Beside a NULL, what another operand is does not count, and DuckDB need not compute it.
        if here.rows == [[None]]:
            return Verdict.NULL_HERE
        # The same within an expression: while DuckDB folds constants, or at a NULL that all rows have.
        folded = unfolded(statement.sql).error or left_out(statement.sql, unfolded)
        return Verdict.FOLDED if folded else Verdict.VALUE_HERE
    return Verdict.EQUAL if alike(statement, there, here) else Verdict.DIFFERENT


def left_out(sql: str, side: Side) -> bool:
    """Whether a part of the statement fails when it is asked for alone, and what it is a part of is NULL."""

    def alone(part: exp.Expr) -> Answer:
        asked = exp.select(part.copy())
        select = part.find_ancestor(exp.Select)
        for clause in ("from_", "joins"):
            asked.set(clause, deepcopy(select.args.get(clause)) if select else None)
        return side(asked.sql(dialect="bigquery"))

    for part in read_statement(sql).find_all(exp.Condition):
        whole = part.parent
        if isinstance(whole, exp.Condition) and not isinstance(whole, CHOOSING) and alone(part).error:
            found = alone(whole).rows
            if found and all(value is None for (value,) in found):
                return True
    return False


def alike(statement: Statement, there: Answer, here: Answer) -> bool:
    """Equal types and rows, in any order where the statement gives none; over NULLs alone types do not count."""
    if there.columns != here.columns and any(value is not None for row in there.rows for value in row):
        return False
    # What is made of squares depends on the order of the rows; elsewhere the last digit is that of another library.
    nearness = 1e-9 if SPREAD.search(statement.sql) else 4e-15
    right, ours = given_out(there), given_out(here)
    if not statement.ordered:
        right, ours = sorted(right, key=place), sorted(ours, key=place)
    return same(right, ours, nearness)


def given_out(answer: Answer) -> list[list[Any]]:
    """The rows as BigQuery gives them out, where no array is an empty one."""
    arrays = [kind.startswith("ARRAY") for kind in answer.columns]
    return [
        [[] if value is None and array else value for value, array in zip(row, arrays, strict=True)]
        for row in answer.rows
    ]


def place(row: list[Any]) -> list[str]:
    """Where a row stands among others: for numbers that are as good as equal, at the same place."""
    return [f"{value:.9g}" if isinstance(value, float) else str(value) for value in row]


def compare(statements: Iterable[Statement], there: Side, here: Side, unfolded: Side) -> Counter[Verdict]:
    """Ask both sides for each statement, print what is wrong here, and count."""
    counts: Counter[Verdict] = Counter()
    for statement in statements:
        answers = there(statement.sql), here(statement.sql)
        found = verdict(statement, *answers, unfolded)
        counts[found] += 1
        if found in FAULTS:
            print(f"{statement.sql}\n  there: {answers[0]}\n  here:  {answers[1]}", flush=True)
    return counts
