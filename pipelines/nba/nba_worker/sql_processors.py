"""What a run that was planned before SELECTs were processors asks for: analytics and precompute, as this worker does.

The statements are those of the pipeline file, the parameters too. Nothing that is planned now comes here.
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from nba_worker.schedule import BOOTSTRAP_DAYS, Schedule
from nba_worker.scrapers import nothing_to_do
from phasegate.ports import Parameter, Partition, Warehouse
from phasegate.worker import ErrorClass, ProcessorResult, ResultStatus, hash_of_statement

PIPELINE = Path(__file__).parents[1]
"""Folder of the pipeline's SQL and schema, beside this package in the checkout and when installed."""


@dataclass(frozen=True, slots=True)
class SqlProcessor:
    """A processor has one output table and the column that it is partitioned by. The SELECT lies in
    ``sql/dataset/name.sql``.
    """

    name: str
    """What requests and the pipeline file call it; its table has the same name."""
    dataset: str
    """The dataset of its table."""
    date_column: str
    """The column that the table is partitioned by."""

    @property
    def table(self) -> str:
        """Return ``dataset.name``."""
        return f"{self.dataset}.{self.name}"


ANALYTICS = {
    name: SqlProcessor(name, "nba_analytics", "game_date")
    for name in (
        "player_game_summary",
        "team_offense_game_summary",
        "team_defense_game_summary",
        "upcoming_player_game_context",
        "upcoming_team_game_context",
    )
}

PRECOMPUTE = {
    processor.name: processor
    for processor in (
        SqlProcessor("team_defense_zone_analysis", "nba_precompute", "analysis_date"),
        SqlProcessor("player_shot_zone_analysis", "nba_precompute", "analysis_date"),
        SqlProcessor("player_composite_factors", "nba_precompute", "game_date"),
        SqlProcessor("player_daily_cache", "nba_precompute", "cache_date"),
        SqlProcessor("ml_feature_store_v2", "nba_predictions", "game_date"),
    )
}


READS_PROPS = "upcoming_player_game_context"
"""The processor that reads the betting lines of its date."""


@lru_cache
def select_of(processor: SqlProcessor) -> str:
    """Return the processor's SELECT in the BigQuery dialect, which is written for sets of dates."""
    return (PIPELINE / "sql" / processor.dataset / f"{processor.name}.sql").read_text(encoding="utf-8")


@lru_cache
def hash_of(name: str) -> str:
    """Return the hash of a processor's SELECT, of the text that is run."""
    return hash_of_statement(select_of({**ANALYTICS, **PRECOMPUTE}[name]))


class SqlProcessors:
    """These run the SELECT of a processor for one date, with the bounds of the date's window."""

    def __init__(self, schedule: Schedule, warehouse: Warehouse) -> None:
        self._schedule = schedule
        self._warehouse = warehouse

    def run(self, processor: SqlProcessor, day: date, fence: int) -> ProcessorResult:
        """Replace the date's partition of the processor's table. Raises StaleFence."""
        partition = Partition(processor.table, processor.date_column, day)
        reason = self._reason_for_nothing(processor, day)
        if reason:
            self._warehouse.load_partition(partition, b"", fence)
            return nothing_to_do(reason)
        window = self._schedule.window(day)
        bounds = {"season_start": window.season_start, "window_start": window.window_start}
        parameters: dict[str, Parameter] = {"dates": [{"d": day, **bounds}], "first": day, "last": day, **bounds}
        rows = self._warehouse.replace_partition(partition, select_of(processor), parameters, fence)
        if rows:
            return ProcessorResult(status=ResultStatus.SUCCESS, rows=rows)
        if processor.name == "upcoming_player_game_context":
            return nothing_to_do("no player of the date's teams has appeared earlier this season")
        return ProcessorResult(
            status=ResultStatus.FAILED,
            rows=0,
            message=f"{processor.name} found no input rows for {day}: run the processors that it reads from first",
            error_class=ErrorClass.NOT_YET,
        )

    def _reason_for_nothing(self, processor: SqlProcessor, day: date) -> str:
        if not self._schedule.is_game_date(day):
            return f"no game of {day} was played to its end"
        if processor.name in PRECOMPUTE and self._schedule.is_bootstrap(day):
            return f"bootstrap: nothing is precomputed for the first {BOOTSTRAP_DAYS} days of a season"
        if processor.name == "upcoming_player_game_context" and self._schedule.is_first_date(day):
            return "the first game date of the season: nobody has appeared yet"
        return ""
