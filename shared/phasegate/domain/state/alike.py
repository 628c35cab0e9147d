"""Failures, and blocked dates, are alike when they have one signature: what is left of them without what differs by
chance.

Signatures are printed in commands, so that one that an earlier version printed is still understood.
"""

import re

from phasegate.domain.foreign_text import escaped
from phasegate.domain.tracebacks import HEADER, LINE_BREAK, raised

BLOCKED = "check"
"""What stands for the class in the signature of an output that a check blocks."""

MOST_WORDS = 160
"""Characters of a message's words that are kept in a signature."""

_BY_CHANCE = re.compile(
    r"""
      (?P<code>
        # A code says what happened, and is kept: after a word that announces it,
        ["'`]?\b
        (?: (?:HTTPS?(?:/\d(?:\.\d)?)? | status | code | errno | signal)
            (?:[ _-]?(?:error|status|code|response))*
          | (?:http|exit|return|error|response)[ _-]?(?:status|code) )
        ["'`]?\s*(?:[:=]|\b(?:of|was|is)\b)?\s*["'`(\[<]?\d{1,3}\b["'`)\]>]?
        # as an answer ("https://… answered 502"), with its reason ("'404 Not Found'"),
      | \b(?:answered|responded|replied)(?:\swith)?\s[1-5]\d\d\b
      | (["'`])[45]\d\d\s(?-i:[A-Z])[^"'`]*\2
        # or where one begins what is said ("NotFound: 404 No such table").
      | (?:(?<=^)|(?<=:\s)|(?<=\()|(?<=error\s))[45]\d\d(?=$|\)|:?\s(?-i:[A-Z])|,\s\w+=)
      )
    | (?P<quoted>
        (?<!\w)(?:[bfru]{1,2})?(?: '(?:[^']|(?<=\w)'(?=\w))*'(?!\w) | "[^"]*" | `[^`]*` )
      )
    | \b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b | \b[0-9a-f]{8,}\b | \d+
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What differs by chance from one failure to the next, and the codes that do not."""


def signature(error_class: str, processor: str, message: str) -> str:
    """Join class, processor and the words of a failure: its first line, or what a traceback raised, without numbers
    that are no codes, dates, ids and quoted values."""
    words = _BY_CHANCE.sub(_kept, _telling(escaped(message)))
    return f"{error_class}:{processor}:{' '.join(words.split())[:MOST_WORDS]}"


def signature_of_block(processor: str, check: str) -> str:
    """Join a processor and the check that blocks it."""
    return f"{BLOCKED}:{processor}:{check}"


def is_of_block(sign: str) -> bool:
    """Tell whether a signature is that of an output that a check blocks."""
    return sign.startswith(f"{BLOCKED}:")


def former_signature(error_class: str, processor: str, message: str) -> str:
    """Return the signature as earlier versions made it: by the first line, all numbers alike."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "?", escaped(message).partition(r"\n")[0])
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{8,}\b|\d+", "#", text, flags=re.IGNORECASE)
    return f"{error_class}:{processor}:{' '.join(text.split())[:MOST_WORDS]}"


def _telling(text: str) -> str:
    """The line of an escaped text that says what happened; of a traceback whose end was cut off, the last one."""
    lines = LINE_BREAK.split(text)
    return raised(text) or (lines[-1][-MOST_WORDS:] if HEADER in lines[0] else lines[0])


def _kept(found: re.Match[str]) -> str:
    return found["code"] or ("?" if found["quoted"] else "#")
