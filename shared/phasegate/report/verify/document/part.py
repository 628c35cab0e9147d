"""What every part of the report has in common, and the queries that their numbers are from."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class ReportPart(BaseModel):
    """A part of the report. ``query``, where there is one, names the entry of ``queries`` that its numbers are from."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Query(ReportPart):
    """A query to derive numbers from. sql: BigQuery dialect; null where something else than tables is read.

    A parameter ``{"set": name}`` stands for the dates of that name in ``date_sets``.
    """

    name: str
    reads: str
    sql: str | None
    parameters: dict[str, Any]
    error: str | None = None
