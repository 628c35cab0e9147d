"""What check and preflight found, as a person or a program is shown it."""

from collections.abc import Sequence
from typing import Any

from phasegate.domain.foreign_text import escaped_lines
from phasegate.domain.operations.preflight import Level, PreflightLine, failures
from phasegate.domain.spec.pipeline import Pipeline


def check_document(pipeline: Pipeline, lines: Sequence[PreflightLine]) -> dict[str, Any]:
    """The document names the pipeline of a file that is right, and has a line for each thing that could not be told."""
    return {"pipeline": pipeline.pipeline, "counts": _counts(pipeline), "lines": [_document(line) for line in lines]}


def check_text(file: str, pipeline: Pipeline, lines: Sequence[PreflightLine]) -> str:
    """The text has every line, and says in the end what was looked at."""
    counted = ", ".join(f"{number} {name}" for name, number in _counts(pipeline).items())
    return escaped_lines([*map(str, lines), f"{file}: {counted}; nothing is wrong"])


def _counts(pipeline: Pipeline) -> dict[str, int]:
    processors = [each for phase in pipeline.phases for each in phase.processors]
    checks = [check for each in (pipeline.phases, processors) for holder in each for check in holder.checks]
    return {"phases": len(pipeline.phases), "processors": len(processors), "checks": len(checks)}


def preflight_document(lines: Sequence[PreflightLine]) -> dict[str, Any]:
    """The document says whether a run may start, counts the lines of each level, and has every line."""
    return {
        "may_start": not failures(lines),
        "counts": {level.value: sum(line.level is level for line in lines) for level in Level},
        "lines": [_document(line) for line in lines],
    }


def _document(line: PreflightLine) -> dict[str, str]:
    return {
        "level": line.level.value,
        "check": line.check,
        "subject": line.subject,
        "detail": line.detail,
        "remedy": line.remedy,
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
