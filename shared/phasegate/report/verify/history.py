"""How a run went, from its rows in the history table: failures by signature, run times, pace, what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from phasegate.domain.plan import PlanIndex
from phasegate.domain.protocol.worker import ResultStatus
from phasegate.domain.state.alike import signature
from phasegate.domain.state.time_spent import TimeSpent
from phasegate.ports import Row
from phasegate.report.time_spent import time_document
from phasegate.report.verify.document.history import Cost, CostLine, FailureLine, GateWait, Pace, RunTime, TimeOfRun

SPANS = 120
"""Spans into which a run's time is cut, for the pictures over time."""

READS_A_TASK, WRITES_A_TASK = 2.2, 2.5
"""Firestore operations per task, when many run at once: those that ``tests/contract/test_operations.py`` counts date by
date and in batches of 20 lie within a fifth of them."""

FIRESTORE_READ, FIRESTORE_WRITE, CLOUD_TASK = 0.06e-5, 0.18e-5, 0.40e-6
"""Dollars per operation: list prices of 2026 (Firestore $0.06 and $0.18 per 100,000 reads and writes, Cloud Tasks $0.40
per million), before what is free."""

MESSAGE_SHOWN = 300
"""Characters of a failure's message that are kept."""


def failures(rows: Sequence[Row], query: str) -> list[FailureLine]:
    """Count the attempts that failed or were not borne out by signature, most frequent first."""
    alike: dict[str, list[Row]] = {}
    for row in rows:
        has_failed = row["status"] in (ResultStatus.FAILED.value, "healed_lost")
        if has_failed or row["proved"] is False:
            error_class = row["error_class"] or ("lost" if row["status"] == "healed_lost" else "not_borne_out")
            alike.setdefault(signature(error_class, row["processor_name"], row["message"] or ""), []).append(row)
    lines = [
        FailureLine(
            signature=sign,
            attempts=len(of_sign),
            dates=len({row["d"] for row in of_sign}),
            first=min(row["d"] for row in of_sign),
            last=max(row["d"] for row in of_sign),
            example=(of_sign[0]["message"] or "reported, and the output does not bear it out")[:MESSAGE_SHOWN],
            query=query,
        )
        for sign, of_sign in alike.items()
    ]
    return sorted(lines, key=lambda line: (-line.attempts, line.signature))


@dataclass(frozen=True, slots=True)
class Call:
    """A call is told of by the rows of the attempts that it carried, whose start and end are known."""

    phase: str
    """The processor's phase."""

    processor: str
    """The processor's name."""

    attempts: int
    """How many attempts it carried."""

    begun: datetime
    """When the first of them began, UTC."""

    ended: datetime
    """When the last of them ended, UTC."""

    @property
    def seconds(self) -> float:
        """Return what it took from start to end."""
        return (self.ended - self.begun).total_seconds()


def called(rows: Sequence[Row], index: PlanIndex) -> list[Row]:
    """Choose the attempts that somebody was called for: those of observed phases are made by an existing system, and of
    their times only the moment is known at which its event came."""
    observed = {(index.tasks[number].phase, index.tasks[number].processor) for number in index.observed}
    return [row for row in rows if (row["phase"], row["processor_name"]) not in observed]


def calls_of(rows: Sequence[Row], is_cloud: bool) -> list[Call]:
    """Find the calls that attempts were in whose start and end are known.

    On Google Cloud the claims of a call are one commit, so that its attempts have one fence. Elsewhere every claim has
    a fence of its own, and attempts of one processor with the same start and end are taken to be of one call: an
    estimate.
    """
    together: dict[tuple[object, ...], list[Row]] = {}
    for row in timed(rows):
        told_by = (row["fence"],) if is_cloud else (row["started_at"], row["finished_at"])
        together.setdefault((row["phase"], row["processor_name"], *told_by), []).append(row)
    return [
        Call(
            phase=of_call[0]["phase"],
            processor=of_call[0]["processor_name"],
            attempts=len(of_call),
            begun=min(row["started_at"] for row in of_call),
            ended=max(row["finished_at"] for row in of_call),
        )
        for of_call in together.values()
    ]


def run_times(calls: Sequence[Call], query: str) -> list[RunTime]:
    """Take the median and the 95th percentile of the seconds of each processor's calls, slowest first."""
    by_processor: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        by_processor.setdefault((call.phase, call.processor), []).append(call)
    times = []
    for (phase, processor), of_processor in by_processor.items():
        seconds, attempts = [call.seconds for call in of_processor], sum(call.attempts for call in of_processor)
        times.append(
            RunTime(
                phase=phase,
                processor=processor,
                attempts=attempts,
                calls=len(of_processor),
                median_seconds=round(percentile(seconds, 0.5), 6),
                p95_seconds=round(percentile(seconds, 0.95), 6),
                attempt_seconds=round(sum(seconds) / attempts, 6),
                query=query,
            )
        )
    return sorted(times, key=lambda each: (-each.p95_seconds, each.phase, each.processor))


