"""The calendar against what else holds its units: a made-up league of two seasons, with something wrong in it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import duckdb
import pytest

from phasegate.adapters.embedded.clock import VirtualClock
from phasegate.adapters.embedded.schedule_file import ScheduleFile
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.json_lines import json_lines
from phasegate.domain.calendar.cross_check import GapKind, by_what_is_said, in_words
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError, TransientError
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.operations.preflight import Level
from phasegate.domain.spec.cross_check import CrossCheckSpec, CrossCheckTable
from phasegate.domain.spec.pipeline import SourceSpec
from phasegate.embedded_start import calendar_reader
from phasegate.services.reading.cross_check import CalendarReader, CrossChecked, cross_check
from phasegate.services.reading.schedule import read_calendar
from phasegate.services.starting.environment import CloudEnvironment
from phasegate.services.starting.preflight import calendar_lines, check_schedule
from phasegate.services.starting.scope import RunScope
from tests.unit.builders import pipeline

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
BOXES = CrossCheckTable(table="raw.boxes", date_column="d", file="boxes.parquet", key=["game"], rows="box rows")
CHECK = CrossCheckSpec(units="games", key=["home_team"], postponed="game_status = 4", tables=[BOXES])
WORLD = pipeline()
SPEC = WORLD.calendar.model_copy(update={"cross_check": CHECK, "entities": {}})
LEAGUE = WORLD.model_copy(update={"calendar": SPEC})

S1 = [date(2024, 1, day) for day in (1, 2, 4)]
S2 = [date(2024, 1, day) for day in (20, 21, 22)]
Game = tuple[str, date | None, str, int | None]
Box = tuple[date | None, str | None]

GAMES: list[Game] = [
    (s, day, f"{s}{day:%d}{n}", 3) for s, days in (("S1", S1), ("S2", S2)) for day in days for n in "ab"
]
PLAYED: list[Box] = [(day, key) for _, day, key, _ in GAMES for _ in range(3)]
"""Two games a date, and three box rows a game."""


def write(folder: Path, games: Sequence[Game], boxes: Sequence[Box] | None) -> None:
    """A source folder."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE g (season VARCHAR, game_date DATE, home_team VARCHAR, game_status INT)")
        connection.executemany("INSERT INTO g VALUES (?, ?, ?, ?)", games)
        connection.execute(f"COPY g TO '{folder / 'schedule.parquet'}' (FORMAT parquet)")
        if boxes is not None:
            connection.execute("CREATE TABLE b (d DATE, game VARCHAR)")
            connection.executemany("INSERT INTO b VALUES (?, ?)", boxes)
            connection.execute(f"COPY b TO '{folder / 'boxes.parquet'}' (FORMAT parquet)")


def checked(
    folder: Path,
    games: Sequence[Game] = GAMES,
    boxes: Sequence[Box] | None = PLAYED,
    days: Sequence[date] | None = None,
    now: datetime = NOW,
    check: CrossCheckSpec = CHECK,
) -> CrossChecked:
    """Compare a source folder, for every date of the calendar or those of ``days`` that it has."""
    write(folder, games, boxes)
    spec = SPEC.model_copy(update={"cross_check": check})
    calendar = read_calendar(spec, ScheduleFile(folder, spec).query)
    chosen = [d.day for d in calendar.dates if days is None or d.day in days]
    league = LEAGUE.model_copy(update={"calendar": spec})
    return cross_check(league, calendar, chosen, calendar_reader(folder, spec, None), now)


def said(found: CrossChecked) -> list[str]:
    """Every sentence, over all dates."""
    return [in_words(gaps, "games", "box rows") for gaps in by_what_is_said(found.gaps).values()]


def changed(day: date, status: int | None, count: int = 1) -> list[Game]:
    """The games, some of a date with another status."""
    those = [key for _, d, key, _ in GAMES if d == day][:count]
    return [(s, d, key, status if key in those else old) for s, d, key, old in GAMES]


def test_a_calendar_that_agrees_has_no_gap(tmp_path: Path) -> None:
    found = checked(tmp_path)
    assert (found.gaps, [each.place for each in found.asked]) == ([], ["raw.schedule", "boxes.parquet"])


@pytest.mark.parametrize("day", [S1[0], S1[1], S1[2], S2[0], S2[2]])
def test_a_date_that_the_schedule_lost_is_told_with_its_games_and_rows(tmp_path: Path, day: date) -> None:
    found = checked(tmp_path, games=[game for game in GAMES if game[1] != day])
    assert said(found) == ["2 games and 6 box rows of 1 date that the schedule does not have"]
    assert [(gap.kind, gap.day) for gap in found.gaps] == [(GapKind.OFF_THE_CALENDAR, day)]


