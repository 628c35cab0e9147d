"""The summary of a run says what the tables hold, what is missing by name, and what to type next."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from io import StringIO
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from phasegate.domain.calendar.expectation import expectation
from phasegate.domain.checks.proof import count_rows
from phasegate.domain.decisions.edges import Blockage
from phasegate.domain.errors import PhasegateError
from phasegate.domain.foreign_text import escaped
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.domain.state.run import RunStatus
from phasegate.domain.state.time_spent import TimeSpent
from phasegate.ports import State, Warehouse
from phasegate.report.explain import Root, explain
from phasegate.report.explanation import roots_text
from phasegate.report.new_run import new_run, options_of
from phasegate.report.time_spent import time_document, time_lines
from phasegate.services.reading.asking import ask
from phasegate.services.reading.left_behind import LeftBehind, left_behind
from phasegate.services.reading.notices import notices_text
from phasegate.services.reading.progress import RunReport, cell_state, progress_document, report
from phasegate.services.reading.schedule import Query
from phasegate.services.reading.schedule_changes import schedule_news

SHOWN_MISSING = 40
"""Lines of missing tasks that a terminal is shown."""


@dataclass(frozen=True, slots=True)
class TableRows:
    """What one output table holds is counted on the run's dates."""

    table: str
    """``dataset.table``."""

    rows: int | None
    """Its rows on these dates; None when the table could not be asked."""

    dates: int | None
    """The dates on which it holds rows; None when the table could not be asked."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary says what a run leaves at its end, or where it was left."""

    report: RunReport
    """Where the run stands."""

    tables: tuple[TableRows, ...]
    """The output tables of the run, in the order of the plan."""

    skipped: dict[str, dict[str, int]]
    """Phase -> reason -> how many dates were skipped: all of the phase is rightly empty, and it came to its end."""

    roots: tuple[Root, ...]
    """What ended badly, or waits for a person or an answer."""

    left_behind: LeftBehind | None
    """What lies outside the run, and is older than what it made; None: nothing is, or the run is not over."""

    pipeline: tuple[str, ...]
    """The options that name the pipeline file and the source of the run; empty: both are what is deployed."""

    again: str
    """The command of a new run over what this one was asked for."""

    seconds: float
    """Seconds in which the run went on by itself, from its start to its end, or until now."""

    spent: TimeSpent | None = None
    """Where the time went of the process that has just driven the run; None: none did."""


def summarise(
    state: State,
    warehouse: Warehouse,
    run_id: str,
    now: datetime,
    schedule: Query | None = None,
    spent: TimeSpent | None = None,
) -> Summary:
    """Read state and tables of a run, and sum up where it stands.

    schedule: answers the queries of the run's calendar, which is read again where something ended badly; None: it is
    not. spent: where the time went of the process that drove the run; None: this one did not.
    """
    progress = report(state, run_id, now)
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
    board, _ = state.board(run_id)
    blockage = Blockage(index, board)
    for phase in index.plan.phases:
        tasks = [t for t in index.tasks if t.phase == phase]
        for position, day in enumerate(index.days):
            if cell_state(index, board, blockage, phase, position) == "skipped":
                reason = expectation(index.plan.pipeline, index.calendar, phase, tasks[0].spec, day)[1]
                reasons = skipped.setdefault(phase, {})
                reasons[reason] = reasons.get(reason, 0) + 1
    run = state.run(run_id)
    rescheduled: frozenset[date] = frozenset()
    if schedule is not None and board.bad:
        rescheduled = schedule_news(state, run_id, lambda _run, _plan: schedule, now).changes.days
    return Summary(
        report=progress,
        tables=tuple(tables),
        skipped=skipped,
        roots=explain(state, run_id, None, None, overdue=progress.overdue, rescheduled=rescheduled).roots,
        left_behind=left_behind(index, warehouse) if progress.status.is_final else None,
        pipeline=tuple(options_of(run)),
        again=new_run(run, index.plan, reprocess="failed" if progress.status is RunStatus.CANCELLED else ""),
        seconds=progress.seconds,
        spent=spent,
    )


def summary_document(summary: Summary, *, is_borne_out: bool = True) -> dict[str, Any]:
    """The document is that of ``status --json``, with the tables and every missing task by name.

    is_borne_out: whether the verifier's report, where there is one, agrees with the run's own word.
    """
    return {
        **progress_document(summary.report),
        "seconds": round(summary.seconds, 1),
        "time": time_document(summary.spent) if summary.spent else None,
        "skipped": summary.skipped,
        "tables": {t.table: {"rows": t.rows, "dates": t.dates} for t in summary.tables},
        "missing": [
            {"date": day.isoformat(), "phase": ref.partition("/")[0], "processor": ref.partition("/")[2]}
            for day, ref in summary.report.missing
        ],
        "left_behind": {
            ref: [day.isoformat() for day in days]
            for ref, days in (summary.left_behind.tables if summary.left_behind else {}).items()
        },
        "next": _next(summary, is_borne_out),
    }


