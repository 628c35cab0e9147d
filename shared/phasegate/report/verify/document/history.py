"""How a run went: its failures, times and price."""

from datetime import date, datetime

from phasegate.report.verify.document.part import ReportPart


class FailureLine(ReportPart):
    """Attempts that failed alike."""

    signature: str
    attempts: int
    dates: int
    first: date
    last: date
    example: str
    query: str


class RunTime(ReportPart):
    """Seconds from the start to the end of a processor's attempts."""

    phase: str
    processor: str
    attempts: int
    median_seconds: float
    p95_seconds: float
    query: str


class Pace(ReportPart):
    """How a run went over time. ended, at_once, busy: a value for each span of ``bucket_seconds``.

    ended: attempts that ended in it; at_once: attempts under way on average; busy: the same by phase.
    """

    started_at: datetime
    wall_seconds: float
    attempts: int
    per_second: float
    mean_at_once: float
    bucket_seconds: float
    ended: list[int]
    at_once: list[float]
    busy: dict[str, list[float]]
    query: str


class GateWait(ReportPart):
    """Seconds that released lanes of a phase had waited since the phase before had ended on their date."""

    phase: str
    lanes: int
    median_seconds: float
    p95_seconds: float
    longest_seconds: float
    query: str


class CostLine(ReportPart):
    """One service's share. dollars: at the list price given in ``price``."""

    service: str
    operations: int
    dollars: float
    price: str


class Cost(ReportPart):
    """What a run cost (``estimate``: would have cost) on Google Cloud, but for what ``not_counted`` names."""

    is_estimate: bool
    attempts: int
    lines: list[CostLine]
    dollars: float
    not_counted: list[str]
    query: str
