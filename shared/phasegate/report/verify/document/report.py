"""The report as a document: what the JSON holds. ``docs/report.schema.json`` is made from these models."""

from datetime import date, datetime

from phasegate.report.verify.document.figures import Average, Duplicates, KeysCompared, Nulls, Quality
from phasegate.report.verify.document.found import (
    Blocked,
    Coverage,
    Emptiness,
    FindingLine,
    HeatMap,
    KindCount,
    MissingDates,
    Waived,
    Warned,
)
from phasegate.report.verify.document.history import Cost, FailureLine, GateWait, Pace, RunTime
from phasegate.report.verify.document.part import Query, ReportPart

SCHEMA_VERSION = 1


class Report(ReportPart):
    """A verification: of a run, or (run_id is null) of dates without one.

    agrees: nothing is missing but what waivers let pass, and state, tables and calendar say the same. is_final: the
    run has ended.
    seasons: first and last date of each season of the calendar.
    """

    schema_version: int = SCHEMA_VERSION
    report_id: str
    run_id: str | None
    pipeline: str
    made_at: datetime
    status: str | None
    is_final: bool
    agrees: bool
    verdict: str
    first: date
    last: date
    dates: int
    calendar_dates: int
    seasons: dict[str, tuple[date, date]]
    phases: list[str]
    outputs: int
    findings_total: int
    kinds: list[KindCount]
    findings: list[FindingLine]
    coverage: list[Coverage]
    missing: list[MissingDates]
    heat_map: HeatMap
    failures: list[FailureLine]
    blocked: list[Blocked]
    warnings: list[Warned]
    emptiness: list[Emptiness]
    quality: list[Quality]
    nulls: list[Nulls]
    averages: list[Average]
    compared: list[KeysCompared]
    duplicates: list[Duplicates]
    run_times: list[RunTime]
    pace: Pace | None
    gate_waits: list[GateWait]
    waivers: list[Waived]
    cost: Cost | None
    queries: list[Query]
    date_sets: dict[str, list[date]]
