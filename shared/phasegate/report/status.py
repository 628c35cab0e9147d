"""Where a run stands, for people."""

from phasegate.services.reading.notices import notices_text
from phasegate.services.reading.progress import RunReport


def status_text(found: RunReport, driver: str | None) -> str:
    """Where a run stands, for people. ``driver``: who drives it; None: nobody does."""
    tasks = found.tasks
    eta = f", about {found.eta_seconds:,.0f} s to go" if found.eta_seconds is not None and driver else ""
    lines = [f"run {found.run_id} of pipeline {found.pipeline}: {found.status.value}, {found.dates} dates{eta}"]
    if not found.status.is_at_rest and driver is None:
        lines.append(f"no process drives it; go on with: phasegate resume {found.run_id}")
    for phase, counts in found.phases.items():
        states = ", ".join(f"{n} {name}" for name, n in counts.items() if n and name != "dates")
        lines.append(f"  {phase}: {states}")
    states = ", ".join(f"{n:,} {name}" for name, n in tasks.items() if n and name != "expected")
    lines.append(f"  tasks: {tasks['expected']:,} expected: {states}")
    lines.extend(f"  failed: {f.date} {f.phase}/{f.processor}: {f.failure.message}" for f in found.failures[:10])
    lines.extend(f"  {line}" for line in notices_text(found.run_id, found.by_people, found.notices, found.now))
    if found.failures or found.blocked:
        lines.append(f"why, and what to do: phasegate explain {found.run_id}")
    return "\n".join(lines)
