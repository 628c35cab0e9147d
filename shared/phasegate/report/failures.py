"""The failures of a run are counted by signature: how many, since when, an example, and what to type."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from phasegate.domain.decisions.reconcile import bad_end_of
from phasegate.domain.foreign_text import escaped_lines
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.state.facts import DateFacts
from phasegate.domain.state.unsound import Failure
from phasegate.ports import RunReader
from phasegate.services.reading.progress import DATES_AT_ONCE


@dataclass(slots=True)
class Alike:
    """Failed attempts that are alike have one signature, in one phase."""

    signature: str
    """Error class, processor, and the message without numbers, ids and quoted values."""

    error_class: ErrorClass
    """The error class that all of them have."""

    phase: str
    """The phase of the processor."""

    processor: str
    """The processor that they are of."""

    attempts: int = 0
    """How many attempts failed so."""

    dates: list[date] = field(default_factory=list)
    """The distinct dates on which they failed, in order."""

    failed: list[date] = field(default_factory=list)
    """The dates on which the processor has ended badly; on the others it is tried again, or has succeeded since."""

    has_open_breaker: bool = False
    """The circuit breaker is open since so many failed alike, or in whatever way."""

    example: str = ""
    """A message as it came, of the last date."""

    def command(self, run_id: str) -> str | None:
        """The command that runs the failed dates again; None when there are none."""
        return f"phasegate retry {run_id} --signature {shlex.quote(self.signature)}" if self.failed else None


def failures_of(state: RunReader, run_id: str) -> list[Alike]:
    """Group every failed attempt of a run; those that ended most dates badly come first. Reads every date."""
    index = state.index(run_id)
    board, _ = state.board(run_id)
    groups: dict[tuple[str, str], Alike] = {}
    for first in range(0, len(index.days), DATES_AT_ONCE):
        for day, facts in state.dates(run_id, index.days[first : first + DATES_AT_ONCE]).items():
            bad = board.bad.get(day, {})
            for phase, processor, failure in _failed_attempts(facts):
                sign = failure.signature(processor)
                group = groups.setdefault((phase, sign), Alike(sign, failure.error_class, phase, processor))
                group.attempts += 1
                group.example = failure.message
                if group.dates[-1:] != [day]:
                    group.dates.append(day)
                    standing = bad.get(f"{phase}/{processor}")
                    if isinstance(standing, Failure) and standing.signature(processor) == sign:
                        group.failed.append(day)
    for group in groups.values():
        breaker = board.breakers.get(f"{group.phase}/{group.processor}")
        group.has_open_breaker = breaker is not None and breaker.signature in ("", group.signature)
    return sorted(groups.values(), key=lambda g: (-len(g.failed), -len(g.dates), g.phase, g.signature))


def _failed_attempts(facts: DateFacts) -> Iterator[tuple[str, str, Failure]]:
    for (phase, processor), attempts in sorted(facts.tasks.items()):
        for attempt in attempts:
            if (end := bad_end_of(attempt)) is not None:
                yield phase, processor, end.failure


def failures_document(run_id: str, failures: list[Alike]) -> dict[str, Any]:
    """The document has each signature with its counts, an example and the command that tries it again."""
    return {
        "run_id": run_id,
        "failures": [
            {
                "signature": each.signature,
                "error_class": each.error_class.value,
                "phase": each.phase,
                "processor": each.processor,
                "attempts": each.attempts,
                "dates": len(each.dates),
                "dates_failed": len(each.failed),
                "first": each.dates[0].isoformat(),
                "last": each.dates[-1].isoformat(),
                "braked": each.has_open_breaker,
                "example": each.example,
                "command": each.command(run_id),
            }
            for each in failures
        ],
    }


def failures_text(run_id: str, failures: list[Alike]) -> str:
    """The text says the same to people, in a few lines per signature."""
    if not failures:
        return f"run {run_id}: nothing has failed"
    lines: list[str] = []
    for each in failures:
        span = f"{each.dates[0]}" if len(each.dates) == 1 else f"{each.dates[0]} to {each.dates[-1]}"
        stands = f"{len(each.failed)} ended badly" if each.failed else "none ended badly"
        breaker = "; the circuit breaker is open" if each.has_open_breaker else ""
        lines += [
            f"{each.phase} {each.signature}",
            f"  {each.attempts} attempts on {len(each.dates)} dates, {span}; {stands}{breaker}",
            f"  for example: {each.example[:300]}",
        ]
        if command := each.command(run_id):
            lines.append(f"  -> mend the cause, then: {command}")
    return escaped_lines(lines)