def summary_text(summary: Summary, *, is_borne_out: bool = True) -> str:
    """The text is the summary for a terminal; what is missing is cut after ``SHOWN_MISSING`` lines.

    is_borne_out: as for the document.
    """
    progress = summary.report
    out = StringIO()
    console = Console(file=out, width=110, highlight=False, emoji=False, markup=False, soft_wrap=True)
    console.print(escaped(_sentence(summary, is_borne_out)))
    phases = Table(box=box.SIMPLE)
    for name in ("phase", "dates", "passed", "skipped", "failed", "blocked", "open"):
        phases.add_column(name, justify="left" if name == "phase" else "right")
    for phase, n in progress.phases.items():
        cells = (n["dates"], n["passed"], n["skipped"], n["failed"], n["blocked"], n["pending"] + n["released"])
        phases.add_row(phase, *map(str, cells))
    console.print(phases)
    for phase, reasons in summary.skipped.items():
        for reason, dates in reasons.items():
            console.print(escaped(f"skipped: {phase}, {dates} dates: {reason}"))
    tables = Table(box=box.SIMPLE)
    tables.add_column("table")
    tables.add_column("rows", justify="right")
    tables.add_column("dates", justify="right")
    for t in summary.tables:
        tables.add_row(t.table, "?" if t.rows is None else f"{t.rows:,}", "?" if t.dates is None else str(t.dates))
    console.print(tables)
    for line in notices_text(progress.run_id, progress.by_people, progress.notices, progress.now):
        console.print(escaped(line))
    _print_missing(console, summary)
    if progress.quarantined:
        console.print(f"{progress.quarantined} event(s) in quarantine")
    if summary.spent and summary.spent.calls:
        for line in time_lines(summary.spent):
            console.print(line)
    if progress.reads.statements:
        console.print(f"read in BigQuery: {progress.reads}")
    if summary.left_behind:
        console.print(escaped(_left_behind(summary.left_behind)))
    console.print(f"next: {_next(summary, is_borne_out)}")
    return out.getvalue().rstrip()


def _sentence(summary: Summary, is_borne_out: bool) -> str:
    progress = summary.report
    done, unneeded = progress.done, progress.tasks["not_needed"]
    empty = f"{progress.tasks['empty_ok']:,} rightly empty{f', {unneeded:,} not needed' if unneeded else ''}"
    pace = f", {done / summary.seconds:,.0f} tasks/s" if summary.seconds >= 1 else ""
    halted = f" ({progress.halted_because})" if progress.halted_because else ""
    doubted = "" if is_borne_out else ", and its report does not bear that out"
    return (
        f"Run {progress.run_id}: {progress.status.value}{halted}{doubted}. {progress.dates} dates, {done:,} of "
        f"{progress.tasks['expected']:,} tasks done ({empty}) in {summary.seconds:,.1f} s{pace}"
    )


def _print_missing(console: Console, summary: Summary) -> None:
    progress = summary.report
    if progress.missing:
        console.print(f"missing: {len(progress.missing):,} tasks, by name:")
    lines = _missing_lines(progress.missing)
    for line in lines[:SHOWN_MISSING]:
        console.print(f"  {line}")
    if len(lines) > SHOWN_MISSING:
        console.print(f"  … and {len(lines) - SHOWN_MISSING} more: phasegate status {progress.run_id} --json")
    if summary.roots and progress.status is not RunStatus.COMPLETED:
        console.print("why, and what to do:")
        for line in roots_text(summary.roots):
            console.print(line)


def _missing_lines(missing: Iterable[tuple[date, str]]) -> list[str]:
    """One line per date and phase names each missing processor."""
    groups: dict[tuple[date, str], list[str]] = {}
    for day, ref in missing:
        phase, _, processor = ref.partition("/")
        groups.setdefault((day, phase), []).append(processor)
    return [f"{day} {phase}: {', '.join(processors)}" for (day, phase), processors in groups.items()]


def _next(summary: Summary, is_borne_out: bool) -> str:
    """The command that a person types next; after a run that is complete, what makes again what it left behind."""
    if not (summary.report.status is RunStatus.COMPLETED and summary.left_behind and is_borne_out):
        return next_command(summary.report, summary.again, is_borne_out=is_borne_out)
    first, last = summary.left_behind.first, summary.left_behind.last
    return shlex.join(["phasegate", "run", *summary.pipeline, "--from", str(first), "--to", str(last)])


def _left_behind(behind: LeftBehind) -> str:
    names, days = list(behind.tables), sorted({day for on in behind.tables.values() for day in on})
    named = f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
    when = f"{len(days)} dates from {days[0]} to {days[-1]}" if len(days) > 1 else str(days[0])
    return f"left behind, older than what this run made: {named} on {when}"


def next_command(progress: RunReport, again: str, *, is_borne_out: bool = True) -> str:
    """The command that a person types next.

    again: that of a new run over the same. is_borne_out: whether no report says otherwise than the run.
    """
    if progress.status is RunStatus.COMPLETED and not is_borne_out:
        return f"where the report names the calendar, mend the schedule or its source; then {again}"
    if progress.status is RunStatus.COMPLETED:
        return f"phasegate status {progress.run_id}"
    if progress.status in (RunStatus.COMPLETED_WITH_FAILURES, RunStatus.HALTED):
        return f"phasegate explain {progress.run_id}, mend what it names, then phasegate retry {progress.run_id}"
    if progress.status is RunStatus.WAITING:
        return f"phasegate approve {progress.run_id} {progress.by_people.awaited[0]}"
    if progress.status is RunStatus.CANCELLED:
        return again
    return f"phasegate resume {progress.run_id}"
