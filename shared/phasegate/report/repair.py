"""What a repair would do, as a person or a program is shown it."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from phasegate.domain.decisions.needed import Why
from phasegate.domain.foreign_text import escaped_lines
from phasegate.domain.plan import Plan
from phasegate.report.plan import Reasons, outdated_lines, stale_document, stale_lines

if TYPE_CHECKING:
    from phasegate.services.starting.planner import PlanMade

NOTHING = (
    "nothing to repair: no table of these dates was made from what has changed since, or by another version of its "
    "worker, or holds what does not pass"
)

NAMED = 6
"""Processors that the text names of those whose tables do not pass."""


def repair_document(made: "PlanMade | None", words: Sequence[str], *, is_done: bool) -> dict[str, Any]:
    """The document names what is stale, with the reason, and what else runs again.

    made: what would run; None: nothing is stale. words: the command that was typed. is_done: a run of it follows.
    """
    tasks = _also(made.plan, made.why) if made else {}
    return {
        "dates": [day.isoformat() for day in made.plan.days] if made else [],
        "stale": stale_document(made.stale) if made else {},
        "outdated": stale_document(made.outdated) if made else {},
        "also": {ref: {day.isoformat(): reason.value for day, reason in days.items()} for ref, days in tasks.items()},
        "command": shlex.join(words) if made and not is_done else None,
    }


def repair_text(made: "PlanMade | None", words: Sequence[str], *, is_done: bool) -> str:
    """The text says the same in lines."""
    if made is None:
        return NOTHING
    also = _also(made.plan, made.why)
    cells, rest = sum(map(len, made.stale.values())), sum(map(len, also.values()))
    lines: list[str] = []
    if cells:
        lines = [f"{cells:,} tables and dates were made from what has changed since:", *stale_lines(made.stale)]
    if unsound := _for(Why.UNSOUND, also):
        named = f"{', '.join(list(unsound)[:NAMED])}{', …' if len(unsound) > NAMED else ''}"
        lines.append(f"{sum(map(len, unsound.values())):,} tables and dates hold what does not pass: {named}")
    if old := _for(Why.OUTDATED, also):
        told = {ref: {day: made.outdated[ref][day] for day in days} for ref, days in old.items()}
        lines.append(f"{sum(map(len, old.values())):,} tables and dates were made by another version of their worker:")
        lines += outdated_lines(told)
    rest -= sum(map(len, unsound.values())) + sum(map(len, old.values()))
    lines.append(f"{rest:,} more tasks are built on them, or read for them, on {len(made.plan.days)} dates in all")
    lines += [] if is_done else ["", f"to make them again: {shlex.join(words)}"]
    return escaped_lines(lines)


def _for(reason: Why, also: Mapping[str, Mapping[date, Why]]) -> dict[str, list[date]]:
    """What runs again for one reason: by ``phase/processor``, the dates."""
    found = {ref: [day for day, why in days.items() if why is reason] for ref, days in also.items()}
    return {ref: days for ref, days in found.items() if days}


def _also(plan: Plan, why: Reasons) -> Mapping[str, Mapping[date, Why]]:
    """What else runs: by ``phase/processor`` and date, why."""
    found = {
        ref: {
            day: reason
            for day, reason in zip(plan.days, whys, strict=True)
            if reason is not None and reason is not Why.STALE
        }
        for ref, whys in why.items()
    }
    return {ref: days for ref, days in found.items() if days}
