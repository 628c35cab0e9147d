"""What the report says of the outputs: what is wrong, missing, rightly empty, or let pass."""

from datetime import date, datetime
from typing import Annotated

from pydantic import Field

from phasegate.report.verify.document.part import FROM_QUERY, ReportPart


class KindCount(ReportPart):
    """A count says how many findings of one kind there are."""

    kind: str = Field(description="the kind's name, as `findings` have it")
    between: str = Field(description="the two that disagree, such as `state and tables`")
    meaning: str = Field(description="what findings of this kind mean")
    findings: int = Field(description="how many there are; 0: none")


class FindingLine(ReportPart):
    """A finding is one difference between calendar, plan, state and tables."""

    kind: str = Field(description="in what way they differ; `kinds` explains it")
    # Annotated: a value under the name `date` would stand in the way of the type.
    date: Annotated[
        date | None, Field(description="the date; null: the whole output is meant, or rows that have no date")
    ]
    phase: str = Field(description="the phase of the task; `calendar`: the calendar itself is wrong")
    processor: str = Field(description="the processor of the task; of the calendar: the table or file where it shows")
    table: str | None = Field(description="`dataset.table`; null: an object, a file, or a task that leaves nothing")
    detail: str = Field(description="the difference in a sentence, at most 1,000 characters")
    expected: int | None = Field(description="the rows, keys or values that should be there; null: no number says it")
    found: int | None = Field(description="the rows, keys or values that are there; null: no number says it")
    query: str = Field(description=FROM_QUERY)


class Coverage(ReportPart):
    """A coverage says how much of one output is there in one season of the calendar."""

    season: str = Field(description="the season, as the calendar names it")
    phase: str = Field(description="the phase of the processor that writes the output")
    processor: str = Field(description="the processor that writes the output")
    table: str | None = Field(description="`dataset.table`; null: the output is an object")
    covered: int = Field(description="dates of the season that are verified; the others of the season lie beyond")
    expected: int = Field(description="dates of the season on which rows are due")
    whole: int = Field(description="those of `expected` that are sound")
    waived: int = Field(description="those of `expected` that waivers let pass")
    with_rows: int | None = Field(description="dates that hold rows; null: the output could not be asked")
    rows: int | None = Field(description="rows on the season's dates; null: the output could not be asked")
    query: str = Field(description=FROM_QUERY)


class MissingDates(ReportPart):
    """Missing dates are dates in a row on which an output is missing or incomplete."""

    phase: str = Field(description="the phase of the processor that writes the output")
    processor: str = Field(description="the processor that writes the output")
    first: date = Field(description="the first date of the row")
    last: date = Field(description="the last date of the row")
    dates: int = Field(description="how many dates of the calendar the row has")
    beyond: bool = Field(description="the row lies outside of what was verified")
    query: str = Field(description=FROM_QUERY)


class HeatMap(ReportPart):
    """The heat map has a letter per date and phase, over the whole calendar."""

    dates: list[date] = Field(description="the dates of the calendar, earliest first")
    phases: dict[str, str] = Field(description="by phase: one letter for each of `dates`, in their order")
    legend: dict[str, str] = Field(description="by letter: what it means")


class Blocked(ReportPart):
    """A blocked cell is a date of a phase that cannot go on until somebody acts."""

    # Annotated: a value under the name `date` would stand in the way of the type.
    date: Annotated[date, Field(description="the date of the cell")]
    phase: str = Field(description="the phase of the cell")
    reasons: list[str] = Field(description="what keeps it, as `check: what it found`")


class Emptiness(ReportPart):
    """An emptiness says on how many of the verified dates an output rightly holds nothing, for one reason."""

    phase: str = Field(description="the phase of the processor that writes the output")
    processor: str = Field(description="the processor that writes the output")
    reason: str = Field(description="why it may be empty, in words")
    is_demanded: bool = Field(description="rows would be wrong; false: rows are as right as none")
    dates: int = Field(description="dates to which the reason applies")
    found: int | None = Field(description="those of them that are empty; null: the output could not be asked")
    query: str = Field(description=FROM_QUERY)


class Warned(ReportPart):
    """A warning is what a check that only warns says against an output, on the dates that are verified."""

    phase: str = Field(description="the phase of the processor that writes the output")
    processor: str = Field(description="the processor that writes the output")
    table: str | None = Field(description="`dataset.table`; null: the output is an object")
    check: str = Field(description="the check's name")
    dates: int = Field(description="how many dates it warns of")
    first: date = Field(description="the earliest of these dates")
    last: date = Field(description="the latest of these dates")
    example: str = Field(description="what it says of the earliest, at most 1,000 characters")
    query: str = Field(description=FROM_QUERY)


class AgeUnknown(ReportPart):
    """Rows are of unknown age where neither they nor a record say whether what they were made from has changed."""

    phase: str = Field(description="the phase of the processor that writes the table")
    processor: str = Field(description="the processor that writes the table")
    table: str | None = Field(description="`dataset.table`")
    dates: int = Field(description="how many of the verified dates it is of")
    first: date = Field(description="the earliest of these dates")
    last: date = Field(description="the latest of these dates")
    query: str = Field(description=FROM_QUERY)


class Waived(ReportPart):
    """A waiver lets a check pass on some dates until an end; what passes by it is told with it."""

    id: str = Field(description="the waiver's name in the run")
    check: str = Field(description="the name of the check that may pass")
    phase: str | None = Field(description="the phase that it is about; null: any")
    processor: str | None = Field(description="the processor that it is about; null: any")
    dates: int = Field(description="on how many dates the check may pass")
    first: date = Field(description="the earliest of these dates")
    last: date = Field(description="the latest of these dates")
    why: str = Field(description="why the check may pass, as the person says")
    by: str = Field(description="the person who decided it")
    at: datetime = Field(description="when it was decided, UTC")
    until: datetime = Field(description="its end, UTC")
    is_in_force: bool = Field(description="it had not ended when the report was made")
    lets_pass: int = Field(description="how many verdicts of checks pass by it")
    examples: list[str] = Field(description="the first five of what passes by it: date, processor and verdict")
