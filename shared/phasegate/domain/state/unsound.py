"""A processor's output is not sound on a date when its task failed, a check blocks it, or the task was not run."""

from dataclasses import dataclass

from phasegate.domain.protocol.worker import NEEDS_A_PERSON, ErrorClass
from phasegate.domain.state.alike import former_signature, signature, signature_of_block


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

    def answers_to(self, sign: str, processor: str) -> bool:
        """Tell whether a signature is that of this failure, or the one that an earlier version gave it."""
        if sign == self.signature(processor):
            return True
        return sign == former_signature(self.error_class, processor, self.message)

    def __str__(self) -> str:
        return f"{self.error_class}: {self.message}"


@dataclass(frozen=True, slots=True)
class Blocked:
    """Checks block the output."""

    verdict: str
    """What the first of them found, in a sentence."""
    checks: tuple[str, ...] = ()
    """The names of the checks that block it; empty: an earlier version wrote it, and they are not known any more."""

    def signatures(self, processor: str) -> tuple[str, ...]:
        """Return what outputs of a processor have in common that one check blocks: one for each of the checks."""
        return tuple(signature_of_block(processor, check) for check in self.checks)

    def answers_to(self, sign: str, processor: str) -> bool:
        """Tell whether a signature is one of this block."""
        return sign in self.signatures(processor)

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
