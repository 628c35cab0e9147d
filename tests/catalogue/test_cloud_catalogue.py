"""The failure catalogue on Google Cloud's adapters: scenarios and mutations as in ``test_catalogue.py``.

State is Firestore's emulator; f23 also writes to BigQuery's stand-in.
"""

import json
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.gcp.bigquery.warehouse import BigQueryWarehouse
from phasegate.adapters.gcp.clients import bigquery_client, firestore_client
from phasegate.adapters.gcp.firestore.state import FirestoreState
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.errors import StaleFence
from phasegate.domain.plan import compile_plan
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import AttemptKey
from phasegate.domain.state.run import RunStatus
from phasegate.ports import ClaimRequest, Partition, Partitions
from phasegate.services.operating.decisions import waive
from tests.catalogue.cloud import CloudWorld
from tests.catalogue.mutations import (
    never_look_for_lost_dispatches,
    silence_reports,
    throttles_cost,
    try_for_ever,
    unproved_is_a_throttle,
    waivers_have_no_end,
    write_history_row_by_row,
)
from tests.catalogue.rows import Act, Mutated, Row, mutations_of
from tests.unit.builders import plan, run
from tests.world import FIRST_DAY, START

A_WHILE = timedelta(minutes=5)

pytestmark = pytest.mark.usefixtures("dates_at_once")


# The scenarios


