"""What is read out of a schedule table, also out of one that is not quite filled."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from phasegate.adapters.embedded.schedule_file import ScheduleFile
from phasegate.domain.calendar.dates import LeftOutDate
from phasegate.domain.errors import InputError
from phasegate.domain.spec.pipeline import SourceSpec
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
        ("MAX(home_team)", "calendar.numbers.games: BOS on 2024-01-01 is no whole number"),
        ("MAX(game_date)", "calendar.numbers.games: 2024-01-01 on 2024-01-01 is no whole number"),
        ("CAST('nan' AS FLOAT64)", "calendar.numbers.games: nan on 2024-01-01 is no whole number"),
        ("CAST('inf' AS FLOAT64)", "calendar.numbers.games: inf on 2024-01-01 is no whole number"),
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


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("CAST(game_date AS VARCHAR)", r"game_date holds '2024-01-0\d', which is no DATE; CAST the column AS DATE"),
        ("CAST(game_date AS TIMESTAMP)", r"game_date holds '2024-01-0\d 00:00:00', which is no DATE"),
    ],
)
def test_a_date_column_of_another_type_is_refused(
    schedule: ScheduleFile, tmp_path: Path, column: str, message: str
) -> None:
    file = tmp_path / "schedule.parquet"
    rows = f"SELECT * REPLACE ({column} AS game_date) FROM read_parquet('{file}')"
    duckdb.sql(f"COPY ({rows}) TO '{file}.new' (FORMAT parquet)")
    Path(f"{file}.new").replace(file)
    for read in (read_calendar, read_left_out):
        with pytest.raises(InputError, match=message):
            read(SPEC, ScheduleFile(tmp_path, SPEC).query)


def test_a_date_column_of_a_source_that_is_of_another_type_is_refused(schedule: ScheduleFile, tmp_path: Path) -> None:
    spec = SPEC.model_copy(
        update={
            "sources": {
                "props": SourceSpec(table="ref.props", date_column="on_day", file="props.parquet", otherwise="none")
            }
        }
    )
    rows = "SELECT TIMESTAMP '2024-01-01 00:00:00' AS on_day"
    duckdb.sql(f"COPY ({rows}) TO '{tmp_path / 'props.parquet'}' (FORMAT parquet)")
    with pytest.raises(InputError, match=r"ref\.props: on_day holds '2024-01-01 00:00:00', which is no DATE"):
        read_calendar(spec, ScheduleFile(tmp_path, spec).query)
