"""Proof and checks: what is asked of the tables, and how the answers are judged.

Asked for many dates at once: a batch of dates costs as many queries as one date. The registry at the end maps a
check of the pipeline file to the two functions that make it: ``ask`` and ``judge``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from shared.domain.arithmetic import evaluate
from shared.domain.calendar import Calendar
from shared.domain.facts import BLOCK, PASS, AttemptFacts, Proved, Verdict
from shared.domain.pipeline import (
    Check,
    EntitiesCheck,
    NoOutput,
    ObjectOutput,
    Pipeline,
    Processor,
    RowsCheck,
    TableOutput,
)
from shared.domain.plan import EMPTY, EXPECTED, OPTIONAL
from shared.domain.worker_protocol import ErrorClass, ResultStatus

MISSING_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Question:
    """One SELECT in the BigQuery dialect; its rows carry the date as ``d``.

    Questions of one shape have the same columns, of the same types: with the same parameters they are asked together.
    """

    sql: str
    parameters: Mapping[str, Any]
    shape: str


def together(questions: Sequence[Question]) -> Question:
    """One question for several of one shape with the same parameters; each row says which it answers (``asked``)."""
    parts = (f"SELECT {n} AS asked, q{n}.* FROM ({question.sql}) AS q{n}" for n, question in enumerate(questions))
    return Question(" UNION ALL ".join(parts), questions[0].parameters, "")


@dataclass(frozen=True, slots=True)
class Found:
    """What a table holds for one date: rows, and the lowest and highest fence among them (None: it keeps none)."""

    rows: int
    lowest_fence: int | None = None
    highest_fence: int | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a check is about: a processor with its table, over some dates, each with the rows counted in it.

    counts: what the table holds by date; a date that is absent has no rows.
    """

    pipeline: Pipeline
    calendar: Calendar
    phase: str
    processor: Processor
    output: TableOutput
    days: tuple[date, ...]
    counts: Mapping[date, Found] = field(default_factory=dict)


Answer = Sequence[Mapping[str, Any]]


def count_rows(output: TableOutput, days: Iterable[date]) -> Question:
    """Rows of one table by date (``n``), with their lowest and highest fence where the table keeps it."""
    column, fence = output.date_column, output.fence_column
    lowest, highest = (f"{of}({fence})" if fence else "CAST(NULL AS INT64)" for of in ("MIN", "MAX"))
    return _question(
        f"SELECT {column} AS d, COUNT(*) AS n, {lowest} AS lowest, {highest} AS highest "
        f"FROM `{output.table}` WHERE {_on_days(column)} GROUP BY {column}",
        days,
        "counts",
    )


def judge_proof(
    attempt: AttemptFacts, processor: Processor, expects: str, found: Found | None, now: datetime
) -> Proved:
    """Whether the output bears out what was reported.

    expects: EXPECTED, OPTIONAL or EMPTY. found: what the table holds, one row for an object that is there, None when
    there is nothing to look at. Disproved are: a success without rows where rows are expected, a row count that
    differs, rows that an earlier attempt left behind, and a partial success that no check judges.
    """
    reported = attempt.reported
    claimed = reported.rows if reported else None
    status = reported.status if reported else ResultStatus.SUCCESS
    if status is ResultStatus.PARTIAL and not processor.checks:
        return Proved(False, None, "partial, and no check says whether that is enough", ErrorClass.TRANSIENT, now)
    if isinstance(processor.output, NoOutput) or found is None:
        return Proved(True, claimed, "", None, now)
    if isinstance(processor.output, ObjectOutput):
        if found.rows:
            return Proved(True, claimed, "", None, now)
        return Proved(False, None, "reported, but the object is not there", ErrorClass.TRANSIENT, now)
    rows = found.rows
    if rows and reported and found.lowest_fence is not None and found.lowest_fence < reported.fence:
        detail = f"the table holds {rows} rows, of an earlier attempt: this one wrote none"
        return Proved(False, rows, detail, ErrorClass.TRANSIENT, now)
    if claimed is not None and claimed != rows:
        detail = f"reported {claimed} rows, the table holds {rows}"
        return Proved(False, rows, detail, ErrorClass.TRANSIENT, now)
    if status is ResultStatus.EMPTY and rows:
        return Proved(False, rows, f"reported empty, the table holds {rows} rows", ErrorClass.TRANSIENT, now)
    if expects == EMPTY and rows:
        return Proved(False, rows, f"0 rows are right here, the table holds {rows}", ErrorClass.BUG, now)
    if expects == EXPECTED and not rows:
        if status is ResultStatus.EMPTY:
            why = (reported.message if reported else "") or "no reason given"
            detail = f"empty where rows are expected: {why}"
            return Proved(False, 0, detail, ErrorClass.NOT_YET, now)
        return Proved(False, 0, "reported success, the table holds no row", ErrorClass.TRANSIENT, now)
    return Proved(True, rows, "", None, now)


