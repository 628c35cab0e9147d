"""What is read out of a schedule table, also out of one that is not quite filled."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from shared.adapters.embedded.schedule_file import ScheduleFile
from shared.domain.calendar import LeftOutDate
from shared.services.schedule import read_calendar, read_left_out
from tests.unit.builders import pipeline

SPEC = pipeline().calendar
PLAYED, OFF = date(2024, 1, 1), date(2024, 1, 2)


@pytest.fixture
def schedule(tmp_path: Path) -> ScheduleFile:
    """One played game of two, whose home team nobody entered; the next day's games are postponed, or unknown."""
    games = f"""VALUES ('S1', DATE '{PLAYED}', 'BOS', 'NYK', 3), ('S1', DATE '{PLAYED}', NULL, 'CHI', 3),
        ('S1', DATE '{OFF}', 'BOS', 'NYK', 4), ('S1', DATE '{OFF}', 'ATL', 'CHI', NULL)"""
    columns = "g(season, game_date, home_team, away_team, game_status)"
    duckdb.sql(f"COPY (SELECT * FROM ({games}) AS {columns}) TO '{tmp_path / 'schedule.parquet'}' (FORMAT parquet)")
    return ScheduleFile(tmp_path, SPEC)


def test_a_team_that_nobody_entered_is_no_team(schedule: ScheduleFile) -> None:
    (found,) = read_calendar(SPEC, schedule.query).dates
    assert (found.day, found.numbers, found.entities) == (PLAYED, {"games": 2}, {"teams": ("BOS", "CHI", "NYK")})


def test_a_date_whose_rows_all_fail_the_condition_is_left_out_with_their_number(schedule: ScheduleFile) -> None:
    assert read_left_out(SPEC, schedule.query) == (LeftOutDate(OFF, "S1", 2),)
