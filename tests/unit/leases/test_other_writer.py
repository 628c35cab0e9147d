"""The other writer's side: the context manager, and the program of docs/workers.md."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.leases import SqliteLeases
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.errors import StaleFence, TransientError
from phasegate.domain.state.lease import Held, Lease
from phasegate.ports import Partition
from phasegate.worker import lease

PAGE = (Path(__file__).parents[3] / "docs" / "workers.md").read_text(encoding="utf-8")
TABLE, DAY = "ratings.home_margins", date(2024, 1, 15)


@pytest.fixture
def leases(tmp_path: Path) -> Iterator[SqliteLeases]:
    """Leases in a home's state file."""
    database = Database(tmp_path / "state.sqlite")
    yield SqliteLeases(database)
    database.close()


def backfill(leases: SqliteLeases) -> Lease | Held:
    """A task tries for the same lease."""
    now = datetime.now(UTC)
    return leases.take(TABLE, DAY, "r/2024-01-15/ratings/home_margins/1", now + timedelta(minutes=9), now)


def test_nobody_else_has_the_lease_inside_the_block_and_it_is_free_after_it(leases: SqliteLeases) -> None:
    with lease(leases, TABLE, DAY, "live-pipeline", 300) as held:
        assert backfill(leases) == Held(TABLE, DAY, "live-pipeline", held.until)
    assert isinstance(backfill(leases), Lease)


def test_a_block_that_fails_gives_the_lease_back(leases: SqliteLeases) -> None:
    with pytest.raises(ZeroDivisionError), lease(leases, TABLE, DAY, "live-pipeline", 300):
        1 / 0  # noqa: B018
    assert isinstance(backfill(leases), Lease)


def test_while_somebody_else_writes_the_block_is_not_entered_and_the_error_says_who(leases: SqliteLeases) -> None:
    backfill(leases)
    entered = []
    with (
        pytest.raises(TransientError, match="is being written by r/2024-01-15/ratings/home_margins/1 until"),
        lease(leases, TABLE, DAY, "live-pipeline", 300),
    ):
        entered.append(1)
    assert entered == []
    assert isinstance(backfill(leases), Held), "the lease is still the other one's"


def test_the_page_s_live_writer_writes_under_a_fence_that_keeps_off_an_attempt_from_before(
    leases: SqliteLeases, tmp_path: Path
) -> None:
    (program,) = re.findall(r"```python\n# live.py\n(.*?)```", PAGE, re.DOTALL)
    (schema,) = re.findall(r'SCHEMA = """\n(.*?)"""', PAGE, re.DOTALL)
    module: dict[str, Any] = {}
    exec(program, module)  # noqa: S102 - a page of this project
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    warehouse.apply_schema(schema)
    attempt = backfill(leases)
    assert isinstance(attempt, Lease)
    leases.give_back(attempt)
    row = b'{"game_date": "2024-01-15", "team": "BOS", "margin": 3}\n'
    assert module["write_date"](leases, warehouse, DAY, row) == 1
    with pytest.raises(StaleFence):
        warehouse.load_partition(Partition(TABLE, "game_date", DAY), row, attempt.fence)
    warehouse.close()
