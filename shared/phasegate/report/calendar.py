"""Expected work by date, as a person or a program is shown it."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

from phasegate.domain.calendar.expected_work import Expectation, WorkKind
from phasegate.domain.foreign_text import escaped_lines


def calendar_document(pipeline: str, work: Sequence[Expectation]) -> dict[str, Any]:
    """The document counts dates by processor, kind and reason, and lists every (processor, date)."""
    return {
        "pipeline": pipeline,
        "dates": len({each.day for each in work if each.kind is not WorkKind.NOT_APPLICABLE}),
        "left_out": len({each.day for each in work if each.kind is WorkKind.NOT_APPLICABLE}),
        "processors": [
            {
                "phase": phase,
                "processor": processor,
                "expected": sum(kinds[WorkKind.EXPECTED].values()),
                "empty_ok": dict(kinds[WorkKind.EMPTY_OK]),
                "not_applicable": dict(kinds[WorkKind.NOT_APPLICABLE]),
            }
            for (phase, processor), kinds in _counts(work).items()
        ],
        "work": [_line(each) for each in work],
    }


def calendar_text(pipeline: str, work: Sequence[Expectation]) -> str:
    """The text counts dates by processor, kind and reason; a reason follows its count."""
    days = sorted({each.day for each in work if each.kind is not WorkKind.NOT_APPLICABLE})
    span = f", {days[0]} to {days[-1]}" if days else ""
    lines = [f"Expected work of pipeline {pipeline}: {len(days)} dates{span}"]
    shown = ""
    wrong = {(e.phase, e.processor, e.reason) for e in work if e.kind is WorkKind.EMPTY_OK and not e.may_hold_rows}
    for (phase, processor), kinds in _counts(work).items():
        if phase != shown:
            shown = phase
            lines += ["", phase]
        lines.append(f"  {processor}: {sum(kinds[WorkKind.EXPECTED].values())} expected")
        for why, n in kinds[WorkKind.EMPTY_OK].items():
            words = "rightly empty" if (phase, processor, why) in wrong else "with rows or without"
            lines.append(f"    {n} {words}: {why}")
        lines.extend(f"    {n} not applicable: {why}" for why, n in kinds[WorkKind.NOT_APPLICABLE].items())
    return escaped_lines(lines)


def date_text(day: date, work: Sequence[Expectation]) -> str:
    """The text says what is expected on one date, in one line per processor."""
    lines = [f"Expected on {day}"]
    for each in work:
        if each.kind is WorkKind.EXPECTED:
            what = ", ".join(map(str, each.amounts)) or "an output"
        elif each.kind is WorkKind.EMPTY_OK:
            what = f"{'rows or nothing' if each.may_hold_rows else 'nothing'}: {each.reason}"
        else:
            what = f"not applicable: {each.reason}"
        lines.append(f"  {each.phase}/{each.processor}: {what}")
    return escaped_lines(lines)


def _counts(work: Sequence[Expectation]) -> dict[tuple[str, str], dict[WorkKind, Counter[str]]]:
    """Dates are counted by reason per processor and kind, in the order of the pipeline file."""
    counts: dict[tuple[str, str], dict[WorkKind, Counter[str]]] = {}
    for each in work:
        kinds = counts.setdefault((each.phase, each.processor), {kind: Counter() for kind in WorkKind})
        kinds[each.kind][each.reason] += 1
    return counts


def _line(each: Expectation) -> dict[str, Any]:
    return {
        "date": each.day.isoformat(),
        "phase": each.phase,
        "processor": each.processor,
        "kind": each.kind.value,
        "amounts": [{"what": a.what, "count": a.count, "exact": a.is_exact} for a in each.amounts],
        "may_hold_rows": each.may_hold_rows,
        "reason": each.reason,
    }
