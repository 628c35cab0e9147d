"""A request for a range of dates is for people and scripts that ask for more than one date at a time."""

import datetime
from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from phasegate.domain.protocol.worker import ErrorClass, ProcessorResult, ResultStatus, WorkerRequest


class RangeRequest(WorkerRequest):
    """A range request asks for one processor over the dates from ``date`` (``start_date`` on the wire) to ``end_date``,
    both included.

    Without ``end_date`` it is the one date: so Phasegate itself calls it.
    """

    end_date: datetime.date | None = Field(
        default=None, description="the last date of the range, itself included; null: `date` alone"
    )

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.last < self.date:
            raise ValueError(f"end_date {self.end_date} is before start_date {self.date}")
        return self

    @property
    def last(self) -> datetime.date:
        """Return the last date of the range."""
        return self.end_date or self.date


def summed_up(by_date: Mapping[datetime.date, ProcessorResult]) -> ProcessorResult:
    """Sum up one result for all the dates: the first failure if there is one; rows are those of all dates together."""
    if len(by_date) == 1:
        return next(iter(by_date.values()))
    rows = [result.rows for result in by_date.values() if result.rows is not None]
    total = sum(rows) if rows else None
    failed = {day: result for day, result in by_date.items() if result.status is ResultStatus.FAILED}
    if failed:
        day, first = next(iter(failed.items()))
        message = f"{len(failed)} of {len(by_date)} dates failed, the first {day}: {first.message}"
        return ProcessorResult(status=ResultStatus.FAILED, rows=total, message=message, error_class=first.error_class)
    statuses = {result.status for result in by_date.values()}
    if statuses <= {ResultStatus.EMPTY}:
        reason = next((result.message for result in by_date.values()), "no date of the range has anything to process")
        return ProcessorResult(status=ResultStatus.EMPTY, rows=0, message=reason, error_class=ErrorClass.EXPECTED_EMPTY)
    is_partial = ResultStatus.PARTIAL in statuses
    return ProcessorResult(
        status=ResultStatus.PARTIAL if is_partial else ResultStatus.SUCCESS,
        rows=total,
        message=f"{len(by_date)} dates",
    )
