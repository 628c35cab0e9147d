"""The summary at the end of a run: what the tables hold, what is missing by name, and what to type next."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from io import StringIO
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from phasegate.domain.checks.proof import count_rows
from phasegate.domain.errors import PhasegateError
from phasegate.domain.plan import ExpectationLetter, expectation
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.domain.state.run import RunStatus
from phasegate.ports import State, Warehouse
from phasegate.report.explain import Root, explain, roots_text
from phasegate.services.reading.notices import notices_text
from phasegate.services.reading.progress import RunReport, as_json, report
from phasegate.services.reading.prover import ask

SHOWN_MISSING = 40


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows and dates of one output table within the run's dates; None when the table could not be asked."""

    table: str
    rows: int | None
    dates: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A run at its end (or where it was left). ``skipped``: phase -> reason -> dates."""

    report: RunReport
    tables: tuple[TableRows, ...]
    skipped: dict[str, dict[str, int]]
    roots: tuple[Root, ...]
    seconds: float


def summarise(state: State, warehouse: Warehouse, run_id: str, now: datetime) -> Summary:
    """Read state and tables of a run."""
    found = report(state, run_id, now)
    index = state.index(run_id)
    tables: list[TableRows] = []
    outputs = [task.spec.output for task in index.tasks if isinstance(task.spec.output, TableOutput)]
    questions = [count_rows(output, index.days) for output in outputs]
    for output, rows in zip(outputs, ask(warehouse, questions), strict=True):
        if isinstance(rows, PhasegateError):
            tables.append(TableRows(output.table, None, None))
        else:
            tables.append(TableRows(output.table, sum(row["n"] for row in rows), len(rows)))
    skipped: dict[str, dict[str, int]] = {}
    for phase in index.plan.phases:
        tasks = [t for t in index.tasks if t.phase == phase]
        for position, day in enumerate(index.days):
            if all(t.expects[position] == ExpectationLetter.EMPTY for t in tasks):
                reason = expectation(index.plan.pipeline, index.calendar, tasks[0].spec, day)[1]
                reasons = skipped.setdefault(phase, {})
                reasons[reason] = reasons.get(reason, 0) + 1
    seconds = ((found.finished_at or now) - found.started_at).total_seconds()
    return Summary(found, tuple(tables), skipped, explain(state, run_id, None, None).roots, seconds)


def summary_document(summary: Summary) -> dict[str, Any]:
    """``status --json``, with the tables and everything that is missing by name."""
    return {
        **as_json(summary.report),
        "seconds": round(summary.seconds, 1),
        "skipped": summary.skipped,
        "tables": {t.table: {"rows": t.rows, "dates": t.dates} for t in summary.tables},
        "missing": [
            {"date": day.isoformat(), "phase": ref.partition("/")[0], "processor": ref.partition("/")[2]}
            for day, ref in summary.report.missing
        ],
        "next": next_command(summary.report),
    }


def summary_text(summary: Summary) -> str:
    """The summary for a terminal."""
    found = summary.report
    out = StringIO()
    console = Console(file=out, width=110, highlight=False, emoji=False, markup=False)
    console.print(_sentence(summary))
    phases = Table(box=box.SIMPLE)
    for name in ("phase", "dates", "passed", "skipped", "failed", "blocked", "open"):
        phases.add_column(name, justify="left" if name == "phase" else "right")
    for phase, n in found.phases.items():
        cells = (n["dates"], n["passed"], n["skipped"], n["failed"], n["blocked"], n["pending"] + n["released"])
        phases.add_row(phase, *map(str, cells))
    console.print(phases)
    for phase, reasons in summary.skipped.items():
        for reason, dates in reasons.items():
            console.print(f"skipped: {phase}, {dates} dates: {reason}")
    tables = Table(box=box.SIMPLE)
    tables.add_column("table")
    tables.add_column("rows", justify="right")
    tables.add_column("dates", justify="right")
    for t in summary.tables:
        tables.add_row(t.table, "?" if t.rows is None else f"{t.rows:,}", "?" if t.dates is None else str(t.dates))
    console.print(tables)
    for line in notices_text(found.run_id, found.by_people, found.notices, found.now):
        console.print(line)
    _print_missing(console, summary)
    if found.quarantined:
        console.print(f"{found.quarantined} event(s) in quarantine")
    console.print(f"next: {next_command(found)}")
    return out.getvalue().rstrip()


def _sentence(summary: Summary) -> str:
    found = summary.report
    done = found.tasks["succeeded"] + found.tasks["empty_ok"]
    pace = f", {done / summary.seconds:,.0f} tasks/s" if summary.seconds >= 1 else ""
    halted = f" ({found.halted_because})" if found.halted_because else ""
    return (
        f"Run {found.run_id}: {found.status.value}{halted}. {found.dates} dates, {done:,} of "
        f"{found.tasks['expected']:,} tasks done ({found.tasks['empty_ok']:,} rightly empty) "
        f"in {summary.seconds:,.1f} s{pace}"
    )


def _print_missing(console: Console, summary: Summary) -> None:
    found = summary.report
    if not found.missing:
        return
    console.print(f"missing: {len(found.missing):,} tasks, by name:")
    lines = _missing_lines(found.missing)
    for line in lines[:SHOWN_MISSING]:
        console.print(f"  {line}")
    if len(lines) > SHOWN_MISSING:
        console.print(f"  … and {len(lines) - SHOWN_MISSING} more: phasegate status {found.run_id} --json")
    if summary.roots:
        console.print("why, and what to do:")
        for line in roots_text(summary.roots):
            console.print(line)


def _missing_lines(missing: Iterable[tuple[date, str]]) -> list[str]:
    """A line a date and phase, naming each missing processor."""
    groups: dict[tuple[date, str], list[str]] = {}
    for day, ref in missing:
        phase, _, processor = ref.partition("/")
        groups.setdefault((day, phase), []).append(processor)
    return [f"{day} {phase}: {', '.join(processors)}" for (day, phase), processors in groups.items()]


def next_command(found: RunReport) -> str:
    """What to type next."""
    if found.status is RunStatus.COMPLETED:
        return f"phasegate status {found.run_id}"
    if found.status in (RunStatus.COMPLETED_WITH_FAILURES, RunStatus.HALTED):
        return f"phasegate explain {found.run_id}, mend what it names, then phasegate retry {found.run_id}"
    if found.status is RunStatus.WAITING:
        return f"phasegate approve {found.run_id} {found.by_people.awaited[0]}"
    if found.status is RunStatus.CANCELLED:
        return "phasegate run … --reprocess failed"
    return f"phasegate resume {found.run_id}"
