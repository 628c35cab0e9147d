"""What the schedule says now, and did not when a run was planned, in words: with the dates, and what to type."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from phasegate.domain.plan import Plan, ScheduleChanges
from phasegate.domain.state.run import Run
from phasegate.report.new_run import new_run
from phasegate.services.operating.refresh import Proposal
from phasegate.services.reading.schedule_changes import ScheduleNews

DATES_NAMED = 5
"""Dates of one kind that a line names."""


def news_text(news: ScheduleNews) -> list[str]:
    """Write the lines for people; none, where nothing changed."""
    run = news.run
    if news.unread:
        return [f"the schedule could not be compared with the plan's: {news.unread}"]
    if not news.changes:
        return []
    return [
        "the schedule has changed since the run was planned, which goes on by the dates and numbers of its plan:",
        *_changes_text(news.changes),
        *gained_text(run, news.plan, news.changes),
        f"what would be taken over: phasegate refresh {run.run_id}",
    ]


def _changes_text(changes: ScheduleChanges) -> list[str]:
    lines = [f"  {day}: {said}" for day, said in list(changes.changed.items())[:DATES_NAMED]]
    if (more := len(changes.changed) - DATES_NAMED) > 0:
        lines.append(f"  and {more} more dates with other numbers or keys (--json has all)")
    if changes.lost:
        lines.append(f"  the schedule does not have any more: {_listed(changes.lost)}")
    if changes.looked_back_on:
        lines.append(f"  windows of the run, or seasons that it reads, differ on: {_listed(changes.looked_back_on)}")
    return lines


def gained_text(run: Run, plan: Plan, changes: ScheduleChanges) -> list[str]:
    """Name the dates that the schedule gained, with the command of the run that takes them; nothing, where there are
    none."""
    if not changes.gained:
        return []
    taken = new_run(run, plan, changes.gained)
    return [f"  new in its selection, and not in the run: {_listed(changes.gained)}; to take them: {taken}"]


def proposal_text(proposal: Proposal) -> list[str]:
    """Say what a refresh would take over, and do; and that nothing was done yet."""
    run, changes = proposal.run, proposal.changes
    made = "nothing is made again"
    if proposal.days:
        days = f"{len(proposal.days)} dates" if len(proposal.days) > 1 else f"{proposal.days[0]}"
        made = f"{proposal.tasks_made} tasks on {days} are made by it, with all that was built on them"
    return [
        f"run {run.run_id}: the schedule has changed since it was planned:",
        *_changes_text(changes),
        *gained_text(run, proposal.before.plan, changes),
        f"{made}; nothing was changed yet; to take it over: phasegate refresh {run.run_id} --yes",
    ]


def proposal_document(proposal: Proposal) -> dict[str, Any]:
    """Write the same for programs."""
    return {
        "run_id": proposal.run.run_id,
        "schedule": news_document(ScheduleNews(proposal.run, proposal.before.plan, proposal.changes)),
        "dates": _written(proposal.days),
        "tasks": proposal.tasks_made,
        "is_done": False,
        "command": f"phasegate refresh {proposal.run.run_id} --yes",
    }


def news_document(news: ScheduleNews) -> dict[str, Any]:
    """Write the value of ``schedule`` in ``status --json`` and ``explain --json``."""
    changes = news.changes
    return {
        "changed": [{"date": day.isoformat(), "detail": said} for day, said in changes.changed.items()],
        "lost": _written(changes.lost),
        "gained": _written(changes.gained),
        "looked_back_on": _written(changes.looked_back_on),
        "not_read": news.unread or None,
        "commands": [
            *([f"phasegate refresh {news.run.run_id}"] if changes else []),
            *([new_run(news.run, news.plan, changes.gained)] if changes.gained else []),
        ],
    }


def _written(days: Sequence[date]) -> list[str]:
    return [day.isoformat() for day in days]


def _listed(days: Sequence[date]) -> str:
    named = ", ".join(map(str, days[:DATES_NAMED]))
    return f"{named} and {len(days) - DATES_NAMED} more" if len(days) > DATES_NAMED else named
