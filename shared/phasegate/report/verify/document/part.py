"""What every part of the report has in common, and the queries that their numbers are from."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

FROM_QUERY = "the name of the entry of `queries` that the numbers are from"
"""Describes the field ``query`` of every part that has one."""


class ReportPart(BaseModel):
    """A part of the report is frozen, and has no keys but those of its class."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Query(ReportPart):
    """A query says where numbers are from: it derives them anew."""

    name: str = Field(description="what the other parts of the report call it")
    reads: str = Field(description="what it reads, in words")
    sql: str | None = Field(description="BigQuery dialect; null: something else than tables is read")
    parameters: dict[str, Any] = Field(
        description='values by parameter; `{"set": name}` stands for the dates of that name in `date_sets`'
    )
    error: str | None = Field(default=None, description="why it could not be asked; null: it was answered")