def test_a_phantom_game_on_a_date_of_the_calendar_is_told(tmp_path: Path) -> None:
    found = checked(tmp_path, boxes=[*PLAYED, (S1[1], "phantom"), (S1[1], "phantom"), (S2[1], "other")])
    assert said(found) == ["2 games and 3 box rows of 2 dates that the schedule does not have"]


def test_a_game_of_which_the_source_has_nothing_is_told(tmp_path: Path) -> None:
    found = checked(tmp_path, boxes=[box for box in PLAYED if box[1] != "S102a"])
    assert said(found) == ["1 game of 1 date of which boxes.parquet has no rows"]
    without = CHECK.model_copy(update={"tables": [BOXES.model_copy(update={"holds_all": False})]})
    assert checked(tmp_path, boxes=[box for box in PLAYED if box[1] != "S102a"], check=without).gaps == []


def test_games_that_still_go_on_are_told_on_past_dates_alone(tmp_path: Path) -> None:
    games = changed(S2[2], 2)
    assert said(checked(tmp_path, games=games)) == [
        "1 game of 1 date neither meeting calendar.condition (game_status = 3) nor plainly postponed (game_status = 4)"
    ]
    assert said(checked(tmp_path, games=games, now=datetime(2024, 1, 22, 23, tzinfo=UTC))) == []


def test_a_date_of_which_no_game_became_final_is_told_too(tmp_path: Path) -> None:
    found = checked(tmp_path, games=changed(S1[1], 2, count=2))
    assert [(gap.kind, gap.day, gap.units) for gap in found.gaps] == [(GapKind.UNDECIDED, S1[1], 2)]


def test_a_condition_that_is_null_is_told(tmp_path: Path) -> None:
    assert said(checked(tmp_path, games=changed(S1[1], None))) == [
        "1 game of 1 date for which calendar.condition (game_status = 3) is NULL"
    ]


def test_a_postponed_game_is_right_unless_the_source_has_it(tmp_path: Path) -> None:
    games = changed(S1[1], 4)
    assert checked(tmp_path, games=games, boxes=[box for box in PLAYED if box[1] != "S102a"]).gaps == []
    assert said(checked(tmp_path, games=games)) == [
        "1 game and 3 box rows of 1 date that the schedule has as postponed"
    ]


@pytest.mark.parametrize("status", [1, 4])
def test_a_game_that_was_moved_and_played_is_right_at_its_old_place(tmp_path: Path, status: int) -> None:
    assert checked(tmp_path, games=[*GAMES, ("S1", S1[0], "S102a", status), ("S1", None, "S102a", 4)]).gaps == []


@pytest.mark.parametrize("day", [S1[1], S1[2]])
def test_a_game_that_counts_twice_is_told_on_each_of_its_dates(tmp_path: Path, day: date) -> None:
    found = checked(tmp_path, games=[*GAMES, ("S1", day, "S102a", 3)])
    doubled = [gap for gap in found.gaps if gap.kind is GapKind.DOUBLED]
    assert {gap.day for gap in doubled} == {S1[1], day}


def test_without_postponed_a_unit_that_does_not_count_and_has_rows_is_told_on_past_dates(tmp_path: Path) -> None:
    games = changed(S2[1], 2, 2)
    without = CHECK.model_copy(update={"postponed": None})
    told = "that the schedule has, where they do not meet calendar.condition (game_status = 3)"
    assert said(checked(tmp_path, games=games, check=without)) == [f"2 games and 6 box rows of 1 date {told}"]
    live = datetime(S2[1].year, S2[1].month, S2[1].day, 20, tzinfo=UTC)
    assert said(checked(tmp_path, games=games, check=without, now=live)) == [], "today's games still go on"


def test_rows_under_a_date_that_a_game_was_moved_from_are_told(tmp_path: Path) -> None:
    games = [*changed(S1[1], 1), ("S1", S1[2], "S102a", 3)]
    boxes = [*PLAYED, (S1[2], "S102a")]
    told = "that the schedule has, where they do not meet calendar.condition (game_status = 3)"
    assert said(checked(tmp_path, games=games, boxes=boxes)) == [f"1 game and 3 box rows of 1 date {told}"]


def test_a_schedule_that_does_not_name_its_games_is_told_so_and_nothing_else_of_these_dates(tmp_path: Path) -> None:
    games: list[Any] = [(s, day, None if key in ("S101a", "S102b") else key, n) for s, day, key, n in GAMES]
    found = checked(tmp_path, games=games)
    assert said(found) == [
        "2 games of 2 dates whose key (home_team) is NULL in the schedule: nothing else is compared there"
    ]
    (line,) = calendar_lines(SPEC, found)
    assert str(line).endswith("compared there: 2024-01-01, 2024-01-02; fill the key in the schedule")