def time_of_run(calls: Sequence[Call], query: str, spent: TimeSpent | None, query_of_spent: str) -> TimeOfRun | None:
    """Tell where the time of a run went; None when no call has ended.

    spent: what the processes took that drove it; None: nobody measured that, and the history alone tells of its calls.
    """
    if spent is not None:
        return TimeOfRun(**time_document(spent), query=query_of_spent)
    if not calls:
        return None
    return TimeOfRun(
        calls=len(calls),
        attempts=sum(call.attempts for call in calls),
        work=round(sum(call.seconds for call in calls), 2),
        seconds=None,
        proofs=None,
        orchestration=None,
        waiting=None,
        query=query,
    )


def pace(
    rows: Sequence[Row], calls: Sequence[Call], phases: Sequence[str], rested_seconds: float, query: str
) -> Pace | None:
    """Measure throughput by the ended attempts, and parallelism by the calls, over time; None when nothing has ended.

    rested_seconds: for how long the run rested between its start and its end.
    """
    done = timed(rows)
    if not done:
        return None
    begun, ended = min(row["started_at"] for row in done), max(row["finished_at"] for row in done)
    wall = max((ended - begun).total_seconds(), 1e-6)
    rested = rested_seconds if rested_seconds < wall else 0.0
    span = wall / SPANS
    ends = [0] * SPANS
    busy = {phase: [0.0] * SPANS for phase in phases}
    for row in done:
        ends[_span(row["finished_at"] - begun, span)] += 1
    for call in calls:
        _spread(busy.setdefault(call.phase, [0.0] * SPANS), call.begun - begun, call.ended - begun, span)
    return Pace(
        started_at=begun,
        wall_seconds=round(wall, 6),
        rested_seconds=round(rested, 6),
        attempts=len(done),
        per_second=round(len(done) / (wall - rested), 3),
        mean_at_once=round(sum(call.seconds for call in calls) / (wall - rested), 3),
        bucket_seconds=round(span, 6),
        ended=ends,
        at_once=[round(sum(of_phase[n] for of_phase in busy.values()), 3) for n in range(SPANS)],
        busy={phase: [round(value, 3) for value in values] for phase, values in busy.items()},
        query=query,
    )


def gate_waits(waits: Mapping[str, Sequence[timedelta]], query: str) -> list[GateWait]:
    """Measure how long release groups waited at the gates of each phase."""
    lines: list[GateWait] = []
    for phase, of_phase in waits.items():
        seconds = [wait.total_seconds() for wait in of_phase]
        lines.append(
            GateWait(
                phase=phase,
                lanes=len(seconds),
                median_seconds=round(percentile(seconds, 0.5), 3),
                p95_seconds=round(percentile(seconds, 0.95), 3),
                longest_seconds=round(max(seconds), 3),
                query=query,
            )
        )
    return lines


def cost(rows: Sequence[Row], calls: Sequence[Call], observed: int, is_cloud: bool, query: str) -> Cost:
    """Price the orchestration of a run at list prices, by the ended attempts and the calls that they were in.

    rows: the attempts that somebody was called for. observed: how many others have ended, which are not priced.
    """
    attempts = len(rows)
    tasks = len(calls) + attempts - len(timed(rows))
    lines = [
        _cost_line("Firestore reads", attempts * READS_A_TASK, FIRESTORE_READ, "$0.06 per 100,000"),
        _cost_line("Firestore writes", attempts * WRITES_A_TASK, FIRESTORE_WRITE, "$0.18 per 100,000"),
        _cost_line("Cloud Tasks", tasks, CLOUD_TASK, "$0.40 per million"),
    ]
    return Cost(
        is_estimate=not is_cloud,
        attempts=attempts,
        lines=lines,
        dollars=round(sum(line.dollars for line in lines), 4),
        not_counted=[
            "the workers' own time and queries",
            "what BigQuery bills for the bytes of proofs, checks and reports (`reads`; jobs carry the label phasegate)",
            "Pub/Sub, Cloud Run functions and storage",
            *([f"what was read and written for {observed:,} attempts of observed phases"] if observed else []),
        ],
        query=query,
    )


def timed(rows: Sequence[Row]) -> list[Row]:
    """Choose the attempts whose start and end are known."""
    return [row for row in rows if row["started_at"] is not None and row["finished_at"] is not None]


def percentile(values: Sequence[float], share: float) -> float:
    """Take the value at a share (0 to 1) of the sorted values, between neighbours as SQL's PERCENTILE_CONT does."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _cost_line(service: str, operations: float, dollars: float, price: str) -> CostLine:
    count = round(operations)
    return CostLine(service=service, operations=count, dollars=round(count * dollars, 6), price=price)


def _span(since: timedelta, span: float) -> int:
    return min(int(since.total_seconds() / span), SPANS - 1)


def _spread(busy: list[float], begun: timedelta, ended: timedelta, span: float) -> None:
    """Add a call to the spans that it was under way in, by the share of each."""
    first, last = begun.total_seconds() / span, ended.total_seconds() / span
    for n in range(int(first), min(int(last), SPANS - 1) + 1):
        busy[min(n, SPANS - 1)] += max(0.0, min(last, n + 1) - max(first, n))
