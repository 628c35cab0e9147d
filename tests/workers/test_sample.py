import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import duckdb
import pytest

from nba_worker.sample import SampleSummary, write_sample
from nba_worker.sample_rosters import draw_rosters
from nba_worker.sample_schedule import CALENDARS, Fixture, draw_fixtures
from phasegate.domain.errors import InputError

TABLES = ("schedule", "team_boxscores", "player_boxscores")

REAL_COLUMNS = {
    "schedule": [
        ("season", "VARCHAR"),
        ("season_type", "VARCHAR"),
        ("game_date", "DATE"),
        ("game_id", "VARCHAR"),
        ("home_team", "VARCHAR"),
        ("away_team", "VARCHAR"),
        ("home_score", "SMALLINT"),
        ("away_score", "SMALLINT"),
        ("game_status", "BIGINT"),
    ],
    "team_boxscores": [
        ("season", "VARCHAR"),
        ("season_type", "VARCHAR"),
        ("game_date", "DATE"),
        ("game_id", "VARCHAR"),
        ("team", "VARCHAR"),
        ("opponent", "VARCHAR"),
        ("is_home", "BOOLEAN"),
        ("points", "SMALLINT"),
        ("fgm", "SMALLINT"),
        ("fga", "SMALLINT"),
        ("fg3m", "SMALLINT"),
        ("fg3a", "SMALLINT"),
        ("ftm", "SMALLINT"),
        ("fta", "SMALLINT"),
        ("oreb", "SMALLINT"),
        ("dreb", "SMALLINT"),
        ("reb", "SMALLINT"),
        ("ast", "SMALLINT"),
        ("stl", "SMALLINT"),
        ("blk", "SMALLINT"),
        ("tov_players", "SMALLINT"),
        ("pf", "SMALLINT"),
        ("plus_minus", "SMALLINT"),
    ],
    "player_boxscores": [
        ("season", "VARCHAR"),
        ("season_type", "VARCHAR"),
        ("game_date", "DATE"),
        ("game_id", "VARCHAR"),
        ("team", "VARCHAR"),
        ("opponent", "VARCHAR"),
        ("is_home", "BOOLEAN"),
        ("wl", "VARCHAR"),
        ("player_id", "BIGINT"),
        ("player_name", "VARCHAR"),
        ("minutes", "SMALLINT"),
        ("points", "SMALLINT"),
        ("fgm", "SMALLINT"),
        ("fga", "SMALLINT"),
        ("fg3m", "SMALLINT"),
        ("fg3a", "SMALLINT"),
        ("ftm", "SMALLINT"),
        ("fta", "SMALLINT"),
        ("oreb", "SMALLINT"),
        ("dreb", "SMALLINT"),
        ("reb", "SMALLINT"),
        ("ast", "SMALLINT"),
        ("stl", "SMALLINT"),
        ("blk", "SMALLINT"),
        ("tov", "SMALLINT"),
        ("pf", "SMALLINT"),
        ("plus_minus", "SMALLINT"),
    ],
}

WINDOWS = {
    "2020-21": (date(2020, 12, 22), date(2021, 5, 16), 140, 72),
    "2021-22": (date(2021, 10, 19), date(2022, 4, 10), 165, 82),
    "2022-23": (date(2022, 10, 18), date(2023, 4, 9), 164, 82),
    "2023-24": (date(2023, 10, 24), date(2024, 4, 14), 160, 82),
    "2024-25": (date(2024, 10, 22), date(2025, 4, 13), 163, 82),
}
"""First and last date, game dates and games a team, as in the real source."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample")
    write_sample(path)
    return path


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same seed, with a second season beside the first, named in the wrong order and twice."""
    path = tmp_path_factory.mktemp("twin") / "made" / "below"
    summary = write_sample(path, seasons=("2023-24", "2020-21", "2023-24"))
    assert summary.seasons == ("2020-21", "2023-24")
    assert summary.games == 2310
    return path


