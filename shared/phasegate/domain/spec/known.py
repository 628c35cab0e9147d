"""A pipeline file names what is known to be wrong with its data, and is right to go on without."""

from pydantic import Field

from phasegate.domain.protocol.written_dates import WrittenDay
from phasegate.domain.spec.strict import Strict

MOST_DATES = 200
"""Dates of one exception, as of a waiver: what it lets pass is judged again in one commit when it ends."""


class KnownException(Strict):
    """A known exception lets a check of one processor pass on some dates, in every run: a waiver that stands."""

    dates: list[WrittenDay] = Field(
        min_length=1, max_length=MOST_DATES, examples=[["2024-01-15"]], description="the dates on which it may pass"
    )
    processor: str = Field(
        examples=["phase_2/orders"], description="whose check it is: `processor`, or `phase/processor`"
    )
    check: str = Field(
        min_length=1,
        examples=["rows"],
        description="the check's name; `unrecoverable`: the source is gone, and the date goes on without it",
    )
    until: WrittenDay | None = Field(
        default=None, description="the last day on which it holds, in the pipeline's time zone; null: it has no end"
    )
    why: str = Field(min_length=1, description="the reason, which stands in every report")
