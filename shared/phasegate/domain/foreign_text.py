"""Foreign text is what workers, messages, tables and callers say. It is kept and shown with nothing in it that a store
refuses or a terminal obeys, so that nobody forges a line that looks like one of ours.
"""

import threading
from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator

from phasegate.domain.redaction import SHORTEST, redacted
from phasegate.domain.tracebacks import led_by_what_was_raised

MOST_MESSAGE = 2_000
"""Characters of a message that are kept: what there is to say, in a sentence."""

_MOST_READ = 20_000
"""Characters of a text that are looked at, before it is cut."""


def escaped(text: str) -> str:
    r"""Write every character that does not print as Python does: ``\n``, ``\x1b``, ``\u202e``, ``\ud83d``.

    Those are line breaks, controls, marks that turn the direction of writing, halves of surrogate pairs, blanks that
    are no spaces. A text that is escaped already stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def escaped_lines(lines: str | Iterable[str]) -> str:
    """Join lines that are our own, each with what does not print escaped; a text is cut at its line breaks first."""
    return "\n".join(map(escaped, lines.split("\n") if isinstance(lines, str) else lines))


def kept(text: str, most: int = MOST_MESSAGE) -> str:
    """Return what is kept of a text: without secrets, escaped, so many characters at most; of a traceback what was
    raised comes first."""
    return text if _stays(text) and len(text) <= most else escaped(led_by_what_was_raised(redacted(text)))[:most]


def said(error: BaseException) -> str:
    """Return the text of an exception, even where foreign code makes it one that cannot be printed."""
    try:
        return kept(str(error)[:_MOST_READ])
    except BaseException as second:
        if is_interruption(second):
            raise
        return f"(cannot be printed: its __str__ raises {type(second).__name__})"


def told(error: BaseException) -> str:
    """Say what was raised: ``Type: text``, or the type alone."""
    kind, text = type(error).__name__, said(error)
    return f"{kind}: {text}" if text else kind


def is_interruption(error: BaseException) -> bool:
    """Tell whether an exception is an interruption of this process itself, which Python raises in the main thread, and
    not the doing of the code that was called. ``SystemExit`` always is such code's doing.
    """
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def _stays(text: str) -> bool:
    """Whether a text stays as it is: most of an event are empty, or a version."""
    return len(text) < SHORTEST and text.isprintable()


def _kept_text(value: object) -> object:
    if not isinstance(value, str) or _stays(value):
        return value
    return escaped(redacted(led_by_what_was_raised(value)[:_MOST_READ]))


def _kept_message(value: object) -> object:
    """A message is refused for the length that was sent, never for that which redaction and escapes add."""
    if not isinstance(value, str) or _stays(value):
        return value
    text = redacted(value)
    return text if min(len(value), len(text)) > MOST_MESSAGE else escaped(led_by_what_was_raised(text))[:MOST_MESSAGE]


ForeignText = Annotated[str, BeforeValidator(_kept_text)]
"""Text that somebody else sent: redacted and escaped when it is read, what a traceback raised put first."""

ForeignMessage = Annotated[str, BeforeValidator(_kept_message)]
"""The same of a field that holds ``MOST_MESSAGE`` characters."""
