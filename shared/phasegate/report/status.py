"""The status says to people where a run stands."""

from collections.abc import Mapping
from typing import Any

from phasegate.domain.foreign_text import escaped, escaped_lines
from phasegate.services.reading.counts import Counts
from phasegate.services.reading.notices import notices_text
from phasegate.services.reading.progress import RunReport


def status_text(progress: RunReport, undriven: str | None = None) -> str:
    """The text says where a run stands. undriven: what to do since nobody drives it; None: somebody does."""
    tasks, lines = progress.tasks, _head(progress, undriven)
    states = ", ".join(f"{n:,} {name}" for name, n in tasks.items() if n and name != "expected")
    lines.append(f"  tasks: {tasks['expected']:,} expected: {states}")
    lines.extend(f"  failed: {f.date} {f.phase}/{f.processor}: {f.failure.message}" for f in progress.failures[:10])
    lines.extend(f"  past its deadline: {c.claim.key.day} {c.claim.key.phase}/{c}" for c in progress.overdue[:10])
    lines.extend(
        f"  {line}" for line in notices_text(progress.run_id, progress.by_people, progress.notices, progress.now)
    )
    if progress.reads.statements:
        lines.append(f"  read in BigQuery: {progress.reads}")
    if progress.failures or progress.blocked or progress.overdue:
        lines.append(f"why, and what to do: phasegate explain {progress.run_id}")
    return escaped_lines(lines)


def unreadable_text(document: Mapping[str, Any]) -> str:
    """The line tells of a run that this version cannot read, and what to do."""
    return escaped(f"{document['run_id']}  {document['status']}  {document['reason']}")


def counts_text(counts: Counts, undriven: str | None = None) -> str:
    """Say how far a run is, while it goes on. undriven: what to do since nobody drives it; None: somebody does."""
    lines = _head(counts, undriven)
    lines.extend(f"  failed: {day} {ref}: {failure.message}" for day, ref, failure in counts.failures)
    if counts.failed > len(counts.failures):
        lines.append(f"  and {counts.failed - len(counts.failures):,} more failed")
    return escaped_lines(lines)


def _head(of: RunReport | Counts, undriven: str | None) -> list[str]:
    eta = f", about {of.eta_seconds:,.0f} s to go" if of.eta_seconds is not None and undriven is None else ""
    lines = [f"run {of.run_id} of pipeline {of.pipeline}: {of.status.value}, {of.dates} dates{eta}"]
    if not of.status.is_at_rest and undriven is not None:
        lines.append(f"no process drives it; {undriven}")
    for phase, counts in of.phases.items():
        states = ", ".join(f"{n} {name}" for name, n in counts.items() if n and name != "dates")
        lines.append(f"  {phase}: {states}")
    return lines
