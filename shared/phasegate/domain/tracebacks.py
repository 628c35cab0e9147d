"""A Python traceback says in its last line what happened; all of them begin alike."""

import re

HEADER = "Traceback (most recent call last):"
"""The line that every traceback begins with, also each of a group of exceptions."""

LINE_BREAK = re.compile(r"\r\n?|\n|(?:\\r)?\\n")
"""A line break, also as ``escaped`` writes it."""

_MARGIN = " \t|+-"
"""What stands before a line of a traceback: its indentation, and the frame that is drawn around those of a group."""


def raised(text: str) -> str:
    """Return the line that says what was raised, of the last traceback in the text; empty: there is none, or its end
    was cut off.

    It is the first line that is indented no more than the traceback's own head. What follows it belongs to the
    exception's message.
    """
    before, found, after = text.rpartition(HEADER)
    if not found:
        return ""
    depth = _depth(LINE_BREAK.split(before)[-1])
    for line in LINE_BREAK.split(after)[1:]:
        if line.strip(_MARGIN) and _depth(line) <= depth:
            return line.lstrip(_MARGIN).rstrip()
    return ""


def led_by_what_was_raised(text: str) -> str:
    """Put what was raised before a text that holds a traceback: whoever cuts the text keeps that. A text that it stands
    before already stays as it is."""
    line = raised(text)
    return f"{line}\n{text}" if line and not text.startswith(line) else text


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(_MARGIN))
