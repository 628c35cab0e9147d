"""What a task costs in operations on Google Cloud, counted at the adapters, over Google's Firestore emulator."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.messages.tasks import TaskPayload, payload_model
from phasegate.report.verify.history import READS_A_TASK, WRITES_A_TASK
from tests.contract.counted_cloud import Cloud, Operations, count_operations, driven, idle_pipeline


@pytest.fixture
def operations(firestore_emulator: object, monkeypatch: pytest.MonkeyPatch) -> Operations:
    """What the test's cloud is asked for."""
    return count_operations(monkeypatch)


def are_as_priced(cost: Counter[str]) -> bool:
    """Whether a task's reads and writes lie within a fifth of those that the report prices."""
    return abs(cost["reads"] / READS_A_TASK - 1) <= 0.2 and abs(cost["writes"] / WRITES_A_TASK - 1) <= 0.2


def test_a_task_costs_the_reads_and_writes_that_are_priced_one_cloud_task_and_one_message(
    operations: Operations, tmp_path: Path
) -> None:
    cost = driven(operations, tmp_path, dates=40, at_once=16)
    assert are_as_priced(cost), cost
    assert (cost["work tasks"], cost["messages"]) == (1, 1), cost
    assert cost["conductor tasks"] + cost["dispatch tasks"] <= 0.05, cost


def test_where_twenty_dates_travel_together_a_task_costs_a_twentieth_of_a_cloud_task_and_of_a_message(
    operations: Operations, tmp_path: Path
) -> None:
    cost = driven(operations, tmp_path, dates=40, at_once=16, dates_at_once=20)
    # Two looks at once may see a date that the other does not see yet: the batch of one of them comes to nothing.
    assert cost["work tasks"] <= 0.06 and cost["messages"] <= 0.06, cost
    assert are_as_priced(cost), f"each date has claims and reports of its own, however it travels: {cost}"


def test_a_task_of_its_own_reads_four_documents_and_writes_three_however_many_dates_the_run_has(
    operations: Operations, tmp_path: Path
) -> None:
    found = []
    for dates in (2, 40):
        cloud = Cloud(operations, idle_pipeline(tmp_path), dates, 1)
        cloud.conductor.conduct("r")
        cloud.reconciler.reconcile_days("r", cloud.plan.days[:1])
        payload = next(task.payload for _, _, task in sorted(cloud._tasks) if task.queue == "scrapers")
        operations.clear()
        cloud.runner.run(TaskPayload.model_validate_json(payload))
        cloud.listener.handle(cloud._events)
        found.append((operations["reads"], operations["writes"], operations["queries"]))
    reads, writes, queries = found[0]
    assert found[0] == found[1]
    assert (reads, queries) == (4, 0), "the date before the claim, the run, the claim, the date"
    assert writes == 3, "the claim, the report, and that its raw table was dispatched"


def test_a_sweep_reads_each_open_date_once_and_no_date_without_open_work(
    operations: Operations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dates_at_once: int
) -> None:
    cloud = Cloud(operations, idle_pipeline(tmp_path, dates_at_once), 8, 1)
    cloud.conductor.conduct("r")
    open_days = cloud.state.board("r")[0].open_days(cloud.state.index("r"))
    cloud.reconciler.reconcile_days("r", open_days)
    monkeypatch.setattr(cloud.runner, "publish", lambda completions: None)
    calls = 4 if dates_at_once == 1 else 1
    for _, _, task in [each for each in sorted(cloud._tasks) if each[2].queue == "scrapers"][:calls]:
        cloud.runner.run(payload_model(task.payload).model_validate_json(task.payload))
    read: list[date] = []
    dates = cloud.state.dates

    def noting(run_id: str, days: Sequence[date]) -> Any:
        read.extend(days)
        return dates(run_id, days)

    monkeypatch.setattr(cloud.state, "dates", noting)
    cloud.sweeper.sweep("r")
    assert read == open_days, "claims are under way, and none is dead"
    read.clear()
    called = {claim.key.day for claim in cloud.state.open_claims("r")}
    cloud.clock.move_to(cloud.clock.now() + timedelta(hours=2))
    cloud.sweeper.sweep("r")
    assert (read[: len(open_days)], set(read[len(open_days) :])) == (open_days, called)
    assert called < set(open_days), "there are dates of which nothing was ended"
    assert {heal.kind for heal in cloud.state.heals("r")} >= {"lease"}, "only what was ended is read once more"
