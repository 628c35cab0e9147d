"""An explanation is written for programs and for people."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from phasegate.domain.foreign_text import escaped, escaped_lines
from phasegate.report.explain import Explanation, Root


def explanation_document(explanation: Explanation) -> dict[str, Any]:
    """The document has every reason, however many there are."""
    return {
        "run_id": explanation.run_id,
        "status": explanation.status.value,
        "note": explanation.note,
        "roots": [
            {
                "date": r.day.isoformat(),
                "phase": r.phase,
                "processor": r.processor,
                "kind": r.kind,
                "detail": r.detail,
                "waiting": [{"date": d.isoformat(), "phase": p} for d, p in r.waiting],
                "remedy": r.remedy,
            }
            for r in explanation.roots
        ],
        "cells": [
            {
                "date": c.day.isoformat(),
                "phase": c.phase,
                "state": c.state,
                "reasons": list(c.reasons),
                "waits_for": list(c.waits_for),
                "tasks": [{"processor": p, "status": s, "message": m} for p, s, m in c.tasks],
                "verdicts": [
                    {
                        "outcome": v.outcome,
                        "check": v.check,
                        "subject": v.subject,
                        "expected": v.expected,
                        "found": v.found,
                        "detail": v.detail,
                        "missing": list(v.missing),
                        "threshold": v.threshold,
                        "fingerprint": v.fingerprint,
                        "waived_by": v.waived_by,
                    }
                    for v in c.verdicts
                ],
                "waivers": [w.model_dump(mode="json") for w in c.waivers],
            }
            for c in explanation.cells
        ],
    }


def explanation_text(explanation: Explanation) -> str:
    """The text is for people: it cuts long lists."""
    lines = [f"run {explanation.run_id}: {explanation.status.value}"]
    if explanation.note:
        lines.append(explanation.note)
    for cell in explanation.cells:
        lines += ["", f"{cell.day} {cell.phase}: {cell.state}"]
        lines.extend(_shortened([f"  because {reason}" for reason in cell.reasons]))
        lines.extend(_shortened([f"  waits for {reason}" for reason in cell.waits_for]))
        lines.extend(f"  {name}: {state}{f' ({message})' if message else ''}" for name, state, message in cell.tasks)
        signed = {w.id: f" (waived {w.term} by {w.by}: {w.why})" for w in cell.waivers}
        lines.extend(f"  check {v.check} {v.outcome}: {v}{signed.get(v.waived_by, '')}" for v in cell.verdicts)
    if explanation.roots:
        lines += ["", "The roots of it:"]
        lines.extend(roots_text(explanation.roots))
    return escaped_lines(lines)


def roots_text(roots: Iterable[Root]) -> list[str]:
    """The lines put roots of one remedy together: what is wrong, what waits for it, what to type."""
    groups: dict[tuple[str, str, str], list[Root]] = {}
    for root in roots:
        groups.setdefault((root.remedy, root.phase, root.kind), []).append(root)
    lines: list[str] = []
    for (remedy, phase, kind), members in groups.items():
        days = sorted({root.day for root in members})
        lines.append(f"  {_span(days)} {phase} is {kind}:")
        details = dict.fromkeys(
            root.detail if root.detail.startswith(root.processor) else f"{root.processor}: {root.detail}"
            for root in members
        )
        lines.extend(_shortened([f"    {detail}" for detail in details], MOST_DETAILS))
        waiting: dict[str, set[date]] = {}
        for root in members:
            for day, behind in root.waiting:
                waiting.setdefault(behind, set()).add(day)
        lines.extend(f"    waiting for it: {name}, {_span(sorted(held))}" for name, held in sorted(waiting.items()))
        lines.append(f"    -> {remedy}")
    return list(map(escaped, lines))


MOST_DETAILS = 25
"""Details that are shown of the roots of one remedy."""


def _shortened(lines: list[str], most: int = 10) -> list[str]:
    return lines if len(lines) <= most else [*lines[:most], f"    … and {len(lines) - most} more (--json has all)"]


def _span(days: list[date]) -> str:
    if len(days) <= 3:
        return ", ".join(map(str, days))
    return f"{len(days)} dates from {days[0]} to {days[-1]}"
