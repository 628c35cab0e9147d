"""Preflight: what must be true before a run starts, a line for each, and what follows from the lines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from phasegate.domain.errors import InputError, TransientError


class Level(StrEnum):
    """PASS: it was looked at and is right. WARN: it was not looked at, or is worth a look. FAIL: no run may start."""

    PASS = "PASS"  # noqa: S105 - a word, not a secret
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class PreflightLine:
    """One thing that was checked.

    check: what kind of thing (``subscription``). subject: which one. detail: what was found. remedy: what to do; empty
    for a PASS. may_pass: a FAIL that a later try may find mended (a service that did not answer).
    """

    check: str
    subject: str
    level: Level
    detail: str
    remedy: str = ""
    may_pass: bool = False

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.level} {self.check} {self.subject}: {self.detail}{remedy}"


def passed(check: str, subject: str, detail: str) -> PreflightLine:
    """A line for what is right."""
    return PreflightLine(check, subject, Level.PASS, detail)


def warned(check: str, subject: str, detail: str, remedy: str) -> PreflightLine:
    """A line for what was not checked, or is worth a look."""
    return PreflightLine(check, subject, Level.WARN, detail, remedy)


def failed(check: str, subject: str, detail: str, remedy: str) -> PreflightLine:
    """A line for what is wrong."""
    return PreflightLine(check, subject, Level.FAIL, detail, remedy)


def unanswered(check: str, subject: str, detail: str) -> PreflightLine:
    """A line for what could not be asked just now."""
    return PreflightLine(check, subject, Level.FAIL, f"could not be asked: {detail}", "try again", may_pass=True)


def failures(lines: Iterable[PreflightLine]) -> list[PreflightLine]:
    """The lines that forbid a start."""
    return [line for line in lines if line.level is Level.FAIL]


def require_passed(lines: Sequence[PreflightLine]) -> None:
    """Refuse a start when a line is FAIL.

    Raises InputError that names each with its remedy; TransientError when all of them may be mended by waiting.
    """
    if found := failures(lines):
        error = TransientError if all(line.may_pass for line in found) else InputError
        listed = "\n".join(f"  {line}" for line in found)
        raise error(f"preflight: {len(found)} of {len(lines)} checks failed, nothing was started\n{listed}")