def f01(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    with CloudWorld(tmp_path, patch, dates=1) as cloud:
        handle = cloud.worker.handle
        patch.setattr(cloud.worker, "handle", lambda path, body: (sent.append(dict(body)), handle(path, body))[1])
        cloud.begin()
        cloud.drive(timedelta(seconds=80))
        facts = cloud.state.dates("r", cloud.days)
    assert sent and all(body["skip_downstream_trigger"] is True and body["backfill_mode"] is True for body in sent)
    for day in cloud.days:
        tried = [a for found in facts[day].tasks.values() for a in found]
        assert tried and all(a.reported is not None for a in tried)


def f06(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    lost: list[str] = []
    with CloudWorld(tmp_path, patch, dates=1) as cloud:

        def loses_one(task: Any) -> bool:
            is_lost = not lost and task.queue == "work"
            lost.extend([task.name] * is_lost)
            return is_lost

        cloud.tasks.loses = loses_one
        cloud.begin()
        found = cloud.drive(timedelta(minutes=12))
        heals = [heal.kind for heal in cloud.state.heals("r")]
    assert lost
    assert found.status is RunStatus.COMPLETED
    assert heals == ["delivery"]


def f15(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    def change(document: dict[str, Any]) -> None:
        document["phases"][1]["processors"][0]["checks"] = [{"check": "rows", "exactly": "8 * games"}]
        document["phases"][2]["gates"].append({"check": "approval"})

    with CloudWorld(tmp_path, patch, dates=1, change=change) as cloud:
        cloud.begin()
        assert cloud.drive(A_WHILE).phases["raw"]["blocked"] == 1
        clock = cloud.world.clock
        scope: dict[str, Any] = {"dates": cloud.days, "check": "rows", "phase": "raw", "processor": "a"}
        end = (clock.now() + timedelta(days=1)).isoformat()
        waive(cloud.state, clock, "r", until=end, by="ann", why="few games are known", **scope)
        cloud.services.sweep("r")
        found = cloud.drive(A_WHILE)
        assert (found.phases["raw"]["passed"], found.status) == (1, RunStatus.WAITING)
        clock.move_to(clock.now() + timedelta(days=2))
        cloud.services.sweep("r")
        assert cloud.drive(A_WHILE).phases["raw"]["blocked"] == 1, "ended: blocked again"


def f18(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    with CloudWorld(tmp_path, patch, dates=1) as cloud:
        cloud.world.misbehave(raw__a__0=["fail:throttle"] * 4)
        cloud.begin()
        found = cloud.drive(A_WHILE)
    assert found.status is RunStatus.COMPLETED
    assert found.failures == ()


def f19(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    append, calls = DuckDbWarehouse.append_missing, []
    patch.setattr(DuckDbWarehouse, "append_missing", lambda *a: (calls.append(a[1]), append(*a))[1])
    with CloudWorld(tmp_path, patch, dates=2) as cloud:
        cloud.begin()
        assert cloud.drive(A_WHILE).status is RunStatus.COMPLETED
    assert calls == ["ref.history", "ref.backfill_contents"], "18 attempts, one write of each kind"


def f20(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    with CloudWorld(tmp_path, patch, dates=1) as cloud:
        cloud.world.misbehave(raw__a__0=["fail:not_yet"] * 50)
        cloud.begin()
        found = cloud.drive(timedelta(minutes=1))
        assert cloud.attempts("raw", "a", cloud.days[0]) == 3, "the first and two retries"
    assert [f.failure.error_class for f in found.failures] == ["not_yet"]


def f22(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    with CloudWorld(tmp_path, patch, dates=1) as cloud:
        cloud.world.misbehave(**{f"raw__{name}__0": ["lie"] * 50 for name in "ab"})
        cloud.begin()
        found = cloud.drive(timedelta(minutes=1))
    assert found.status is RunStatus.COMPLETED_WITH_FAILURES, "it ends"
    assert {f.failure.message for f in found.failures} == {"reported success, the table holds no row"}, "and says why"


def f23(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    project = f"t{uuid.uuid4().hex[:20]}"
    state = FirestoreState(firestore_client(CloudSettings(project=project)))
    frozen, key = plan(), AttemptKey(FIRST_DAY, "raw", "a", 1)
    state.create_run(run(run_id="r", created_at=START), frozen, Board.blank("r", compile_plan(frozen), START))
    requests = [ClaimRequest(key._replace(attempt=n), 1, 1, (), START) for n in (1, 2)]
    first, second = (claim.fence for each in requests for claim in state.claim("r", [each], START) if claim)
    settings = CloudSettings.from_environment()
    warehouse = BigQueryWarehouse(bigquery_client(settings), settings, labels={})
    table = f"catalogue.{project}"
    warehouse.apply_schema(f"CREATE TABLE IF NOT EXISTS `{table}` (d DATE, v INT64, _fence INT64);")

    def write(value: int, fence: int) -> None:
        line = json.dumps({"d": str(FIRST_DAY), "v": value})
        warehouse.load_partition(Partition(table, "d", FIRST_DAY), line.encode(), fence)

    write(2, second)
    with suppress(StaleFence):
        write(1, first)
    assert warehouse.query(f"SELECT v, _fence FROM `{table}`") == [{"v": 2, "_fence": second}]


# The mutations


def ignore_fences(patch: pytest.MonkeyPatch) -> None:
    put = BigQueryWarehouse._replace

    def mutated(self: BigQueryWarehouse, these: Partitions, *words: Any) -> Any:
        return put(self, replace(these, fences=dict.fromkeys(these.fences, 2**62)), *words)

    patch.setattr(BigQueryWarehouse, "_replace", mutated)


STATE = ("firestore_emulator",)
ROWS = {
    "f01": Row(f01, STATE, (silence_reports,)),
    "f06": Row(f06, STATE, (never_look_for_lost_dispatches,)),
    "f15": Row(f15, STATE, (waivers_have_no_end,)),
    "f18": Row(f18, STATE, (throttles_cost,)),
    "f19": Row(f19, STATE, (write_history_row_by_row,)),
    "f20": Row(f20, STATE, (try_for_ever,)),
    "f22": Row(f22, STATE, (unproved_is_a_throttle,)),
    "f23": Row(f23, (*STATE, "bigquery_emulator"), (ignore_fences,)),
}


def test_f01_completions_are_heard_while_the_live_cascade_is_off(act: Act) -> None:
    act(ROWS["f01"])


def test_f06_a_task_that_cloud_tasks_took_and_lost_is_made_again_by_a_sweep(act: Act) -> None:
    act(ROWS["f06"])


def test_f15_a_waiver_ends_by_the_sweepers_clock(act: Act) -> None:
    act(ROWS["f15"])


def test_f18_a_quota_error_is_a_throttle_not_a_failure(act: Act) -> None:
    act(ROWS["f18"])


def test_f19_bookkeeping_reaches_the_warehouse_in_batches(act: Act) -> None:
    act(ROWS["f19"])


def test_f20_attempts_for_what_is_not_published_yet_are_capped(act: Act) -> None:
    act(ROWS["f20"])


def test_f22_workers_that_answer_success_and_do_nothing_come_to_an_end(act: Act) -> None:
    act(ROWS["f22"])


def test_f23_a_late_write_under_an_old_fence_is_refused(act: Act) -> None:
    act(ROWS["f23"])


@pytest.mark.parametrize("mutated", mutations_of(ROWS), ids=str)
def test_the_mutation_of_a_row_turns_it_red(mutated: Mutated, act: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    mutated.mutate(monkeypatch)
    with pytest.raises(AssertionError):
        act(ROWS[mutated.row])
