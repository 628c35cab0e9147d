"""What the schedule says now, and did not when a run was planned, in words: with the dates, and what to type."""

import shlex
from collections.abc import Sequence
from datetime import date
from typing import Any

from phasegate.domain.plan import Plan
from phasegate.domain.state.run import Run
from phasegate.report.explain import options_of
from phasegate.services.reading.schedule_changes import ScheduleNews

DATES_NAMED = 5
"""Dates of one kind that a line names."""


def command_for(run: Run, plan: Plan, days: Sequence[date]) -> str:
    """Return the command of the run that takes dates which this one does not have; its phases are the same."""
    whole = plan.phases == plan.pipeline.phase_names
    phases = [] if whole else ["--phases", f"{plan.phases[0]}..{plan.phases[-1]}"]
    return shlex.join(["phasegate", "run", *options_of(run), "--dates", ",".join(map(str, days)), *phases])


def news_text(news: ScheduleNews) -> list[str]:
    """Write the lines for people; none, where nothing changed."""
    run, changes = news.run, news.changes
    if news.unread:
        return [f"the schedule could not be compared with the plan's: {news.unread}"]
    if not changes:
        return []
    lines = ["the schedule has changed since the run was planned, which goes on by the dates and numbers of its plan:"]
    lines += [f"  {day}: {said}" for day, said in list(changes.changed.items())[:DATES_NAMED]]
    if (more := len(changes.changed) - DATES_NAMED) > 0:
        lines.append(f"  and {more} more dates with other numbers or keys (--json has all)")
    if changes.lost:
        lines.append(f"  the schedule does not have any more: {_listed(changes.lost)}")
    if changes.looked_back_on:
        lines.append(f"  windows of the run lose or gain: {_listed(changes.looked_back_on)}")
    if changes.gained:
        taken = command_for(run, news.plan, changes.gained)
        lines.append(f"  new in its selection, and not in the run: {_listed(changes.gained)}; to take them: {taken}")
    return lines


def news_document(news: ScheduleNews) -> dict[str, Any]:
    """Write the value of ``schedule`` in ``status --json`` and ``explain --json``."""
    changes = news.changes
    return {
        "changed": [{"date": day.isoformat(), "detail": said} for day, said in changes.changed.items()],
        "lost": _written(changes.lost),
        "gained": _written(changes.gained),
        "looked_back_on": _written(changes.looked_back_on),
        "not_read": news.unread or None,
        "commands": [command_for(news.run, news.plan, changes.gained)] if changes.gained else [],
    }


def _written(days: Sequence[date]) -> list[str]:
    return [day.isoformat() for day in days]


def _listed(days: Sequence[date]) -> str:
    named = ", ".join(map(str, days[:DATES_NAMED]))
    return f"{named} and {len(days) - DATES_NAMED} more" if len(days) > DATES_NAMED else named
