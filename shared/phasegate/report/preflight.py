"""What preflight found, as it is shown to a person or a program."""

from collections.abc import Sequence
from typing import Any

from phasegate.domain.operations.preflight import Level, PreflightLine, failures


def preflight_document(lines: Sequence[PreflightLine]) -> dict[str, Any]:
    """Whether a run may start, how many lines there are of each level, and every line."""
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
    """A line each, and what follows from them."""
    found = len(failures(lines))
    end = (
        f"{found} of {len(lines)} checks failed: no run may start" if found else f"{len(lines)} checks: a run may start"
    )
    return "\n".join([*map(str, lines), end])
