"""What is read out of a schedule table, also out of one that is not quite filled."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from phasegate.adapters.embedded.schedule_file import ScheduleFile
from phasegate.domain.calendar.dates import LeftOutDate
from phasegate.domain.errors import InputError
from phasegate.services.reading.schedule import read_calendar, read_left_out
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


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SUM(IF(game_status = 9, 1, NULL))", "calendar.numbers.games: None on 2024-01-01 is no whole number"),
        ("AVG(game_status) / 2", "calendar.numbers.games: 1.5 on 2024-01-01 is no whole number"),
    ],
)
def test_a_number_that_is_none_is_refused(schedule: ScheduleFile, sql: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_calendar(SPEC.model_copy(update={"numbers": {"games": sql}}), schedule.query)


def test_rows_without_a_date_are_refused_where_they_count(schedule: ScheduleFile, tmp_path: Path) -> None:
    file = tmp_path / "schedule.parquet"
    lost = "SELECT 'S1', NULL, 'BOS', 'NYK', 3"
    duckdb.sql(f"COPY (SELECT * FROM (FROM read_parquet('{file}')) UNION ALL {lost}) TO '{file}.new' (FORMAT parquet)")
    Path(f"{file}.new").replace(file)
    with pytest.raises(InputError, match="rows without a game_date or season"):
        read_calendar(SPEC, ScheduleFile(tmp_path, SPEC).query)
    assert len(read_left_out(SPEC, ScheduleFile(tmp_path, SPEC).query)) == 1


def test_a_number_may_have_the_name_of_a_word_of_sql(schedule: ScheduleFile) -> None:
    spec = SPEC.model_copy(update={"numbers": {"rows": "COUNT(*)"}})
    assert read_calendar(spec, schedule.query).dates[0].numbers == {"rows": 2}
