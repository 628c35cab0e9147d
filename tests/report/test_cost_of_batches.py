"""What the orchestration of a run costs follows from the calls that were made, where several attempts are in one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from phasegate.domain.plan import compile_plan
from phasegate.report.verify.history import READS_A_TASK, WRITES_A_TASK, called, calls_of, cost
from tests.unit.builders import observing, plan

DOCS = Path(__file__).parents[2] / "docs"
BEGUN = datetime(2024, 1, 1, tzinfo=UTC)


def ended(processor: str, *, after: int | None = 0, fence: int = 0) -> dict[str, Any]:
    """An attempt whose call began so many seconds later; None: nobody knows when."""
    begun = None if after is None else BEGUN + timedelta(seconds=after)
    return {
        "phase": "raw",
        "processor_name": processor,
        "fence": fence,
        "started_at": begun,
        "finished_at": None if begun is None else begun + timedelta(seconds=1),
    }


def tasks_of(rows: list[dict[str, Any]], is_cloud: bool) -> int:
    """How many Cloud Tasks the cost has for these attempts."""
    lines = cost(rows, calls_of(rows, is_cloud), 0, is_cloud, query="").lines
    return {line.service: line.operations for line in lines}["Cloud Tasks"]


def test_attempts_of_one_call_cost_one_cloud_task() -> None:
    rows = [*[ended("a")] * 20, ended("a", after=1), ended("b"), ended("b", after=None), ended("b", after=None)]
    assert tasks_of(rows, is_cloud=False) == 5


def test_on_a_cloud_calls_are_told_by_their_claims_whatever_their_times_say() -> None:
    accepted = [ended("a", after=n, fence=7) for n in range(20)]
    at_one_moment = [ended("a", fence=8), ended("a", fence=9)]
    assert tasks_of([*accepted, *at_one_moment, ended("b", fence=7)], is_cloud=True) == 4
    (call,) = calls_of(accepted, is_cloud=True)
    assert (call.attempts, call.begun, call.seconds) == (20, BEGUN, 20.0), "from the first start to the last end"


def test_attempts_that_nobody_was_called_for_are_no_calls_and_the_cost_says_that_it_leaves_them_out() -> None:
    index = compile_plan(plan(observing))
    fetched = {**ended("a"), "phase": "fetch"}
    rows = [fetched, ended("a"), ended("b", after=None)]
    assert called(rows, index) == [fetched]
    assert called(rows, compile_plan(plan())) == rows
    found = cost([fetched], calls_of([fetched], is_cloud=True), 2, is_cloud=True, query="")
    assert found.attempts == 1
    assert found.not_counted[-1] == "what was read and written for 2 attempts of observed phases"
    assert len(cost(rows, [], 0, is_cloud=True, query="").not_counted) == len(found.not_counted) - 1


def test_the_documents_name_the_reads_and_writes_that_are_priced() -> None:
    assert f"a task costs {READS_A_TASK} reads, {WRITES_A_TASK} writes" in (DOCS / "architecture.md").read_text()
    said = f"{READS_A_TASK} Firestore reads and {WRITES_A_TASK} writes for each attempt"
    assert said in (DOCS / "verifier.md").read_text()
