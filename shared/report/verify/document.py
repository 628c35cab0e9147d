"""The report as a document: what the JSON holds. ``docs/report.schema.json`` is made from these models."""

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1


class Part(BaseModel):
    """A part of the report. ``query``, where there is one, names the entry of ``queries`` that its numbers are from."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Query(Part):
    """A query to derive numbers from. sql: BigQuery dialect; null where something else than tables is read.

    A parameter ``{"set": name}`` stands for the dates of that name in ``date_sets``.
    """

    name: str
    reads: str
    sql: str | None
    parameters: dict[str, Any]
    error: str | None = None


class KindCount(Part):
    """Findings of one kind."""

    kind: str
    between: str
    meaning: str
    findings: int


class FindingLine(Part):
    """One difference. date: null when the whole output is meant, or rows that have none."""

    kind: str
    date: date | None
    phase: str
    processor: str
    table: str | None
    detail: str
    expected: int | None
    found: int | None
    query: str


class Coverage(Part):
    """One output in one season. expected: game dates on which rows are due; whole: those of them that are sound.

    waived: those of them that waivers let pass. with_rows, rows: null where the output could not be asked.
    covered: dates of the season that are verified; the others of the season count as ``beyond``.
    """

    season: str
    phase: str
    processor: str
    table: str | None
    covered: int
    expected: int
    whole: int
    waived: int
    with_rows: int | None
    rows: int | None
    query: str


class MissingDates(Part):
    """Game dates in a row on which an output is missing or incomplete. beyond: outside of what was verified."""

    phase: str
    processor: str
    first: date
    last: date
    dates: int
    beyond: bool
    query: str


class HeatMap(Part):
    """A letter a date for each phase; ``legend`` explains the letters."""

    dates: list[date]
    phases: dict[str, str]
    legend: dict[str, str]


class FailureLine(Part):
    """Attempts that failed alike."""

    signature: str
    attempts: int
    dates: int
    first: date
    last: date
    example: str
    query: str


class Blocked(Part):
    """A cell that cannot go on, and why."""

    date: date
    phase: str
    reasons: list[str]


class Emptiness(Part):
    """Dates on which an output rightly holds nothing. found: those of them that are empty; null: not known."""

    phase: str
    processor: str
    reason: str
    is_demanded: bool
    dates: int
    found: int | None
    query: str


class Warned(Part):
    """What a check that only warns found wrong with an output, on the dates that are verified."""

    phase: str
    processor: str
    table: str | None
    check: str
    dates: int
    first: date
    last: date
    example: str
    query: str


class Waived(Part):
    """A waiver, and what passes by it. first, last: of its dates. lets_pass: how much; examples: the first of it."""

    id: str
    check: str
    phase: str | None
    processor: str | None
    dates: int
    first: date
    last: date
    why: str
    by: str
    at: datetime
    until: datetime
    is_in_force: bool
    lets_pass: int
    examples: list[str]


class Quality(Part):
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


class Nulls(Part):
    """NULLs of a critical field in a season. share: of the rows, 0 to 1."""

    table: str
    column: str
    season: str
    rows: int
    nulls: int
    share: float
    query: str


class Average(Part):
    """Mean of a field in a season. change: against the season before, as a share of it; null for the first."""

    table: str
    column: str
    season: str
    values: int
    average: float
    change: float | None
    query: str


class KeysOfDate(Part):
    """Distinct keys of one date: in the one table, in the other one, in both."""

    date: date
    here: int
    there: int
    both: int


class KeysCompared(Part):
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


class Duplicates(Part):
    """Rows that repeat the keys of another one, in one table."""

    table: str
    dates: int
    rows: int
    query: str


class RunTime(Part):
    """Seconds from the start to the end of a processor's attempts."""

    phase: str
    processor: str
    attempts: int
    median_seconds: float
    p95_seconds: float
    query: str


class Pace(Part):
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


class GateWait(Part):
    """Seconds that released lanes of a phase had waited since the phase before had ended on their date."""

    phase: str
    lanes: int
    median_seconds: float
    p95_seconds: float
    longest_seconds: float
    query: str


class CostLine(Part):
    """One service's share. dollars: at the list price given in ``price``."""

    service: str
    operations: int
    dollars: float
    price: str


class Cost(Part):
    """What a run cost (``estimate``: would have cost) on Google Cloud, but for what ``not_counted`` names."""

    is_estimate: bool
    attempts: int
    lines: list[CostLine]
    dollars: float
    not_counted: list[str]
    query: str


class Report(Part):
    """A verification: of a run, or (run_id is null) of dates without one.

    agrees: nothing is missing but what waivers let pass, and state, tables and calendar say the same. is_final: the
    run has ended.
    seasons: first and last game date of each season of the calendar.
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
