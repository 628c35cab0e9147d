"""A processor's output is not sound on a date when its task failed, a check blocks it, or the task was not run."""

import re
from dataclasses import dataclass

from phasegate.domain.foreign_text import escaped
from phasegate.domain.protocol.worker import NEEDS_A_PERSON, ErrorClass


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt ended badly. The text of it is ``class: message``."""

    error_class: ErrorClass
    """Decides whether and when the task is tried again."""
    message: str
    """What was said, as it came."""
    http_status: int | None = None
    """The status with which the worker was refused to the runner; None: it was not, or that is not known any more."""

    @property
    def needs_a_person(self) -> bool:
        """Tell whether nothing goes on before somebody acts: the whole run halts."""
        return self.http_status == NEEDS_A_PERSON

    def signature(self, processor: str) -> str:
        """Return what failures of a processor that are alike have in common."""
        return signature(self.error_class, processor, self.message)

    def __str__(self) -> str:
        return f"{self.error_class}: {self.message}"


@dataclass(frozen=True, slots=True)
class Blocked:
    """A check blocks the output."""

    verdict: str
    """What the check found, in a sentence."""

    def __str__(self) -> str:
        return self.verdict


@dataclass(frozen=True, slots=True)
class NotRun:
    """The task was not run, because something that it needs ended badly."""

    reason: str
    """The same in a sentence."""

    def __str__(self) -> str:
        return self.reason


Unsound = Failure | Blocked | NotRun
"""Each is shown to people by its ``str``."""


def signature(error_class: str, processor: str, message: str) -> str:
    """Join class, processor and the message without its numbers, dates, ids and quoted values."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "?", escaped(message).partition(r"\n")[0])
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{8,}\b|\d+", "#", text, flags=re.IGNORECASE)
    return f"{error_class}:{processor}:{' '.join(text.split())[:160]}"
