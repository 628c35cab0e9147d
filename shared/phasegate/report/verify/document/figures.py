"""Figures of what the tables hold."""

from datetime import date

from pydantic import Field

from phasegate.report.verify.document.part import ReportPart


class Quality(ReportPart):
    """Scores of a table in a year: 90 and more, 70 to below 90, 50 to below 70, below 50, none."""

    table: str
    column: str
    year: int
    rows: int
    from_90: int
    from_70: int
    from_50: int
    below_50: int
    unscored: int
    query: str


class Nulls(ReportPart):
    """NULLs of a critical field in a season. share: of the rows, 0 to 1."""

    table: str
    column: str
    season: str
    rows: int
    nulls: int
    share: float
    query: str


class Average(ReportPart):
    """Mean of a field in a season. change: against the season before, as a share of it; null for the first."""

    table: str
    column: str
    season: str
    values: int
    average: float
    change: float | None
    query: str


class KeysOfDate(ReportPart):
    """Distinct keys of one date: in the one table, in the other one, in both."""

    date: date
    here: int
    there: int
    both: int


class KeysCompared(ReportPart):
    """Two tables whose keys are compared by date. share: ``both`` over ``here``, all dates together.

    left_out: dates on which one of the two rightly holds nothing; they count in none of the numbers.
    """

    key: str
    table: str
    against: str
    here: int
    there: int
    both: int
    share: float | None
    dates: int
    left_out: int
    unlike: list[KeysOfDate] = Field(description="dates on which the two differ")
    query: str


class Duplicates(ReportPart):
    """Rows that repeat the keys of another one, in one table."""

    table: str
    dates: int
    rows: int
    query: str
