"""What the orchestration of a run costs follows from the calls that were made, where several attempts are in one."""

from datetime import UTC, datetime, timedelta
from typing import Any

from phasegate.report.verify.history import cost

BEGUN = datetime(2024, 1, 1, tzinfo=UTC)


def ended(processor: str, *, after: int | None = 0) -> dict[str, Any]:
    """An attempt whose call began so many seconds later; None: nobody knows when."""
    begun = None if after is None else BEGUN + timedelta(seconds=after)
    return {
        "phase": "raw",
        "processor_name": processor,
        "started_at": begun,
        "finished_at": None if begun is None else begun + timedelta(seconds=1),
    }


def test_attempts_of_one_call_cost_one_cloud_task() -> None:
    rows = [*[ended("a")] * 20, ended("a", after=1), ended("b"), ended("b", after=None), ended("b", after=None)]
    found = cost(rows, is_cloud=True, query="")
    assert (found.attempts, {line.service: line.operations for line in found.lines}["Cloud Tasks"]) == (24, 5)
