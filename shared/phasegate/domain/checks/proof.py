"""A proof compares what a table holds for a date with what was reported."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.checks.question import Question, on_days, question, quoted
from phasegate.domain.protocol.worker import ErrorClass, ResultStatus
from phasegate.domain.spec.checks import Check, says_how_much
from phasegate.domain.spec.pipeline import NoOutput, ObjectOutput, Output, TableOutput
from phasegate.domain.state.facts import AttemptFacts, Proved

LEFT_STANDING = "which this attempt left there when it answered empty"
"""How the message goes on of an attempt that says empty over rows of an earlier one. ``explain`` knows it by that."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is found is how much an output holds for one date, and under which fences."""

    rows: int
    """Rows of the table; 1 for an object that is there."""

    lowest_fence: int | None = None
    """The lowest fence among the rows; None: they keep none."""

    highest_fence: int | None = None
    """The highest fence among the rows; None: they keep none."""


def count_rows(output: TableOutput, days: Iterable[date]) -> Question:
    """Ask for the rows of one table by date (``n``), with their lowest and highest fence where the table keeps it."""
    column, fence = output.date_column, output.fence_column
    lowest, highest = (f"{of}({quoted(fence)})" if fence else "CAST(NULL AS INT64)" for of in ("MIN", "MAX"))
    return question(
        f"SELECT {quoted(column)} AS d, COUNT(*) AS n, {lowest} AS lowest, {highest} AS highest "
        f"FROM `{output.table}` WHERE {on_days(column)} GROUP BY 1",
        days,
        "counts",
    )


def judge_proof(
    attempt: AttemptFacts, output: Output, checks: Sequence[Check], expects: str, found: Found | None, now: datetime
) -> Proved:
    """Judge whether the output bears out what was reported.

    checks: what its table must hold, the phase's too. expects: EXPECTED, OPTIONAL or EMPTY. found: what the table
    holds, one row for an object that is there, None when there is nothing to look at. Disproved are: a success
    without rows where rows are expected, a row count that differs, rows that an earlier attempt left behind, an
    emptiness beside such rows, and a partial success when no check says whether that is enough.
    """
    reported = attempt.reported
    claimed = reported.rows if reported else None
    status = reported.status if reported else ResultStatus.SUCCESS
    if status is ResultStatus.PARTIAL and not any(map(says_how_much, checks)):
        return Proved(False, None, "partial, and no check says whether that is enough", ErrorClass.TRANSIENT, now)
    if isinstance(output, NoOutput) or found is None:
        return Proved(True, claimed, "", None, now)
    if isinstance(output, ObjectOutput):
        if found.rows or (status is ResultStatus.EMPTY and expects != ExpectationLetter.EXPECTED):
            return Proved(True, claimed, "", None, now)
        return Proved(False, None, "reported, but the object is not there", ErrorClass.TRANSIENT, now)
    rows = found.rows
    is_own = reported is not None and found.lowest_fence is not None and found.lowest_fence >= reported.fence
    if status is ResultStatus.EMPTY and rows and not is_own:
        said = f" ({reported.message})" if reported and reported.message else ""
        detail = f"the table holds {rows} rows, {LEFT_STANDING}{said}"
        # A source that has published nothing yet may do so later; where nothing is due no further attempt mends it.
        is_due = expects == ExpectationLetter.EXPECTED
        return Proved(False, rows, detail, ErrorClass.NOT_YET if is_due else ErrorClass.BUG, now)
    if rows and reported and found.lowest_fence is not None and found.lowest_fence < reported.fence:
        detail = f"the table holds {rows} rows, of an earlier attempt: this one wrote none"
        return Proved(False, rows, detail, ErrorClass.TRANSIENT, now)
    if claimed is not None and claimed != rows:
        detail = f"reported {claimed} rows, the table holds {rows}"
        return Proved(False, rows, detail, ErrorClass.TRANSIENT, now)
    if status is ResultStatus.EMPTY and rows:
        return Proved(False, rows, f"reported empty, and wrote {rows} rows", ErrorClass.TRANSIENT, now)
    if expects == ExpectationLetter.EMPTY and rows:
        return Proved(False, rows, f"0 rows are right here, the table holds {rows}", ErrorClass.BUG, now)
    if expects == ExpectationLetter.EXPECTED and not rows:
        if status is ResultStatus.EMPTY:
            why = (reported.message if reported else "") or "no reason given"
            detail = f"empty where rows are expected: {why}"
            return Proved(False, 0, detail, ErrorClass.NOT_YET, now)
        return Proved(False, 0, "reported success, the table holds no row", ErrorClass.TRANSIENT, now)
    return Proved(True, rows, "", None, now)