def test_rows_without_a_date_and_rows_without_a_key_are_told(tmp_path: Path) -> None:
    found = checked(tmp_path, boxes=[*PLAYED, (None, "S102a"), (S1[1], None)])
    assert sorted(said(found)) == [
        "1 game and 1 box row of 1 date that the schedule does not have",
        "1 game and 1 box row without a date",
    ]


def test_a_selection_answers_for_its_own_dates_and_for_holes_among_them(tmp_path: Path) -> None:
    games = [game for game in GAMES if game[1] not in (S1[1], S2[1])]
    assert {gap.day for gap in checked(tmp_path, games=games, days=S1).gaps} == {S1[1]}
    assert {gap.day for gap in checked(tmp_path, games=games, days=S2).gaps} == {S2[1]}
    assert {gap.day for gap in checked(tmp_path, games=games, days=S1[:1]).gaps} == set()
    assert {gap.day for gap in checked(tmp_path, games=games).gaps} == {S1[1], S2[1]}


@pytest.mark.parametrize(("season", "others"), [(S1, S2), (S2, S1)])
def test_a_plan_that_knows_one_season_alone_answers_for_that_one(
    tmp_path: Path, season: list[date], others: list[date]
) -> None:
    games = [game for game in GAMES if game[1] not in (S1[1], S2[1])]
    write(tmp_path, games, [box for box in PLAYED if box[0] not in (others[0], others[2])])
    calendar = read_calendar(SPEC, ScheduleFile(tmp_path, SPEC).query)
    days = [season[0], season[2]]
    frozen = Calendar.of(each for each in calendar.dates if each.day in days)
    found = cross_check(LEAGUE, frozen, days, calendar_reader(tmp_path, SPEC, None), NOW)
    assert [(gap.kind, gap.day) for gap in found.gaps] == [(GapKind.OFF_THE_CALENDAR, season[1])]


def test_a_date_long_before_or_after_the_calendar_is_nobodys(tmp_path: Path) -> None:
    far, near = date(2023, 11, 1), date(2024, 2, 10)
    found = checked(tmp_path, boxes=[*PLAYED, (far, "x"), (near, "y")])
    assert [gap.day for gap in found.gaps] == [near]


def test_what_cannot_be_asked_is_told_and_the_rest_is_compared(tmp_path: Path) -> None:
    found = checked(tmp_path, games=changed(S1[1], 2), boxes=None)
    assert len(found.gaps) == 1
    (asked,) = [each for each in found.asked if each.error]
    assert asked.error == f"{tmp_path / 'boxes.parquet'}: not there, and calendar.cross_check names it"
    lines = calendar_lines(SPEC, found)
    assert {line.level for line in lines} == {Level.WARN}
    assert "the calendar was not compared with it" in str(lines[0])


def test_a_column_that_a_file_lacks_is_told_with_its_file(tmp_path: Path) -> None:
    check = CHECK.model_copy(update={"tables": [BOXES.model_copy(update={"key": ["match"]})]})
    (asked,) = [each for each in checked(tmp_path, check=check).asked if each.error]
    assert asked.error is not None
    assert asked.error.startswith(f"{tmp_path / 'boxes.parquet'}: Binder Error: ")
    assert asked.error.endswith("(calendar.cross_check names it)")


def test_a_table_that_the_pipeline_fills_answers_only_for_dates_with_rows(tmp_path: Path) -> None:
    write(tmp_path, GAMES, None)
    schedule = ScheduleFile(tmp_path, SPEC)
    calendar = read_calendar(SPEC, schedule.query)
    own = CrossCheckTable(table="raw.a", date_column="d", key=["k"])
    league = LEAGUE.model_copy(
        update={"calendar": SPEC.model_copy(update={"cross_check": CHECK.model_copy(update={"tables": [own]})})}
    )
    rows = [{"day": S1[1], "unit": "S102a", "n": 2}, {"day": S1[1], "unit": "ghost", "n": 5}]
    reader = CalendarReader(schedule.query, lambda _: rows)
    days = [d.day for d in calendar.dates]
    assert cross_check(league, calendar, days, reader, NOW).gaps == [], "nobody has filled it yet"
    found = cross_check(league, calendar, days, reader, NOW, ["raw/a"])
    assert [(gap.kind, gap.day, gap.units, gap.rows) for gap in found.gaps] == [
        (GapKind.OFF_THE_CALENDAR, S1[1], 1, 5),
        (GapKind.ONLY_IN_THE_CALENDAR, S1[1], 1, 0),
    ]
    passed = cross_check(league, calendar, days, reader, NOW, ["raw/a"], {("raw/a", S1[1])})
    assert (passed.gaps, passed.let_pass) == ([], found.gaps), "a person lets that table pass on that date"
    others = {("raw/a", S1[0]), ("raw/b", S1[1])}
    assert cross_check(league, calendar, days, reader, NOW, ["raw/a"], others).gaps == found.gaps


