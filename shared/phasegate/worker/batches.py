"""A request for several dates of a processor is what Phasegate sends where the pipeline file says `batches: list`."""

import datetime
from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from phasegate.domain.protocol.worker import WorkerRequest


class RequestedDate(BaseModel):
    """A requested date is what a request for several dates says of one of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: datetime.date
    """The date to process."""
    attempt: int = Field(ge=1, description="how often this run has tried it, this time included")
    fence: int = Field(ge=1, description="only rises: a partition that carries a higher one must not be written")
    may_be_empty: bool = Field(
        default=False,
        description="no rows are right on this date, or a person accepts that: what stands there may be deleted",
    )
    rows_at_least: int | None = Field(
        default=None, ge=0, description="rows that its table should hold on the date, the fewest"
    )
    rows_at_most: int | None = Field(default=None, ge=0, description="the most that are right; null: nothing says so")


class BatchRequest(BaseModel):
    """A batch request asks for one processor over the dates that it lists, in order, each with a fence of its own.

    Each date is answered by itself: what is missing in the answer has failed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(description="the run's id")
    phase: str = Field(description="the phase of the pipeline file")
    processor: str = Field(description="the processor's name in the pipeline file")
    dates: tuple[RequestedDate, ...] = Field(min_length=1, description="the dates to process, in order")
    deadline: datetime.datetime = Field(description="UTC; after it the leases of all of its attempts are void")
    skip_downstream_trigger: Literal[True] = Field(default=True, description="a service must not wake its live cascade")
    backfill_mode: Literal[True] = Field(default=True, description="this is no live work")
    backfill_reason: str = Field(default="", description="the run's reason")
    settings: Mapping[str, JsonValue] = Field(
        default_factory=dict, description="what the pipeline file sets for the service, in the service's own words"
    )
    correlation_id: str = Field(default="", description="names the attempt on the first date, in every run")

    @model_validator(mode="after")
    def _has_each_date_once_in_order(self) -> Self:
        for before, after in pairwise(self.dates):
            if after.date <= before.date:
                raise ValueError(f"dates: {after.date} comes after {before.date}; each date stands once, in order")
        return self

    @property
    def apart(self) -> tuple[WorkerRequest, ...]:
        """Return the request for each date as it would be made alone: for ``check_fence``, heartbeats and events."""
        return tuple(
            WorkerRequest(
                run_id=self.run_id,
                phase=self.phase,
                processor=self.processor,
                deadline=self.deadline,
                backfill_reason=self.backfill_reason,
                settings=self.settings,
                correlation_id=f"{self.run_id}/{each.date}/{self.phase}/{self.processor}/{each.attempt}",
                **each.model_dump(),
            )
            for each in self.dates
        )

    @classmethod
    def of(cls, request: WorkerRequest) -> Self:
        """Make the batch of one date that a request for it is."""
        of_date = {name: getattr(request, name) for name in RequestedDate.model_fields}
        shared = {name: getattr(request, name) for name in cls.model_fields if name != "dates"}
        return cls(dates=(RequestedDate(**of_date),), **shared)
