"""Dates that are made together have the same objects, rows and answers as those that are made one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from nba_worker.raw import RawProcessors
from nba_worker.scrapers import ENDPOINTS, Scrapers, object_name
from nba_worker.service import NbaWorker, build
from nba_worker.source import SourceFolder
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.errors import StaleFence, WouldEmpty
from phasegate.domain.protocol.worker import ProcessorResult
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.services.starting.own_tables import make_own_tables
from tests.nba_sql import NBA, calendar_of, request_for, run_sql_batch
from tests.workers.conftest import ANALYTICS_ORDER, PRECOMPUTE_ORDER, PREDICTIONS_ORDER, Played, request_body

TABLES = [x.output for phase in NBA.phases for x in phase.processors if isinstance(x.output, TableOutput)]


@dataclass(frozen=True)
class Batched:
    """A warehouse and a worker's parts, over the source that the league was played from."""

    worker: NbaWorker
    warehouse: DuckDbWarehouse
    objects: FolderObjectStore
    scrapers: Scrapers
    raw: RawProcessors

    def process(self, days: list[date]) -> dict[tuple[date, str, str], Any]:
        """Make everything of these dates, processor by processor; the results by (day, where, processor)."""
        found: dict[tuple[date, str, str], Any] = {}
        for path, batch in (("/scrape", self.scrapers.run_batch), ("/load", self.raw.run_batch)):
            for name in ENDPOINTS:
                results = batch([request_for("any", name, day, 1) for day in days])
                assert list(results) == days
                for day, result in results.items():
                    assert isinstance(result, ProcessorResult)
                    found[day, path, name] = result.model_dump(mode="json")
        calendar = calendar_of(self.warehouse)
        for phase, names in (
            ("phase_3_analytics", ANALYTICS_ORDER),
            ("phase_4_precompute", PRECOMPUTE_ORDER),
            ("phase_5_predictions", PREDICTIONS_ORDER),
        ):
            if phase == "phase_5_predictions":
                found |= self.predict(days)
            for name in names:
                for day, (status, body) in run_sql_batch(
                    self.warehouse, calendar, name, dict.fromkeys(days, 1)
                ).items():
                    assert status == 200
                    found[day, phase, name] = body["results"][name]
        return found

    def predict(self, days: list[date]) -> dict[tuple[date, str, str], Any]:
        """Ask the learned system for these dates in one request; the results as ``process`` has them."""
        body = request_body("/predict", "xgboost_v1", days[0])
        of_date = {name: body.pop(name) for name in ("game_date", "attempt", "fence")}
        body["dates"] = [{**of_date, "game_date": day.isoformat()} for day in days]
        status, answer = self.worker.handle("/predict", body)
        assert status == 200, answer
        return {
            (day, "/predict", "xgboost_v1"): answer["dates"][day.isoformat()]["results"]["xgboost_v1"] for day in days
        }


@pytest.fixture
def batched(source_folder: Path, tmp_path: Path) -> Iterator[Batched]:
    warehouse, objects = DuckDbWarehouse(tmp_path / "warehouse.duckdb"), FolderObjectStore(tmp_path / "objects")
    worker = build(source_folder, warehouse, objects)
    worker.prepare()
    make_own_tables(NBA, NBA.phase_names, warehouse)
    source = SourceFolder(source_folder)
    yield Batched(worker, warehouse, objects, Scrapers(source, objects), RawProcessors(source, warehouse, objects))
    source.close()
    warehouse.close()


@pytest.mark.parametrize("size", [1, 7, 20])
def test_batches_leave_the_same_objects_rows_and_answers(batched: Batched, league: Played, size: int) -> None:
    results: dict[tuple[date, str, str], Any] = {}
    for first in range(0, len(league.days), size):
        results |= batched.process(list(league.days[first : first + size]))
    assert results == league.results
    for output in TABLES:
        rows = f"SELECT * EXCEPT (_fence) FROM {output.table}"
        ours, theirs = (sorted(map(repr, warehouse.query(rows))) for warehouse in (batched.warehouse, league.warehouse))
        assert ours == theirs, output.table
        assert ours or output.table.endswith(("play_by_play", "tracking_player", "tracking_team", "zone_matchup_v1"))
    first = league.days[0]
    assert all(batched.objects.read(object_name(endpoint, first)) is not None for endpoint in ENDPOINTS.values())


def test_of_a_batch_a_date_without_its_object_one_under_a_higher_fence_and_one_that_is_lost_stay_alone(
    batched: Batched, league: Played
) -> None:
    days = list(league.days[:5])
    of_batch = [request_for("any", "bdl_games", day, 5) for day in days]
    batched.scrapers.run_batch(of_batch[1:])
    batched.raw.run_batch([request_for("any", "bdl_games", days[2], 9), request_for("any", "bdl_games", days[3], 4)])
    batched.objects.write(object_name(ENDPOINTS["bdl_games"], days[3]), b"")
    absent, written, stale, lost, last = batched.raw.run_batch(of_batch).values()
    assert isinstance(absent, ProcessorResult)
    assert f"run the scraper bdl_games for {days[0]} first" in absent.message
    assert isinstance(stale, StaleFence)
    assert isinstance(lost, WouldEmpty)
    for result in (written, last):
        assert isinstance(result, ProcessorResult)
        assert (result.status, result.rows) == ("success", result.rows or 0)
    fences = batched.warehouse.query(
        "SELECT game_date, MAX(_fence) AS fence FROM nba_raw.bdl_games GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row.values()) for row in fences] == [(days[1], 5), (days[2], 9), (days[3], 4), (days[4], 5)]
