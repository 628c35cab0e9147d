"""How a run went, from its rows in the history table: failures by signature, run times, pace, what it cost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

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


def run_times(rows: Sequence[Row], query: str) -> list[RunTime]:
    """Take the median and the 95th percentile of the seconds of each processor's calls, slowest first."""
    by_processor: dict[tuple[str, str], list[_Call]] = {}
    for call in _calls(rows):
        by_processor.setdefault((call.phase, call.processor), []).append(call)
    times = []
    for (phase, processor), calls in by_processor.items():
        seconds, attempts = [call.seconds for call in calls], sum(call.attempts for call in calls)
        times.append(
            RunTime(
                phase=phase,
                processor=processor,
                attempts=attempts,
                calls=len(calls),
                median_seconds=round(percentile(seconds, 0.5), 6),
                p95_seconds=round(percentile(seconds, 0.95), 6),
                attempt_seconds=round(sum(seconds) / attempts, 6),
                query=query,
            )
        )
    return sorted(times, key=lambda each: (-each.p95_seconds, each.phase, each.processor))


def time_of_run(rows: Sequence[Row], query: str, spent: TimeSpent | None, query_of_spent: str) -> TimeOfRun | None:
    """Tell where the time of a run went; None when no call has ended.

    spent: what the processes took that drove it; None: nobody measured that, and the rows alone tell of its calls.
    """
    if spent is not None:
        return TimeOfRun(**time_document(spent), query=query_of_spent)
    calls = _calls(rows)
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


def pace(rows: Sequence[Row], phases: Sequence[str], rested_seconds: float, query: str) -> Pace | None:
    """Measure throughput and parallelism over time; None when nothing has ended.

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
        _spread(
            busy.setdefault(row["phase"], [0.0] * SPANS), row["started_at"] - begun, row["finished_at"] - begun, span
        )
    total = sum((row["finished_at"] - row["started_at"]).total_seconds() for row in done)
    return Pace(
        started_at=begun,
        wall_seconds=round(wall, 6),
        rested_seconds=round(rested, 6),
        attempts=len(done),
        per_second=round(len(done) / (wall - rested), 3),
        mean_at_once=round(total / (wall - rested), 3),
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


def cost(rows: Sequence[Row], is_cloud: bool, query: str) -> Cost:
    """Price the orchestration of a run at list prices, by the ended attempts and the calls that they were in."""
    attempts = len(rows)
    lines = [
        _cost_line("Firestore reads", attempts * READS_A_TASK, FIRESTORE_READ, "$0.06 per 100,000"),
        _cost_line("Firestore writes", attempts * WRITES_A_TASK, FIRESTORE_WRITE, "$0.18 per 100,000"),
        _cost_line("Cloud Tasks", len(_calls(rows)) + len(rows) - len(timed(rows)), CLOUD_TASK, "$0.40 per million"),
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
        ],
        query=query,
    )


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of which the rows tell."""

    phase: str
    """The processor's phase."""

    processor: str
    """The processor's name."""

    attempts: int
    """How many attempts it carried."""

    seconds: float
    """What it took from start to end."""


def _calls(rows: Sequence[Row]) -> list[_Call]:
    """Find the calls that attempts were in whose start and end are known: those of one call have the same two."""
    together = Counter(
        (row["phase"], row["processor_name"], row["started_at"], row["finished_at"]) for row in timed(rows)
    )
    return [
        _Call(phase, processor, attempts, (ended - begun).total_seconds())
        for (phase, processor, begun, ended), attempts in together.items()
    ]


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
    """Add an attempt to the spans that it was under way in, by the share of each."""
    first, last = begun.total_seconds() / span, ended.total_seconds() / span
    for n in range(int(first), min(int(last), SPANS - 1) + 1):
        busy[min(n, SPANS - 1)] += max(0.0, min(last, n + 1) - max(first, n))
