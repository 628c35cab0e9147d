"""Beside the counts of a run stand warnings, waivers with what passes by them, approvals given and awaited."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from phasegate.domain.decisions.waiving import is_in_force
from phasegate.domain.state.facts import WARN, DateFacts
from phasegate.domain.state.run import Approval, Waiver


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice is a verdict that is not right and held nothing back."""

    date: date
    """The date that was checked."""

    phase: str
    """The name of the phase."""

    processor: str
    """The processor whose output was checked."""

    check: str
    """What verdicts and waivers call the check."""

    detail: str
    """What the check found, in a sentence."""

    waived_by: str
    """The id of the waiver by which it passes; empty: the check only warns."""


@dataclass(frozen=True, slots=True)
class DecisionsByPeople:
    """People decide in a run what may pass and what may go."""

    waivers: tuple[Waiver, ...]
    """Every waiver, in force or ended, oldest first."""

    approvals: tuple[Approval, ...]
    """Every approval, oldest first."""

    awaited: tuple[str, ...]
    """The phases that wait for nothing but an approval, by name."""


def notices(facts: DateFacts) -> Iterator[Notice]:
    """Find the notices on one date."""
    for phase, cell in facts.cells.items():
        for group in cell.groups.values():
            for verdict in group.verdicts:
                if verdict.outcome == WARN or verdict.waived_by:
                    yield Notice(facts.day, phase, verdict.subject, verdict.check, verdict.detail, verdict.waived_by)


def notices_document(by_people: DecisionsByPeople, found: Iterable[Notice], now: datetime) -> dict[str, Any]:
    """Write the keys of ``status --json`` that this module is about."""
    found = list(found)
    return {
        "warnings": [_notice(notice) for notice in found if not notice.waived_by],
        "waivers": [
            {
                **waiver.model_dump(mode="json"),
                "in_force": is_in_force(waiver, now),
                "passed": [_notice(notice) for notice in found if notice.waived_by == waiver.id],
            }
            for waiver in by_people.waivers
        ],
        "approvals": [approved.model_dump(mode="json") for approved in by_people.approvals],
        "waits_for_approval": list(by_people.awaited),
    }


def notices_text(run_id: str, by_people: DecisionsByPeople, found: Iterable[Notice], now: datetime) -> list[str]:
    """Write the same for people, a line each."""
    found = list(found)
    lines = [f"waits for a person: phasegate approve {run_id} {phase}" for phase in by_people.awaited]
    lines += [
        f"approved: {a.phase} by {a.by}, {a.at:%Y-%m-%d %H:%M} UTC{f': {a.why}' if a.why else ''}"
        for a in by_people.approvals
    ]
    for waiver in by_people.waivers:
        passed = sum(notice.waived_by == waiver.id for notice in found)
        ends = waiver.term if is_in_force(waiver, now) else "ended"
        lines.append(f"waived: {scope(waiver)}, {ends}, by {waiver.by}: {waiver.why} ({passed} verdict(s) pass by it)")
    warnings = [notice for notice in found if not notice.waived_by]
    lines += [f"warning: {r.date} {r.phase}/{r.processor}: {r.detail}" for r in warnings[:10]]
    return [*lines, f"… and {len(warnings) - 10} more warnings (--json has all)"] if len(warnings) > 10 else lines


def scope(waiver: Waiver) -> str:
    """Say in words what a waiver is about."""
    where = "/".join(part for part in (waiver.phase, waiver.processor) if part)
    days = [day.isoformat() for day in waiver.dates]
    when = ", ".join(days) if len(days) <= 3 else f"{len(days)} dates from {days[0]} to {days[-1]}"
    return f"{waiver.check}{f' of {where}' if where else ''} on {when}"


def _notice(notice: Notice) -> dict[str, Any]:
    return {
        "date": notice.date.isoformat(),
        "phase": notice.phase,
        "processor": notice.processor,
        "check": notice.check,
        "detail": notice.detail,
    }
