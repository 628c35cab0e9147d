"""What the report says of the outputs: what is wrong, missing, rightly empty, or let pass."""

from datetime import date, datetime

from phasegate.report.verify.document.part import ReportPart


class KindCount(ReportPart):
    """Findings of one kind."""

    kind: str
    between: str
    meaning: str
    findings: int


class FindingLine(ReportPart):
    """One difference. date: null when the whole output is meant, or rows that have none."""

    kind: str
    date: date | None
    phase: str
    processor: str
    table: str | None
    detail: str
    expected: int | None
    found: int | None
    query: str


class Coverage(ReportPart):
    """One output in one season. expected: dates on which rows are due; whole: those of them that are sound.

    waived: those of them that waivers let pass. with_rows, rows: null where the output could not be asked.
    covered: dates of the season that are verified; the others of the season count as ``beyond``.
    """

    season: str
    phase: str
    processor: str
    table: str | None
    covered: int
    expected: int
    whole: int
    waived: int
    with_rows: int | None
    rows: int | None
    query: str


class MissingDates(ReportPart):
    """Dates in a row on which an output is missing or incomplete. beyond: outside of what was verified."""

    phase: str
    processor: str
    first: date
    last: date
    dates: int
    beyond: bool
    query: str


class HeatMap(ReportPart):
    """A letter a date for each phase; ``legend`` explains the letters."""

    dates: list[date]
    phases: dict[str, str]
    legend: dict[str, str]


class Blocked(ReportPart):
    """A cell that cannot go on, and why."""

    date: date
    phase: str
    reasons: list[str]


class Emptiness(ReportPart):
    """Dates on which an output rightly holds nothing. found: those of them that are empty; null: not known."""

    phase: str
    processor: str
    reason: str
    is_demanded: bool
    dates: int
    found: int | None
    query: str


class Warned(ReportPart):
    """What a check that only warns found wrong with an output, on the dates that are verified."""

    phase: str
    processor: str
    table: str | None
    check: str
    dates: int
    first: date
    last: date
    example: str
    query: str


class Waived(ReportPart):
    """A waiver, and what passes by it. first, last: of its dates. lets_pass: how much; examples: the first of it."""

    id: str
    check: str
    phase: str | None
    processor: str | None
    dates: int
    first: date
    last: date
    why: str
    by: str
    at: datetime
    until: datetime
    is_in_force: bool
    lets_pass: int
    examples: list[str]
