"""The status says to people where a run stands."""

from phasegate.domain.foreign_text import escaped_lines
from phasegate.services.reading.notices import notices_text
from phasegate.services.reading.progress import RunReport


def status_text(progress: RunReport, driver: str | None) -> str:
    """The text says where a run stands. driver: who drives it; None: nobody does."""
    tasks = progress.tasks
    eta = f", about {progress.eta_seconds:,.0f} s to go" if progress.eta_seconds is not None and driver else ""
    lines = [
        f"run {progress.run_id} of pipeline {progress.pipeline}: {progress.status.value}, {progress.dates} dates{eta}"
    ]
    if not progress.status.is_at_rest and driver is None:
        lines.append(f"no process drives it; go on with: phasegate resume {progress.run_id}")
    for phase, counts in progress.phases.items():
        states = ", ".join(f"{n} {name}" for name, n in counts.items() if n and name != "dates")
        lines.append(f"  {phase}: {states}")
    states = ", ".join(f"{n:,} {name}" for name, n in tasks.items() if n and name != "expected")
    lines.append(f"  tasks: {tasks['expected']:,} expected: {states}")
    lines.extend(f"  failed: {f.date} {f.phase}/{f.processor}: {f.failure.message}" for f in progress.failures[:10])
    lines.extend(f"  past its deadline: {c.claim.key.day} {c.claim.key.phase}/{c}" for c in progress.overdue[:10])
    lines.extend(
        f"  {line}" for line in notices_text(progress.run_id, progress.by_people, progress.notices, progress.now)
    )
    if progress.failures or progress.blocked or progress.overdue:
        lines.append(f"why, and what to do: phasegate explain {progress.run_id}")
    return escaped_lines(lines)