@pytest.fixture(scope="module")
def season(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        for table in TABLES:
            con.execute(f"CREATE TABLE {table} AS SELECT * FROM '{folder / table}.parquet'")
        yield con


@pytest.fixture(scope="module", params=WINDOWS)
def fixtures(request: pytest.FixtureRequest) -> tuple[Fixture, ...]:
    return draw_fixtures(request.param, Random(1))


def rows_of(folder: Path, table: str, season: str = "2023-24") -> list[tuple[object, ...]]:
    with duckdb.connect() as con:
        return con.execute(f"SELECT * FROM '{folder / table}.parquet' WHERE season = '{season}'").fetchall()


def count_where(con: duckdb.DuckDBPyConnection, source: str, condition: str) -> int:
    (count,) = con.execute(f"SELECT count(*) FROM {source} WHERE {condition}").fetchall()[0]
    return int(count)


def dates_by_team(fixtures: tuple[Fixture, ...]) -> dict[str, list[date]]:
    dates = defaultdict(list)
    for fixture in fixtures:
        dates[fixture.home_team].append(fixture.game_date)
        dates[fixture.away_team].append(fixture.game_date)
    return dates


# What the files look like


@pytest.mark.parametrize("table", TABLES)
def test_each_file_has_the_columns_and_types_of_the_real_source(season, table):
    described = season.execute(f"DESCRIBE {table}").fetchall()
    assert [(name, kind) for name, kind, *_ in described] == REAL_COLUMNS[table]


def test_only_the_three_tables_and_the_marker_lie_in_the_folder(folder):
    assert {path.name for path in folder.iterdir()} == {*(f"{table}.parquet" for table in TABLES), "SAMPLE.json"}


def test_the_marker_says_that_the_league_is_made_up(folder):
    marker = json.loads((folder / "SAMPLE.json").read_text())
    assert "made up" in marker["note"]
    assert (marker["seed"], marker["seasons"], marker["version"]) == (7, ["2023-24"], 1)


def test_the_summary_counts_what_was_written(folder, season):
    players = count_where(season, "player_boxscores", "true")
    assert write_sample(folder) == SampleSummary(("2023-24",), 160, 1230, 2460, players)
    assert count_where(season, "schedule", "true") == 1230
    assert count_where(season, "team_boxscores", "true") == 2460


# The schedule


def test_a_season_has_the_real_game_dates(fixtures):
    first, last, game_dates, _ = WINDOWS[fixtures[0].season]
    dates = {fixture.game_date for fixture in fixtures}
    assert (min(dates), max(dates), len(dates)) == (first, last, game_dates)


def test_every_team_plays_all_its_games_and_half_of_them_at_home(fixtures):
    games = WINDOWS[fixtures[0].season][3]
    assert set(Counter(fixture.home_team for fixture in fixtures).values()) == {games // 2}
    assert set(Counter(fixture.away_team for fixture in fixtures).values()) == {games // 2}
    assert len(dates_by_team(fixtures)) == 30


def test_no_team_plays_twice_on_a_date_or_three_times_in_three_days(fixtures):
    for dates in dates_by_team(fixtures).values():
        assert all(later > earlier for earlier, later in pairwise(dates))
        assert all(later - earlier > timedelta(days=2) for earlier, later in zip(dates, dates[2:], strict=False))


def test_game_ids_have_the_real_form_and_run_with_the_dates(fixtures):
    prefix = f"002{fixtures[0].season[2:4]}"
    assert [fixture.game_id for fixture in fixtures] == [f"{prefix}{n:05d}" for n in range(1, len(fixtures) + 1)]
    assert list(fixtures) == sorted(fixtures, key=lambda fixture: fixture.game_date)


def test_a_season_opens_small_ends_with_every_team_and_rests_in_between(fixtures):
    games = Counter(fixture.game_date for fixture in fixtures)
    dates = sorted(games)
    assert games[dates[0]] <= 4
    assert games[dates[1]] >= 10
    assert games[dates[-1]] == 15
    longest = max(later - earlier for earlier, later in pairwise(dates))
    assert longest in (timedelta(days=6), timedelta(days=7))


def test_wednesdays_and_fridays_are_full_and_thursdays_are_thin(fixtures):
    games = Counter(fixture.game_date.weekday() for fixture in fixtures)
    dates = Counter(day.weekday() for day in {fixture.game_date for fixture in fixtures})
    mean = {weekday: games[weekday] / dates[weekday] for weekday in range(7)}
    assert min(mean[2], mean[4]) > 8 > 6.5 > mean[3]


@pytest.mark.parametrize("seed", range(25))
def test_a_schedule_comes_out_complete_for_any_seed(seed):
    fixtures = draw_fixtures("2020-21", Random(seed))
    assert len(fixtures) == 1080
    assert len({fixture.game_date for fixture in fixtures}) == 140


# The box scores


def test_every_game_is_final_and_none_is_a_tie(season):
    assert count_where(season, "schedule", "game_status <> 3 OR season_type <> 'Regular Season'") == 0
    assert count_where(season, "schedule", "home_score = away_score") == 0


def test_team_rows_agree_with_the_schedule(season):
    joined = "team_boxscores t JOIN schedule s USING (season, season_type, game_date, game_id)"
    agreeing = """t.team = if(is_home, home_team, away_team) AND t.opponent = if(is_home, away_team, home_team)
        AND t.points = if(is_home, home_score, away_score)
        AND t.plus_minus = if(is_home, home_score - away_score, away_score - home_score)"""
    assert count_where(season, joined, agreeing) == 2460


SUMMED = ("points", "fgm", "fga", "fg3m", "fg3a", "ftm", "fta", "oreb", "dreb", "reb", "ast", "stl", "blk", "tov", "pf")

PLAYER_SUMS = f"""(
    SELECT game_id, team, sum(plus_minus) AS plus_minus, {", ".join(f"sum({count}) AS {count}" for count in SUMMED)}
    FROM player_boxscores GROUP BY game_id, team
) p JOIN team_boxscores t USING (game_id, team)"""


@pytest.mark.parametrize("count", SUMMED)
def test_player_counts_sum_to_the_team_count(season, count):
    of_team = "tov_players" if count == "tov" else count
    assert count_where(season, PLAYER_SUMS, f"p.{count} = t.{of_team}") == 2460


def test_the_players_plus_minus_sums_to_five_times_the_margin(season):
    assert count_where(season, PLAYER_SUMS, "p.plus_minus = 5 * t.plus_minus") == 2460


@pytest.mark.parametrize("table", ["team_boxscores", "player_boxscores"])
def test_points_and_rebounds_follow_from_their_parts_and_no_shot_is_made_without_an_attempt(season, table):
    assert count_where(season, table, "points <> 2 * (fgm - fg3m) + 3 * fg3m + ftm OR reb <> oreb + dreb") == 0
    assert count_where(season, table, "fgm > fga OR fg3m > fg3a OR ftm > fta OR fg3m > fgm OR fg3a > fga") == 0
    assert count_where(season, table, "fga - fg3a < fgm - fg3m") == 0


def test_assists_steals_and_blocks_never_exceed_what_they_come_from(season):
    both = "team_boxscores t JOIN team_boxscores o ON o.game_id = t.game_id AND o.team = t.opponent"
    assert count_where(season, both, "t.ast > t.fgm OR t.stl > o.tov_players OR t.blk > o.fga - o.fgm") == 0


def test_wl_agrees_with_the_score_and_the_row_with_its_team_row(season):
    joined = "player_boxscores p JOIN team_boxscores t USING (season, game_date, game_id, team, opponent, is_home)"
    rows = count_where(season, "player_boxscores", "true")
    assert count_where(season, joined, "p.wl = if(t.plus_minus > 0, 'W', 'L')") == rows


def test_minutes_sum_to_240_or_25_more_for_each_overtime_but_for_rounding(season):
    totals = season.execute("SELECT sum(minutes)::INT FROM player_boxscores GROUP BY game_id, team").fetchall()
    assert all(min((total - 240) % 25, (240 - total) % 25) <= 5 for (total,) in totals)
    assert 0.9 < sum(abs(total - 240) <= 5 for (total,) in totals) / len(totals) < 1


def test_a_team_uses_eight_to_fifteen_players_and_between_ten_and_eleven_on_average(season):
    sizes = [n for (n,) in season.execute("SELECT count(*) FROM player_boxscores GROUP BY game_id, team").fetchall()]
    assert min(sizes) >= 8 and max(sizes) <= 15
    assert 10 < sum(sizes) / len(sizes) < 11


def test_a_player_has_one_name_one_team_and_at_most_one_row_a_date(season):
    distinct = "count(DISTINCT player_id), count(DISTINCT player_name), count(DISTINCT (player_id, player_name, team))"
    ((ids, names, whole),) = season.execute(f"SELECT {distinct} FROM player_boxscores").fetchall()
    assert ids == names == whole
    assert 430 <= ids <= 450
    twice = "(SELECT count(*) AS n FROM player_boxscores GROUP BY game_date, player_id)"
    assert count_where(season, twice, "n > 1") == 0


def test_scores_lie_in_the_real_range(season):
    ((mean, spread, home),) = season.execute(
        "SELECT avg(home_score + away_score) / 2, stddev(home_score), avg((home_score > away_score)::INT) FROM schedule"
    ).fetchall()
    assert 109 < mean < 118
    assert 10 < spread < 16
    assert 0.5 < home < 0.6


def test_every_team_has_fifteen_players_with_names_of_their_own():
    players = [player for roster in draw_rosters(Random(3)).values() for player in roster]
    assert len({player.name for player in players}) == len({player.player_id for player in players}) == 450


# Determinism


@pytest.mark.parametrize("table", TABLES)
def test_the_same_seed_gives_the_same_rows_in_the_same_order(folder, twin, table):
    assert rows_of(folder, table) == rows_of(twin, table)


def test_another_season_beside_it_changes_nothing_but_the_seed_does(folder, twin, tmp_path):
    write_sample(tmp_path, seed=8)
    assert rows_of(twin, "schedule", "2020-21")
    assert rows_of(tmp_path, "player_boxscores") != rows_of(folder, "player_boxscores")


# Writing over what is there


def test_a_folder_that_holds_just_this_sample_is_left_alone(folder):
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    write_sample(folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_another_sample_is_overwritten(tmp_path):
    write_sample(tmp_path, seasons=["2020-21"])
    assert write_sample(tmp_path, seasons=["2021-22"]).games == 1230
    assert rows_of(tmp_path, "schedule", "2020-21") == []


def test_a_sample_whose_writing_was_cut_short_is_written_anew(folder, tmp_path):
    marker = json.loads((folder / "SAMPLE.json").read_text())
    (tmp_path / "SAMPLE.json").write_text(json.dumps(marker | {"summary": None}))
    for table in TABLES:
        (tmp_path / f"{table}.parquet").write_bytes(b"another seed")
    write_sample(tmp_path)
    assert rows_of(tmp_path, "player_boxscores") == rows_of(folder, "player_boxscores")


@pytest.mark.parametrize("damage", [b"", b"[]"])
def test_a_sample_with_an_unreadable_marker_is_written_anew(tmp_path, damage):
    (tmp_path / "SAMPLE.json").write_bytes(damage)
    assert write_sample(tmp_path, seasons=["2020-21"]).games == 1080


def test_a_sample_that_lost_a_file_is_written_anew(tmp_path):
    write_sample(tmp_path, seasons=["2020-21"])
    (tmp_path / "schedule.parquet").unlink()
    write_sample(tmp_path, seasons=["2020-21"])
    assert len(rows_of(tmp_path, "schedule", "2020-21")) == 1080


def test_parquet_files_that_no_sample_wrote_are_refused_and_kept(tmp_path):
    (tmp_path / "schedule.parquet").write_bytes(b"real")
    with pytest.raises(InputError, match=r"holds schedule\.parquet but no SAMPLE\.json"):
        write_sample(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["schedule.parquet"]
    assert (tmp_path / "schedule.parquet").read_bytes() == b"real"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "sample").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        write_sample(tmp_path / "sample")


def test_an_unknown_season_is_refused_with_the_possible_ones(tmp_path):
    with pytest.raises(InputError, match=r"unknown '2019-20'; a sample can have 2020-21, .*, 2024-25"):
        write_sample(tmp_path / "new", seasons=["2023-24", "2019-20"])
    assert not (tmp_path / "new").exists()


def test_no_season_at_all_is_refused(tmp_path):
    with pytest.raises(InputError, match="none given"):
        write_sample(tmp_path, seasons=[])


def test_a_folder_name_with_a_quote_and_brackets_is_a_folder_like_any_other(tmp_path):
    odd = tmp_path / "o'neal [old]"
    write_sample(odd, seasons=["2020-21"])
    assert (odd / "schedule.parquet").stat().st_size > 0


def test_every_calendar_is_covered_here():
    assert set(WINDOWS) == set(CALENDARS)
