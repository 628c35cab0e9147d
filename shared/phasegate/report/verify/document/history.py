"""How a run went: its failures, times and price."""

from datetime import date, datetime

from pydantic import Field

from phasegate.report.verify.document.part import FROM_QUERY, ReportPart


class FailureLine(ReportPart):
    """A failure line counts the attempts of a run that failed alike, also those that a later attempt mended."""

    signature: str = Field(description="error class, processor, and the message without numbers, ids and quoted values")
    attempts: int = Field(description="how many failed so, or reported what the output does not bear out")
    dates: int = Field(description="on how many distinct dates they failed")
    first: date = Field(description="the earliest of these dates")
    last: date = Field(description="the latest of these dates")
    example: str = Field(description="the message of one of them, at most 300 characters")
    query: str = Field(description=FROM_QUERY)


class RunTime(ReportPart):
    """A run time is what the calls of one processor took, in seconds from start to end. A call carries the attempts of
    one date or of several: nobody knows how its time is divided among them. Phases that are observed have none."""

    phase: str = Field(description="the processor's phase")
    processor: str = Field(description="the processor's name")
    attempts: int = Field(description="how many of its attempts have a known start and end")
    calls: int = Field(
        description="how many calls these attempts were in; an estimate where the run was not on Google Cloud: those "
        "with the same start and end are taken to be of one call"
    )
    median_seconds: float = Field(description="half of the calls took no longer")
    p95_seconds: float = Field(description="95 percent of the calls took no longer, interpolated between neighbours")
    attempt_seconds: float = Field(description="what the calls took together, divided by their attempts")
    query: str = Field(description=FROM_QUERY)


class TimeOfRun(ReportPart):
    """The time of a run says where its seconds went, as far as that is measured: beyond the calls only where a process
    drives the run, in embedded mode. What several processes took is added up; one that was killed has left nothing."""

    calls: int = Field(
        description="how many calls ended, of workers and of SELECTs that were run in place of one; where `seconds` is "
        "null, those that the history tells of, as in `run_times`"
    )
    attempts: int = Field(description="how many attempts these calls were made for")
    work: float = Field(description="seconds of the calls from start to end, those under way at once added up")
    seconds: float | None = Field(
        description="seconds in which a process drove the run: the sum of `proofs`, `orchestration` and `waiting`; "
        "null: these four are not measured"
    )
    proofs: float | None = Field(description="seconds of counting tables and of judging and recording what they hold")
    orchestration: float | None = Field(description="seconds that Phasegate itself took for the rest")
    waiting: dict[str, float] | None = Field(
        description="seconds of waiting, by what was waited for: `threads` (all are in calls), `calls` (threads are "
        "free, and what is next needs the calls under way), `nothing` (nothing is due), or the name of a limit"
    )
    query: str = Field(description=FROM_QUERY)


class Pace(ReportPart):
    """The pace says how a run went over time, in spans of equal length from the first start to the last end: which
    attempts ended, and which calls were under way. A call carries the attempts of one date or of several."""

    started_at: datetime = Field(description="the first start of an attempt, UTC")
    wall_seconds: float = Field(description="seconds from the first start to the last end of an attempt")
    rested_seconds: float = Field(
        description="of these, the seconds of rest: the run had ended before a retry, was held, waited for a person, "
        "or nobody drove it"
    )
    attempts: int = Field(description="how many attempts have a known start and end")
    per_second: float = Field(description="attempts that ended per second of `wall_seconds` without `rested_seconds`")
    mean_at_once: float = Field(
        description="how many calls were under way at the same time, on average, without `rested_seconds`"
    )
    bucket_seconds: float = Field(description="the length of one span, in seconds")
    ended: list[int] = Field(description="per span: how many attempts ended in it")
    at_once: list[float] = Field(description="per span: how many calls were under way in it, on average")
    busy: dict[str, list[float]] = Field(
        description="by phase: per span, how many calls were under way in it, on average"
    )
    query: str = Field(description=FROM_QUERY)


class GateWait(ReportPart):
    """A gate wait says how long the released groups of a phase had waited since the phase before ended on their date.

    Times are in seconds.
    """

    phase: str = Field(description="the phase into which the groups were released")
    lanes: int = Field(description="how many times a release group was released: groups times dates")
    median_seconds: float = Field(description="half of them waited no longer")
    p95_seconds: float = Field(description="95 percent of them waited no longer, interpolated between neighbours")
    longest_seconds: float = Field(description="the longest wait")
    query: str = Field(description=FROM_QUERY)


class CostLine(ReportPart):
    """A cost line is the share of one service in what a run cost."""

    service: str = Field(description="the service of Google Cloud, and what is paid for")
    operations: int = Field(description="how many operations, reckoned from the attempts and the calls: an estimate")
    dollars: float = Field(description="their price in US dollars, at the list price")
    price: str = Field(description="the list price in words")


class WarehouseReads(ReportPart):
    """Warehouse reads are what Phasegate itself asked BigQuery for: planning, proofs, checks, ages and reports."""

    statements: int = Field(description="how many SELECTs were answered")
    bytes: int = Field(description="what they read, in bytes; BigQuery bills at least 10 MB for each table of each")


class Cost(ReportPart):
    """A cost is what the orchestration of a run cost, or would have cost, on Google Cloud at list prices."""

    is_estimate: bool = Field(description="the run was not on Google Cloud: nothing was paid")
    attempts: int = Field(
        description="how many ended attempts the cost is reckoned from: those that somebody was called for"
    )
    lines: list[CostLine] = Field(description="the cost by service")
    dollars: float = Field(description="the sum of the lines, in US dollars")
    not_counted: list[str] = Field(description="what else costs money, in words")
    query: str = Field(description=FROM_QUERY)
