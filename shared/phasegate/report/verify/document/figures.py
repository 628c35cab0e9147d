"""Figures of what the tables hold."""

from datetime import date
from typing import Annotated

from pydantic import Field

from phasegate.report.verify.document.part import FROM_QUERY, ReportPart


class Quality(ReportPart):
    """A quality line counts the rows of a table by their score, on the calendar's dates in one year."""

    table: str = Field(description="`dataset.table`")
    column: str = Field(description="the column that holds the score, between 0 and 100")
    year: int = Field(description="the year of the dates")
    rows: int = Field(description="rows of all scores, and of none")
    from_90: int = Field(description="rows with 90 and more")
    from_70: int = Field(description="rows with 70 to below 90")
    from_50: int = Field(description="rows with 50 to below 70")
    below_50: int = Field(description="rows with less than 50")
    unscored: int = Field(description="rows without a score")
    query: str = Field(description=FROM_QUERY)


class Nulls(ReportPart):
    """A line of NULLs counts those of a critical field on the dates of one season."""

    table: str = Field(description="`dataset.table`")
    column: str = Field(description="the critical field")
    season: str = Field(description="the season, as the calendar names it")
    rows: int = Field(description="rows on the season's dates")
    nulls: int = Field(description="those of them whose field is NULL")
    share: float = Field(description="`nulls` over `rows`, 0 to 1")
    query: str = Field(description=FROM_QUERY)


class Average(ReportPart):
    """An average is the mean of a field over the dates of one season."""

    table: str = Field(description="`dataset.table`")
    column: str = Field(description="the field")
    season: str = Field(description="the season, as the calendar names it")
    values: int = Field(description="how many values that are not NULL the mean is of")
    average: float = Field(description="the mean, in the field's own unit")
    change: float | None = Field(
        description="against the season before, as a share of its mean; null: there is none, or no mean but 0"
    )
    query: str = Field(description=FROM_QUERY)


class KeysOfDate(ReportPart):
    """The keys of one date are counted in the one table, in the other one, and in both."""

    # Annotated: a value under the name `date` would stand in the way of the type.
    date: Annotated[date, Field(description="the date on which the keys are counted")]
    here: int = Field(description="distinct keys in `table`")
    there: int = Field(description="distinct keys in `against`")
    both: int = Field(description="distinct keys that are in both tables")


class KeysCompared(ReportPart):
    """Two tables are compared by their distinct keys per date; the numbers are sums over the dates."""

    key: str = Field(description="the column of both tables whose values are compared")
    table: str = Field(description="`dataset.table` whose keys are looked for")
    against: str = Field(description="`dataset.table` in which they are looked for")
    here: int = Field(description="distinct keys in `table`")
    there: int = Field(description="distinct keys in `against`")
    both: int = Field(description="distinct keys that are in both tables")
    share: float | None = Field(description="`both` over `here`, 0 to 1; null: `table` has no keys")
    dates: int = Field(description="dates that are compared: those on which one of the tables has keys")
    left_out: int = Field(
        description="dates on which one of the two rightly holds nothing; they count in none of the other numbers"
    )
    unlike: list[KeysOfDate] = Field(description="dates on which the two differ")
    query: str = Field(description=FROM_QUERY)


class MeasuredValue(ReportPart):
    """A measured value is one row of what the SELECT of a measure gave."""

    label: str = Field(description="what was measured, as the SELECT names it")
    value: float | None = Field(description="the value; null: the SELECT gave none, or no number")
    beside: float | None = Field(default=None, description="what it is to be compared with; null: nothing")
    unit: str = Field(default="", description="the unit of `value` and `beside`; empty: none")
    n: int | None = Field(default=None, description="how many rows the value is of; null: the SELECT does not say")


class Measured(ReportPart):
    """A measure is what a SELECT of the pipeline file says of the dates that are verified."""

    name: str = Field(description="the measure's name in the pipeline file")
    description: str = Field(description="what its numbers say, as the pipeline file has it")
    rows: list[MeasuredValue] = Field(description="the rows, in the SELECT's order")
    left_out: int = Field(description="rows beyond those that a report keeps")
    query: str = Field(description=FROM_QUERY)


class Duplicates(ReportPart):
    """A line of duplicates counts the rows of one table that repeat keys, over the whole calendar."""

    table: str = Field(description="`dataset.table`")
    dates: int = Field(description="dates with such rows")
    rows: int = Field(description="rows beyond the first of their keys")
    query: str = Field(description=FROM_QUERY)
