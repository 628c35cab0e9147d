"""A report is one document: these models say what its JSON holds. ``docs/report.schema.json`` is their schema."""

from datetime import date, datetime

from pydantic import Field

from phasegate.report.verify.document.figures import (
    Average,
    Duplicates,
    KeysCompared,
    Measured,
    Nulls,
    Quality,
)
from phasegate.report.verify.document.found import (
    AgeUnknown,
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
from phasegate.report.verify.document.history import (
    Cost,
    FailureLine,
    GateWait,
    Pace,
    RunTime,
    TimeOfRun,
    WarehouseReads,
)
from phasegate.report.verify.document.part import Query, ReportPart

SCHEMA_VERSION = 1


class Report(ReportPart):
    """A report is the outcome of one verification: of a run, or of dates without one."""

    schema_version: int = Field(default=SCHEMA_VERSION, description="the layout of this document")
    report_id: str = Field(description="the run (without one the pipeline) and the time of the verification")
    run_id: str | None = Field(description="the run that is verified; null: dates without a run")
    pipeline: str = Field(description="the pipeline's name")
    made_at: datetime = Field(description="the time of the verification, UTC")
    status: str | None = Field(description="the run's status; null: dates without a run")
    is_final: bool = Field(description="the run has ended, or there is none")
    agrees: bool = Field(
        description="the report is final, nothing is missing but what waivers let pass, "
        "and state, tables and calendar say the same"
    )
    verdict: str = Field(description="the whole report in one sentence")
    first: date = Field(description="the earliest date that is verified")
    last: date = Field(description="the latest date that is verified")
    dates: int = Field(description="how many dates are verified")
    calendar_dates: int = Field(description="how many dates the whole calendar has")
    seasons: dict[str, tuple[date, date]] = Field(description="by season of the calendar: its first and last date")
    phases: list[str] = Field(description="the phases that are verified, in the order of the plan")
    outputs: int = Field(description="how many tables and objects these phases write per date")
    findings_total: int = Field(description="how many findings there are")
    kinds: list[KindCount] = Field(description="findings counted by kind; every kind is there")
    findings: list[FindingLine] = Field(
        description="every difference on the verified dates: those of a whole output first, then by date"
    )
    coverage: list[Coverage] = Field(description="how much of each output is there, by season of the calendar")
    missing: list[MissingDates] = Field(
        description="dates in a row on which an output is missing or incomplete, over the whole calendar"
    )
    heat_map: HeatMap = Field(description="the worst that is known per date and phase")
    failures: list[FailureLine] = Field(description="failed attempts of the run by signature, most frequent first")
    blocked: list[Blocked] = Field(description="cells of the run that cannot go on until somebody acts")
    warnings: list[Warned] = Field(description="what checks that only warn say, by output and check")
    ages_unknown: list[AgeUnknown] = Field(
        default=[], description="tables of which nothing says whether they are older than what they were made from"
    )
    emptiness: list[Emptiness] = Field(description="where outputs rightly hold nothing, by output and reason")
    quality: list[Quality] = Field(description="rows by score, per table and year")
    nulls: list[Nulls] = Field(description="NULLs of critical fields, by season")
    averages: list[Average] = Field(description="means of fields, by season")
    compared: list[KeysCompared] = Field(description="keys of one table that are looked for in another")
    measures: list[Measured] = Field(
        default=[], description="what the SELECTs of the pipeline file say of the dates that are verified"
    )
    duplicates: list[Duplicates] = Field(description="tables with rows that repeat keys")
    run_times: list[RunTime] = Field(description="what the run's calls took by processor, slowest first")
    time: TimeOfRun | None = Field(
        default=None, description="where the run's time went; null: no call is known to have ended"
    )
    pace: Pace | None = Field(description="how the run went over time; null: no attempt is known to have ended")
    gate_waits: list[GateWait] = Field(description="how long the run's release groups waited, by phase")
    waivers: list[Waived] = Field(description="every waiver of the run, with what passes by it")
    reads: WarehouseReads | None = Field(
        default=None,
        description="what was read for the run until this report's end, this one included, or for dates without a run "
        "by this report; null: the warehouse does not tell",
    )
    cost: Cost | None = Field(description="what the run cost; null: there is no run, or its history could not be asked")
    queries: list[Query] = Field(description="every query that numbers of the report are from")
    date_sets: dict[str, list[date]] = Field(
        description="by name: a list of dates that parameters of `queries` stand for"
    )