def checked_days(expects: Mapping[date, str], counts: Mapping[date, Found]) -> tuple[date, ...]:
    """The dates that checks apply to: not where emptiness is right, nor where it is allowed and found."""
    return tuple(
        d
        for d, letter in expects.items()
        if letter == EXPECTED or (letter == OPTIONAL and d in counts and counts[d].rows)
    )


def _ask_rows(_check: Check, _subject: Subject) -> Question | None:
    return None


def _judge_rows(check: Check, subject: Subject, _answer: Answer) -> dict[date, Verdict]:
    assert isinstance(check, RowsCheck)  # noqa: S101 - the registry pairs model and functions
    verdicts: dict[date, Verdict] = {}
    for day in subject.days:
        expected = evaluate(check.expression, subject.calendar.by_day[day].numbers)
        found = subject.counts[day].rows if day in subject.counts else 0
        is_right = found == expected if check.exactly is not None else found >= expected
        least = "" if check.exactly is not None else "at least "
        verdicts[day] = Verdict(
            PASS if is_right else BLOCK,
            check.check,
            subject.processor.name,
            expected,
            found,
            f"{found} of {least}{expected} rows",
        )
    return verdicts


def _ask_entities(check: Check, subject: Subject) -> Question | None:
    assert isinstance(check, EntitiesCheck)  # noqa: S101 - the registry pairs model and functions
    column, table = subject.output.date_column, subject.output.table
    if check.calendar is not None:
        return _question(
            f"SELECT DISTINCT {column} AS d, CAST({check.key} AS STRING) AS k, TRUE AS present "
            f"FROM `{table}` WHERE {_on_days(column)}",
            subject.days,
            "entities",
        )
    found = f"SELECT DISTINCT {column} AS d, {check.key} AS k FROM `{table}` WHERE {_on_days(column)}"
    other = _expected_table(check, subject)
    expected = (
        f"SELECT DISTINCT {other.date_column} AS d, {check.key} AS k FROM `{other.table}` "
        f"WHERE {_on_days(other.date_column)}"
    )
    return _question(
        f"SELECT e.d AS d, CAST(e.k AS STRING) AS k, f.k IS NOT NULL AS present "
        f"FROM ({expected}) AS e LEFT JOIN ({found}) AS f ON f.d = e.d AND f.k = e.k",
        subject.days,
        "entities",
    )


def _judge_entities(check: Check, subject: Subject, answer: Answer) -> dict[date, Verdict]:
    assert isinstance(check, EntitiesCheck)  # noqa: S101 - the registry pairs model and functions
    expected: dict[date, set[str]] = {day: set() for day in subject.days}
    found: dict[date, set[str]] = {day: set() for day in subject.days}
    for row in answer:
        key = str(row["k"])
        if check.calendar is None:
            expected[row["d"]].add(key)
        if row["present"]:
            found[row["d"]].add(key)
    if check.calendar is not None:
        for day in subject.days:
            expected[day] = set(subject.calendar.by_day[day].entities[check.calendar])
    verdicts: dict[date, Verdict] = {}
    for day in subject.days:
        missing = sorted(expected[day] - found[day])
        there = len(expected[day]) - len(missing)
        is_right = there >= Fraction(str(check.at_least)) * len(expected[day])
        named = f" (missing: {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''})" if missing else ""
        verdicts[day] = Verdict(
            PASS if is_right else BLOCK,
            check.check,
            subject.processor.name,
            len(expected[day]),
            there,
            f"{there} of {len(expected[day])} {check.calendar or check.key}{named}",
            tuple(missing[:MISSING_SHOWN]),
        )
    return verdicts


def _expected_table(check: EntitiesCheck, subject: Subject) -> TableOutput:
    pipeline = subject.pipeline
    phases = pipeline.phase_names[: pipeline.phase_names.index(subject.phase) + 1]
    phase, name = pipeline.resolve(str(check.processor), phases)
    output = next(x.output for x in pipeline.phase(phase).processors if x.name == name)
    assert isinstance(output, TableOutput)  # noqa: S101 - asserted when the pipeline file was loaded
    return output


def unasked(check: Check, subject: Subject, outcome: str, error: str) -> dict[date, Verdict]:
    """Verdicts for a check whose query failed, never PASS: UNKNOWN when it is worth asking again, else BLOCK."""
    return {day: Verdict(outcome, check.check, subject.processor.name, 0, 0, error) for day in subject.days}


def _on_days(column: str) -> str:
    return f"{column} BETWEEN @first AND @last AND {column} IN (SELECT x FROM UNNEST(@days) AS x)"


def _question(sql: str, days: Iterable[date], shape: str) -> Question:
    days = sorted(days)
    return Question(sql, {"first": days[0], "last": days[-1], "days": days}, shape)


@dataclass(frozen=True, slots=True)
class CheckFunctions:
    """How a check is made: the question (None: the counts suffice) and the judgement of its answer."""

    ask: Callable[[Check, Subject], Question | None]
    judge: Callable[[Check, Subject, Answer], dict[date, Verdict]]


REGISTRY: Mapping[str, CheckFunctions] = {
    "rows": CheckFunctions(_ask_rows, _judge_rows),
    "entities": CheckFunctions(_ask_entities, _judge_entities),
}