def test_on_a_cloud_preflight_compares_the_warehouses_tables(tmp_path: Path) -> None:
    own = CrossCheckTable(table="raw.a", date_column="d", key=["k"], file="boxes.parquet", rows="rows")
    spec = SPEC.model_copy(update={"cross_check": CHECK.model_copy(update={"tables": [own]})})
    league = LEAGUE.model_copy(update={"calendar": spec})
    write(tmp_path, GAMES, [*PLAYED, (S1[1], "ghost")])
    warehouse = DuckDbWarehouse(tmp_path / "w.duckdb")
    warehouse.apply_schema(
        "CREATE TABLE `raw.schedule` (season STRING, game_date DATE, home_team STRING, game_status INT64);"
        "CREATE TABLE `raw.a` (d DATE, k STRING)"
    )
    files = duckdb.connect()
    games = files.execute(f"FROM '{tmp_path / 'schedule.parquet'}'").fetchall()
    boxes = files.execute(f"FROM '{tmp_path / 'boxes.parquet'}'").fetchall()
    for table, names, rows in (
        ("raw.schedule", ("season", "game_date", "home_team", "game_status"), games),
        ("raw.a", ("d", "k"), boxes),
    ):
        warehouse.replace_table(table, json_lines(dict(zip(names, row, strict=True)) for row in rows))
    backend: Any = SimpleNamespace(warehouse=warehouse, clock=VirtualClock(NOW))
    environment = CloudEnvironment(backend, Mock(), lambda _: league)
    calendar = read_calendar(spec, warehouse.query)
    request = RunRequest(Selection(), pipeline_file="pipeline.yaml")
    lines = environment.compare_calendar(RunScope(request, league, league.phase_names, calendar, tuple(S1)))
    warehouse.close()
    assert [str(line) for line in lines] == [
        "WARN calendar raw.a: 1 game and 1 row of 1 date that the schedule does not have: 2024-01-02; "
        "mend the schedule, or what holds them, and plan again"
    ]


def test_a_table_whose_dates_are_none_is_told_and_stops_nothing(tmp_path: Path) -> None:
    write(tmp_path, GAMES, None)
    schedule = ScheduleFile(tmp_path, SPEC).query
    calendar = read_calendar(SPEC, schedule)
    rows = [{"day": datetime(2024, 1, 1, tzinfo=UTC), "unit": "S101a", "n": 2}]
    found = cross_check(LEAGUE, calendar, S1, CalendarReader(schedule, lambda _: rows), NOW)
    (asked,) = [each for each in found.asked if each.error]
    assert (asked.place, found.gaps) == ("raw.boxes", [])
    assert asked.error is not None
    assert asked.error.startswith("raw.boxes: d holds '2024-01-01 00:00:00+00:00', which is no DATE")


def test_a_schedule_that_does_not_answer_is_told(tmp_path: Path) -> None:
    def silent(_: str) -> list[dict[str, object]]:
        raise TransientError("no answer")

    write(tmp_path, GAMES, PLAYED)
    calendar = read_calendar(SPEC, ScheduleFile(tmp_path, SPEC).query)
    found = cross_check(LEAGUE, calendar, S1, CalendarReader(silent, None), NOW)
    assert [(each.place, each.error) for each in found.asked] == [("raw.schedule", "no answer")]


def test_preflight_warns_of_a_source_that_holds_no_date_at_all(tmp_path: Path) -> None:
    write(tmp_path, GAMES, PLAYED)
    source = SourceSpec(table="ref.odds", date_column="d", file="ods.parquet", otherwise="no odds were kept")
    spec = SPEC.model_copy(update={"sources": {"odds": source}})
    league = LEAGUE.model_copy(update={"calendar": spec})
    calendar = read_calendar(spec, ScheduleFile(tmp_path, spec).query)
    request = RunRequest(Selection(), pipeline_file="pipeline.yaml")
    scope = RunScope(request, league, league.phase_names, calendar, tuple(S1))
    (line,) = check_schedule(scope)
    assert line.level is Level.WARN
    assert str(line) == (
        "WARN schedule odds (ref.odds): holds none of the calendar's 6 dates: 'no odds were kept' is said of each; see "
        "that the table is filled and, in embedded mode, that ods.parquet has this name"
    )


def test_a_folder_that_is_gone_is_an_error_of_the_question_not_of_the_verifier(tmp_path: Path) -> None:
    reader = calendar_reader(tmp_path / "gone", SPEC, None)
    with pytest.raises(InputError, match="no such source folder"):
        reader.schedule("SELECT 1")
    with pytest.raises(InputError, match="has no source folder"):
        calendar_reader(None, SPEC, None).schedule("SELECT 1")
