"""Preflight checks what must be true before a run starts, a line for each, and says what follows from the lines."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from phasegate.domain.errors import InputError, TransientError
from phasegate.domain.protocol.worker import Batches, Offered


class Level(StrEnum):
    """A level says what a line means for the start."""

    PASS = "PASS"  # noqa: S105 - a word, not a secret
    """It was checked and is right."""
    WARN = "WARN"
    """It was not checked, or deserves attention."""
    FAIL = "FAIL"
    """No run may start."""


@dataclass(frozen=True, slots=True)
class PreflightLine:
    """A line of preflight is about one thing that was checked."""

    check: str
    """What kind of thing it is, for example ``subscription``."""

    subject: str
    """Which one of its kind."""

    level: Level
    """Whether it is right, may be wrong, or forbids a start."""

    detail: str
    """What was found, in a few words."""

    remedy: str = ""
    """What to do about it; empty for a PASS."""

    may_pass: bool = False
    """Whether a later try may find a FAIL mended: a service did not answer."""

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.level} {self.check} {self.subject}: {self.detail}{remedy}"


def passed(check: str, subject: str, detail: str) -> PreflightLine:
    """Make a line for what is right."""
    return PreflightLine(check, subject, Level.PASS, detail)


def warned(check: str, subject: str, detail: str, remedy: str) -> PreflightLine:
    """Make a line for what was not checked, or deserves attention."""
    return PreflightLine(check, subject, Level.WARN, detail, remedy)


def failed(check: str, subject: str, detail: str, remedy: str) -> PreflightLine:
    """Make a line for what is wrong."""
    return PreflightLine(check, subject, Level.FAIL, detail, remedy)


def unanswered(check: str, subject: str, detail: str) -> PreflightLine:
    """Make a line for what could not be asked just now."""
    return PreflightLine(check, subject, Level.FAIL, f"could not be asked: {detail}", "try again", may_pass=True)


def differing_batches(worker: str, asked: Batches, offered: Offered, paths: Collection[str]) -> PreflightLine | None:
    """Make the line for a worker that takes several dates otherwise than ``workers.X.batches`` says; None: it does not.

    offered: how it takes them, by path. paths: those at which it is called.
    """
    for path in sorted(paths) if asked != "none" else ():
        if (takes := offered.get(path, "none")) != asked:
            detail = f"takes several dates at {path} as {takes}, the pipeline file has batches: {asked}"
            return failed("worker", worker, detail, f"deploy it, or correct workers.{worker}.batches")
    return None


def failures(lines: Iterable[PreflightLine]) -> list[PreflightLine]:
    """Return the lines that forbid a start."""
    return [line for line in lines if line.level is Level.FAIL]


def require_passed(lines: Sequence[PreflightLine]) -> None:
    """Refuse a start when a line is FAIL.

    Raises InputError that names each with its remedy; TransientError when all of them may be mended by waiting.
    """
    if failed_lines := failures(lines):
        error = TransientError if all(line.may_pass for line in failed_lines) else InputError
        listed = "\n".join(f"  {line}" for line in failed_lines)
        raise error(f"preflight: {len(failed_lines)} of {len(lines)} checks failed, nothing was started\n{listed}")
