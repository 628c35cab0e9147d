"""What the reference pipeline's statements read is what its file says that they read."""

from datetime import date
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.plan import PlanIndex, compile_plan
from phasegate.domain.plan.blank import blank_plan
from phasegate.domain.spec.pipeline import TableOutput
from tests.nba_sql import ANALYTICS, PRECOMPUTE, PREDICTIONS, WINDOW_DATES, SqlProcessor, bounds_of, select_of
from tests.unit.builders import calendar, days
from tests.workers.conftest import Played

FILE = Path(__file__).parents[2] / "pipelines" / "nba" / "pipeline.yaml"
EVERY_SELECT = [*ANALYTICS.values(), *PRECOMPUTE.values(), *PREDICTIONS.values()]


@pytest.fixture(scope="module")
def index() -> PlanIndex:
    pipeline = load_pipeline(FILE)
    season = calendar(days(3))
    return compile_plan(blank_plan(pipeline, pipeline.phase_names, days(3), season.dates))


def behind(index: PlanIndex, ref: str) -> set[str]:
    """The processors that one is made from, on its date and in its windows."""
    same_date, windows = index.inputs[index.by_ref[ref].number]
    return {*same_date, *(name for name, _ in windows)}


@pytest.mark.parametrize("processor", EVERY_SELECT, ids=lambda each: each.name)
def test_a_statement_reads_nothing_that_its_processor_does_not_say(index: PlanIndex, processor: SqlProcessor) -> None:
    tables = {output.table: task.ref for task in index.tasks if isinstance(output := task.spec.output, TableOutput)}
    parsed = sqlglot.parse_one(select_of(processor), read="bigquery")
    read = {tables[name] for table in parsed.find_all(exp.Table) if (name := f"{table.db}.{table.name}") in tables}
    assert read
    assert read <= behind(index, tables[processor.table])


@pytest.mark.parametrize("processor", EVERY_SELECT, ids=lambda each: each.name)
def test_a_statement_that_reads_the_schedule_of_its_season_says_so_and_reads_it_as_the_calendar_does(
    index: PlanIndex, processor: SqlProcessor
) -> None:
    schedule = index.plan.pipeline.calendar
    parsed = sqlglot.parse_one(select_of(processor), read="bigquery")
    reads = [
        select.args["where"].sql()
        for table in parsed.find_all(exp.Table)
        if f"{table.db}.{table.name}" == schedule.table and (select := table.find_ancestor(exp.Select)) is not None
    ]
    (spec,) = [task.spec for task in index.tasks if task.processor == processor.name]
    assert (spec.reads_calendar is not None) == any("@season_start" in where for where in reads)
    assert all(schedule.condition in where for where in reads)


@pytest.mark.parametrize("name", ["upcoming_player_game_context", "team_defense_zone_analysis"])
def test_windows_hold_fifteen_game_dates_and_stay_inside_the_season(league: Played, name: str) -> None:
    processor, first = {**ANALYTICS, **PRECOMPUTE}[name], date(2023, 10, 24)
    bounds = {day: bounds_of(processor, league.calendar, day) for day in league.calendar.season("2023-24")}
    assert bounds[first]["window_start"] == bounds[date(2023, 11, 2)]["window_start"] == first
    late = bounds[date(2023, 12, 4)]
    dates = [day for day in bounds if late["window_start"] <= day < date(2023, 12, 4)]
    assert (late["season_start"], len(dates)) == (first, WINDOW_DATES)


@pytest.mark.parametrize(
    ("name", "read", "dates"),
    [
        ("prediction_accuracy", "phase_3_analytics/player_game_summary", None),
        ("prediction_performance_summary", "phase_5_predictions/prediction_accuracy", None),
        ("scoring_tier_adjustments", "phase_5_predictions/prediction_accuracy", 29),
    ],
)
def test_grading_and_feedback_wait_for_all_dates_that_they_look_back_on(
    name: str, read: str, dates: int | None
) -> None:
    pipeline, season = load_pipeline(FILE), calendar(days(200))
    plan = compile_plan(blank_plan(pipeline, pipeline.phase_names, days(200), season.dates))
    _, windows = plan.inputs[plan.by_ref[f"phase_5_predictions/{name}"].number]
    waited_for = {day for ref, edge in windows if ref == read for day in edge.whole[199]}
    assert waited_for == set(days(199)[-dates:] if dates else days(199))
