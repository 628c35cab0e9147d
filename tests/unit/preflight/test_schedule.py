"""What is read out of a schedule table, also out of one that is not quite filled."""

from datetime import date, datetime, time
from pathlib import Path

import duckdb
import pytest

from phasegate.adapters.embedded.schedule_file import ScheduleFile
from phasegate.domain.calendar.dates import LeftOutDate
from phasegate.domain.errors import InputError
from phasegate.domain.spec.pipeline import CalendarSpec, SourceSpec
from phasegate.services.reading.schedule import read_calendar, read_left_out
from tests.unit.builders import pipeline
from tests.written_dates import NO_DATES, WRITTEN_DATES

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


def rewritten(file: Path, select: str) -> None:
    """A parquet file whose rows are selected anew from its own (``rows``)."""
    anew = select.replace("rows", f"read_parquet('{file}')")
    duckdb.sql(f"COPY ({anew}) TO '{file}.new' (FORMAT parquet)")
    Path(f"{file}.new").replace(file)


@pytest.mark.parametrize("written", WRITTEN_DATES)
def test_midnights_and_iso_text_are_dates(schedule: ScheduleFile, tmp_path: Path, written: str) -> None:
    found = read_calendar(SPEC, schedule.query), read_left_out(SPEC, schedule.query)
    rewritten(tmp_path / "schedule.parquet", f"SELECT * REPLACE ({written} AS game_date) FROM rows")
    again = ScheduleFile(tmp_path, SPEC)
    assert (read_calendar(SPEC, again.query), read_left_out(SPEC, again.query)) == found
    assert found[0].dates[0].entities == {"teams": ("BOS", "CHI", "NYK")}


@pytest.mark.parametrize(("written", "message"), NO_DATES)
def test_a_date_column_of_anything_else_is_refused_with_file_column_and_type(
    schedule: ScheduleFile, tmp_path: Path, written: str, message: str
) -> None:
    file = tmp_path / "schedule.parquet"
    rewritten(file, f"SELECT * REPLACE ({written} AS game_date) FROM rows")
    with pytest.raises(InputError, match=rf"{file}: game_date.*{message.removeprefix('game_date')}"):
        ScheduleFile(tmp_path, SPEC)


def with_props(tmp_path: Path, select: str) -> CalendarSpec:
    """The calendar with a source, whose file is selected so."""
    duckdb.sql(f"COPY ({select}) TO '{tmp_path / 'props.parquet'}' (FORMAT parquet)")
    props = SourceSpec(table="ref.props", date_column="on_day", file="props.parquet", otherwise="none")
    return SPEC.model_copy(update={"sources": {"props": props}})


def test_a_source_of_the_calendar_is_read_by_the_same_rules(schedule: ScheduleFile, tmp_path: Path) -> None:
    spec = with_props(tmp_path, f"SELECT '{PLAYED} 00:00:00' AS on_day")
    assert read_calendar(spec, ScheduleFile(tmp_path, spec).query).dates[0].not_held_by == ()
    with_props(tmp_path, f"SELECT TIMESTAMP '{PLAYED} 10:00:00' AS on_day")
    with pytest.raises(InputError, match=r"props\.parquet: on_day .of type TIMESTAMP. holds '2024-01-01 10:00:00'"):
        ScheduleFile(tmp_path, spec)


def test_a_column_that_a_source_lacks_is_named_with_its_file(schedule: ScheduleFile, tmp_path: Path) -> None:
    spec = with_props(tmp_path, "SELECT 1 AS other")
    with pytest.raises(InputError, match=r"props\.parquet: no column on_day, which the calendar"):
        ScheduleFile(tmp_path, spec)


def test_a_table_of_a_warehouse_has_dates_or_is_refused() -> None:
    rows = [{"day": datetime.combine(PLAYED, time.min), "season": "S1", "games": 1, "entity": "BOS"}]
    with pytest.raises(InputError, match="game_date holds '2024-01-01 00:00:00', which is no DATE; CAST the column"):
        read_calendar(SPEC, lambda _: rows)


def test_a_date_that_the_calendars_query_returns_twice_is_refused(schedule: ScheduleFile) -> None:
    spec = SPEC.model_copy(update={"numbers": {"games": "UNNEST([1, 2])"}})
    with pytest.raises(InputError, match="the calendar's query returns 2024-01-01 twice"):
        read_calendar(spec, schedule.query)


def test_a_date_whose_condition_is_null_on_every_row_is_left_out_too(schedule: ScheduleFile, tmp_path: Path) -> None:
    rewritten(tmp_path / "schedule.parquet", "SELECT * REPLACE (NULLIF(game_status, 4) AS game_status) FROM rows")
    assert read_left_out(SPEC, ScheduleFile(tmp_path, SPEC).query) == (LeftOutDate(OFF, "S1", 2),)


def test_a_date_of_two_seasons_is_refused_and_is_left_out_only_when_no_row_of_it_counts(
    schedule: ScheduleFile, tmp_path: Path
) -> None:
    other = f"SELECT 'S0', DATE '{PLAYED}', 'ATL', 'MIA', 4 UNION ALL SELECT 'S0', DATE '{OFF}', 'ATL', 'MIA', 4"
    rewritten(tmp_path / "schedule.parquet", f"SELECT * FROM rows UNION ALL {other}")
    found = ScheduleFile(tmp_path, SPEC)
    assert [each.season for each in read_calendar(SPEC, found.query).dates] == ["S1"]
    assert read_left_out(SPEC, found.query) == (LeftOutDate(OFF, "S0", 3),)
    rewritten(tmp_path / "schedule.parquet", "SELECT * REPLACE (3 AS game_status) FROM rows")
    with pytest.raises(InputError, match="2024-01-01 belongs to two seasons"):
        read_calendar(SPEC, ScheduleFile(tmp_path, SPEC).query)
