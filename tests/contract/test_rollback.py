"""A rollback on every backend: the same numbers before, the same deletions, the same records."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path

import pytest

from phasegate.adapters.embedded.clock import VirtualClock
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.gcp.bigquery.warehouse import BigQueryWarehouse
from phasegate.adapters.gcp.clients import bigquery_client, storage_client
from phasegate.adapters.gcp.objects import GcsObjectStore
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.errors import TransientError
from phasegate.domain.operations.rollback import Scope, choose_refs
from phasegate.ports import ObjectStore, Partition, State, Warehouse
from phasegate.services.operating.rollback import Deleted, Signature, Survey, delete, survey
from tests.contract.conftest import NOW, Backend
from tests.unit.builders import calendar, days, pipeline
from tests.world import TABLES

DAYS = days(6)

_numbers = count()


@dataclass
class Tables:
    """The world's tables and objects of three dates, in one backend; ``state`` is of the embedded one."""

    warehouse: Warehouse
    objects: ObjectStore
    state: State

    def fill(self) -> None:
        ddl = "; ".join(
            f"CREATE TABLE IF NOT EXISTS `{table}` (d DATE, k STRING, v INT64, _fence INT64)"
            for table in TABLES.values()
        )
        self.warehouse.apply_schema(ddl)
        for day in DAYS[:3]:
            self.objects.write(f"a/{day}.jsonl", b"{}")
            for table in ("raw.a", "shape.left_side", "final.total"):
                lines = "".join(f"{json.dumps({'d': str(day), 'k': key, 'v': 1})}\n" for key in "xy")
                self.warehouse.load_partition(Partition(table, "d", day), lines.encode(), 1)

    def reconcile(self, phases: str, chosen: list[date]) -> Survey:
        found, known = pipeline(), calendar(DAYS)
        names, refs = choose_refs(found, phases, ())
        return survey(Scope(found, known, names, tuple(refs), tuple(chosen)), self.warehouse, self.objects)

    def delete(self, found: Survey) -> Deleted:
        signature = Signature("ann", "wrong")
        return delete(found, self.state, self.warehouse, self.objects, VirtualClock(NOW), signature)


@pytest.fixture(params=["embedded", "gcp"])
def filled(request: pytest.FixtureRequest, tmp_path: Path, backend: Backend) -> Iterator[Tables]:
    """Three of six dates are filled."""
    warehouse: Warehouse
    objects: ObjectStore
    if request.param == "embedded":
        warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
        objects = FolderObjectStore(tmp_path / "objects")
    else:
        request.getfixturevalue("bigquery_emulator")
        request.getfixturevalue("storage_emulator")
        settings = CloudSettings.from_environment()
        warehouse = BigQueryWarehouse(bigquery_client(settings), settings, labels={"phasegate": "test"})
        bucket = f"contract-rollback-{next(_numbers)}"
        storage_client(settings).create_bucket(bucket)
        objects = GcsObjectStore(storage_client(settings), bucket)
    made = Tables(warehouse, objects, backend.state)
    made.fill()
    yield made
    warehouse.close()


def test_what_is_shown_is_what_is_deleted_and_recorded(filled: Tables) -> None:
    found = filled.reconcile("fetch..shape", DAYS[1:])
    assert [(each.ref, each.rows, each.days) for each in found.holdings] == [
        ("fetch/a", 2, tuple(DAYS[1:3])),
        ("raw/a", 4, tuple(DAYS[1:3])),
        ("shape/left", 4, tuple(DAYS[1:3])),
    ]
    assert [(each.ref, each.rows) for each in found.stale] == [("final/total", 2)], "nothing is due on the second date"
    made = filled.delete(found)
    assert made.by_ref == {"fetch/a": 2, "raw/a": 4, "shape/left": 4}
    assert json.loads(filled.objects.read(f"{made.record}/intended.json"))["by"] == "ann"
    assert json.loads(filled.objects.read(f"{made.record}/done.json"))["deleted"] == made.by_ref
    left = filled.reconcile("fetch..final", DAYS)
    assert {each.ref: (each.rows, len(each.days)) for each in left.holdings} == {
        "fetch/a": (1, 1), "raw/a": (2, 1), "shape/left": (2, 1), "final/total": (6, 3),
    }  # fmt: skip
    assert (filled.reconcile("fetch..shape", DAYS[1:]).holdings, filled.reconcile("final", DAYS[3:]).holdings) == (
        (),
        (),
    )


def test_a_warehouse_that_does_not_answer_may_be_asked_again(filled: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filled.warehouse, "ask", lambda questions: [TransientError("away")] * len(questions))
    with pytest.raises(TransientError, match="away"):
        filled.reconcile("shape", DAYS)
