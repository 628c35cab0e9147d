"""One season's first thirty game dates, run once through the reference worker: what the tests here look at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from nba_worker.scrapers import ENDPOINTS
from nba_worker.service import NbaWorker, build
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.calendar.dates import Calendar
from phasegate.services.starting.own_tables import make_own_tables
from tests.nba_sql import NBA, calendar_of, run_sql
from tests.workers.reference import Reference

SEASON = "2023-24"
DATES = 30
SETTINGS = dict(NBA.workers["nba"].constants)["settings"]
"""What the pipeline file sets for the worker."""
ANALYTICS_ORDER = (
    "team_offense_game_summary",
    "team_defense_game_summary",
    "player_game_summary",
    "upcoming_team_game_context",
    "upcoming_player_game_context",
)
PRECOMPUTE_ORDER = (
    "team_defense_zone_analysis",
    "player_shot_zone_analysis",
    "player_composite_factors",
    "player_daily_cache",
    "ml_feature_store_v2",
)
PREDICTIONS_ORDER = (
    "moving_average_baseline",
    "zone_matchup_v1",
    "similarity_balanced_v1",
    "ensemble_v1",
    "player_prop_predictions",
    "prediction_accuracy",
    "system_daily_performance",
    "prediction_performance_summary",
    "scoring_tier_adjustments",
)
ORDER = (
    *(("/scrape", name) for name in ENDPOINTS),
    *(("/load", name) for name in ENDPOINTS),
    *(("phase_3_analytics", name) for name in ANALYTICS_ORDER),
    *(("phase_4_precompute", name) for name in PRECOMPUTE_ORDER),
    ("/predict", "xgboost_v1"),
    *(("phase_5_predictions", name) for name in PREDICTIONS_ORDER),
)
"""All processors as (path, or phase of a SELECT, name), each after those that it reads from."""

MakeFolder = Callable[..., Path]


def request_body(path: str, processor: str, day: date, fence: int = 1, **more: Any) -> dict[str, Any]:
    name_field = "scraper" if path == "/scrape" else "processor"
    return {
        "run_id": "test",
        "phase": "any",
        "attempt": 1,
        "fence": fence,
        "deadline": "2030-01-01T00:00:00Z",
        "game_date": day.isoformat(),
        name_field: processor,
        **({"settings": SETTINGS} if path == "/predict" else {}),
        **more,
    }


@dataclass(frozen=True)
class Played:
    """A worker and its warehouse, with everything of ``days`` processed; ``results`` by (day, where, processor).

    where: the path of a request, or the phase of a SELECT.
    """

    worker: NbaWorker
    warehouse: DuckDbWarehouse
    calendar: Calendar
    days: tuple[date, ...]
    results: dict[tuple[date, str, str], dict[str, Any]]

    def ask(self, path: str, processor: str, day: date, fence: int = 1) -> tuple[int, dict[str, Any]]:
        if not path.startswith("/"):
            return run_sql(self.warehouse, self.calendar, processor, day, fence)
        return self.worker.handle(path, request_body(path, processor, day, fence))

    def process(self, day: date, fence: int = 1) -> None:
        for path, processor in ORDER:
            status, body = self.ask(path, processor, day, fence)
            assert status == 200, (day, path, processor, body)
            self.results[day, path, processor] = body["results"][processor]

    def rows(self, table: str, date_column: str, day: date) -> list[dict[str, Any]]:
        found = self.warehouse.query(f"SELECT * FROM {table} WHERE {date_column} = @d", {"d": day})
        return sorted(({k: v for k, v in row.items() if k != "_fence"} for row in found), key=repr)


def play(source: Path, home: Path, season_dates: int) -> Played:
    """Process the first dates of a source folder's first season in a new warehouse."""
    warehouse = DuckDbWarehouse(home / "warehouse.duckdb")
    worker = build(source, warehouse, FolderObjectStore(home / "objects"))
    worker.prepare()
    days = warehouse.query(
        "SELECT DISTINCT game_date FROM nba_raw.nbac_schedule WHERE season = @s AND game_status = 3 ORDER BY 1",
        {"s": SEASON},
    )
    make_own_tables(NBA, NBA.phase_names, warehouse)
    played = Played(
        worker, warehouse, calendar_of(warehouse), tuple(row["game_date"] for row in days[:season_dates]), {}
    )
    for day in played.days:
        played.process(day)
    return played


def with_shots(source: Path, folder: Path) -> Path:
    """The season's first weeks of a source folder in another one, each shot of them in some zone."""
    zones = "['Restricted Area', 'In The Paint (Non-RA)', 'Mid-Range', 'Left Corner 3', 'Above the Break 3']"
    for name in ("schedule", "team_boxscores", "player_boxscores"):
        rows = f"SELECT * FROM '{source}/{name}.parquet' WHERE season = '{SEASON}' AND game_date < '2023-12-01'"
        duckdb.sql(f"COPY ({rows}) TO '{folder}/{name}.parquet'")
    duckdb.sql(
        f"COPY (SELECT game_date, game_id, team, player_id, {zones}[1 + (player_id + n) % 5] AS zone, n <= fgm AS made "
        f"FROM '{folder}/player_boxscores.parquet', UNNEST(RANGE(1, fga + 1)) AS shots(n)) "
        f"TO '{folder}/shots.parquet'"
    )
    return folder


@pytest.fixture(scope="session")
def reference(source_folder: Path) -> Reference:
    return Reference.read(source_folder, SEASON)


@pytest.fixture(scope="session")
def league(source_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    played = play(source_folder, tmp_path_factory.mktemp("league"), DATES)
    yield played
    played.warehouse.close()


@pytest.fixture
def make_folder(source_folder: Path, tmp_path: Path) -> MakeFolder:
    """Write a source folder with the season's first ten days, each file through a SELECT of its own if given."""

    def make(**selects: str) -> Path:
        folder = tmp_path / "source"
        folder.mkdir(exist_ok=True)
        for name in {"schedule", "team_boxscores", "player_boxscores", *selects}:
            rows = (
                f"(SELECT * FROM '{source_folder}/{name}.parquet' WHERE season = '{SEASON}' "
                f"AND game_date < '2023-11-03')"
            )
            select = selects.get(name, "SELECT * FROM rows").replace("rows", rows)
            duckdb.sql(f"COPY ({select}) TO '{folder}/{name}.parquet'")
        return folder

    return make
