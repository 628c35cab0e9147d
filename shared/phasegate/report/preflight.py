"""What preflight found, as a person or a program is shown it."""

from collections.abc import Sequence
from typing import Any

from phasegate.domain.foreign_text import escaped_lines
from phasegate.domain.operations.preflight import Level, PreflightLine, failures


def preflight_document(lines: Sequence[PreflightLine]) -> dict[str, Any]:
    """The document says whether a run may start, counts the lines of each level, and has every line."""
    return {
        "may_start": not failures(lines),
        "counts": {level.value: sum(line.level is level for line in lines) for level in Level},
        "lines": [
            {
                "level": line.level.value,
                "check": line.check,
                "subject": line.subject,
                "detail": line.detail,
                "remedy": line.remedy,
            }
            for line in lines
        ],
    }


def preflight_text(lines: Sequence[PreflightLine]) -> str:
    """The text has every line, and says in the end what follows from them."""
    failed = len(failures(lines))
    end = (
        f"{failed} of {len(lines)} checks failed: no run may start"
        if failed
        else f"{len(lines)} checks: a run may start"
    )
    return escaped_lines([*map(str, lines), end])
