"""What is wrong with one row of a source folder concerns its date, says what it is, and stops no other date."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from nba_worker.source import SourceFolder
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.domain.errors import InputError
from tests.workers.conftest import MakeFolder, Played, play

SPOILED, OTHER = date(2023, 10, 25), date(2023, 10, 26)
FIRST = "game_id = (SELECT MIN(game_id) FROM rows WHERE game_date = '2023-10-25')"
"""The rows of one game of the spoiled date, in any of the files."""


def spoil(column: str, value: str, where: str = FIRST) -> str:
    """A file in which the rows of one game hold something else in a column."""
    return f"SELECT * REPLACE (CASE WHEN {where} THEN {value} ELSE {column} END AS {column}) FROM rows"


BAD_ROWS = {
    "minutes with a fraction": (
        "player_boxscores",
        spoil("minutes", "minutes + 0.5"),
        "players",
        r"minutes holds '\d+\.50?' on 2023-10-25, which is no whole number",
    ),
    "minutes and seconds": (
        "player_boxscores",
        "SELECT * REPLACE (CASE WHEN "
        + FIRST
        + " THEN '31:40' ELSE CAST(minutes AS VARCHAR) END AS minutes) FROM rows",
        "players",
        "minutes holds '31:40' on 2023-10-25, which is no whole number",
    ),
    "points with a fraction": (
        "team_boxscores",
        spoil("points", "points + 0.25"),
        "teams",
        r"points holds '\d+\.25' on 2023-10-25, which is no whole number",
    ),
    "a number that is too great": (
        "team_boxscores",
        spoil("points", "CAST(5000000000 AS BIGINT)"),
        "teams",
        "points holds '5000000000' on 2023-10-25, which is no whole number",
    ),
    "text for yes or no": (
        "team_boxscores",
        "SELECT * REPLACE (CASE WHEN " + FIRST + " THEN 'home' ELSE CAST(is_home AS VARCHAR) END AS is_home) FROM rows",
        "teams",
        "is_home holds 'home' on 2023-10-25, which is no yes or no",
    ),
    "a player without an id": (
        "player_boxscores",
        spoil("player_id", "NULL"),
        "players",
        "a row of 2023-10-25 has no value in one of game_date, game_id, player_id, team, player_name",
    ),
    "a player without a name": (
        "player_boxscores",
        spoil("player_name", "NULL"),
        "players",
        "a row of 2023-10-25 has no value in one of game_date, game_id, player_id, team, player_name",
    ),
    "a box score without a date": (
        "team_boxscores",
        spoil("game_date", "NULL"),
        "teams",
        "a row of 2023-10-25 has no value in one of game_date, game_id, team",
    ),
    "a team's row that stands there twice": (
        "team_boxscores",
        f"SELECT * FROM rows UNION ALL SELECT * FROM rows WHERE {FIRST}",
        "teams",
        r"the key \(game_id, team\) = \(\d{10}, [A-Z]{3}\) stands there twice: keep one row",
    ),
    "a game that was played twice": (
        "schedule",
        f"SELECT * FROM rows UNION ALL SELECT * FROM rows WHERE {FIRST}",
        "games",
        r"the key \(game_id\) = \(\d{10}\) stands there twice: keep one row",
    ),
    "a score with a fraction": (
        "schedule",
        spoil("home_score", "home_score + 0.5"),
        "games",
        r"home_score holds '\d+\.50?' on 2023-10-25, which is no whole number",
    ),
    "an id that lost its leading zeros": (
        "player_boxscores",
        spoil("game_id", "LTRIM(game_id, '0')"),
        "players",
        r"game_id '\d{8}' of 2023-10-25 is '00\d{8}' in schedule\.parquet: .* lost its leading zeros; write ids",
    ),
}


@pytest.mark.parametrize(("file", "select", "subject", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_spoils_its_date_with_the_reason_and_no_other(
    make_folder: MakeFolder, file: str, select: str, subject: str, message: str
) -> None:
    source = SourceFolder(make_folder(**{file: select}))
    spoiled, other = source.day(SPOILED, subject), source.day(OTHER, subject)
    assert (spoiled.rows, spoiled.reason) == ((), "")
    found = duckdb.execute("SELECT REGEXP_MATCHES(?, ?)", [spoiled.problem, rf"^{file}\.parquet: {message}"]).fetchall()
    assert found == [(True,)], spoiled.problem
    assert other.rows and not other.problem


@pytest.mark.parametrize("kind", ["BIGINT", "DOUBLE"])
def test_a_file_whose_ids_were_all_read_as_numbers_is_refused_by_that_name(make_folder: MakeFolder, kind: str) -> None:
    folder = make_folder(team_boxscores=f"SELECT * REPLACE (CAST(game_id AS {kind}) AS game_id) FROM rows")
    with pytest.raises(InputError, match=r"team_boxscores\.parquet: game_id '22\d{6}(\.0)?' .* lost its leading zeros"):
        SourceFolder(folder)


def test_a_postponed_game_beside_the_played_one_of_the_same_id_is_right(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    whole = SourceFolder(make_folder())
    postponed = f"SELECT * REPLACE (DATE '2023-10-24' AS game_date, 4 AS game_status) FROM rows WHERE {FIRST}"
    undated = f"SELECT * REPLACE (NULL AS game_date, 4 AS game_status, NULL AS home_score) FROM rows WHERE {FIRST}"
    source = SourceFolder(make_folder(schedule=f"FROM rows UNION ALL {postponed} UNION ALL {undated}"))
    for day in (date(2023, 10, 24), SPOILED):
        for subject in ("games", "teams", "players"):
            assert source.day(day, subject) == whole.day(day, subject)
    assert len(source.schedule_rows()) == len(whole.schedule_rows()) + 2


def test_a_worker_takes_in_a_schedule_with_games_that_have_no_date_yet(make_folder: MakeFolder, tmp_path: Path) -> None:
    undated = f"SELECT * REPLACE (NULL AS game_date, 4 AS game_status) FROM rows WHERE {FIRST}"
    played = play(make_folder(schedule=f"FROM rows UNION ALL {undated}"), tmp_path, 1)
    played.worker.prepare()
    assert len(played.warehouse.query("SELECT 1 AS x FROM nba_raw.nbac_schedule WHERE game_date IS NULL")) == 1
    played.warehouse.close()


def test_rows_of_games_that_the_schedule_does_not_have_are_kept_and_never_called_empty(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    phantom = f"SELECT * REPLACE ('0099999999' AS game_id) FROM rows WHERE {FIRST}"
    source = SourceFolder(make_folder(team_boxscores=f"SELECT * FROM rows UNION ALL {phantom}"))
    assert sum(row["game_id"] == "0099999999" for row in source.day(SPOILED, "teams").rows) == 2
    only_others = (
        "SELECT * REPLACE (CASE WHEN game_date = '2023-10-25' THEN 'X' || game_id ELSE game_id END AS game_id)"
    )
    source = SourceFolder(make_folder(team_boxscores=f"{only_others} FROM rows"))
    found = source.day(SPOILED, "teams")
    assert found.rows and not found.reason and not found.problem


def test_the_raw_table_holds_the_phantom_rows_that_its_check_counts(make_folder: MakeFolder, tmp_path: Path) -> None:
    phantom = f"SELECT * REPLACE ('0099999999' AS game_id) FROM rows WHERE {FIRST}"
    played = play(make_folder(team_boxscores=f"SELECT * FROM rows UNION ALL {phantom}"), tmp_path, 2)
    games = len(played.rows("nba_raw.bdl_games", "game_date", SPOILED))
    assert len(played.rows("nba_raw.nbac_team_boxscore", "game_date", SPOILED)) == 2 * games + 2
    played.warehouse.close()


def test_a_spoiled_date_fails_by_that_sentence_in_scraper_and_raw_table(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = make_folder(team_boxscores=spoil("points", "points + 0.5"))
    played = play(folder, tmp_path, 0)
    name = "nbac_team_boxscore"
    # An object of before, which is empty: the raw processor asks why.
    FolderObjectStore(tmp_path / "objects").write(f"scrapes/{name}/{SPOILED}.jsonl", b"")
    for path in ("/scrape", "/load"):
        result = played.ask(path, name, SPOILED)[1]["results"][name]
        assert (result["status"], result["error_class"]) == ("failed", "bug")
        assert "which is no whole number" in result["message"]
    assert played.ask("/scrape", name, OTHER)[1]["results"][name]["status"] == "success"
    played.warehouse.close()


LINES = "SELECT DISTINCT game_date, player_id, 20.5 AS points_line, -110 AS over_odds, -110 AS under_odds FROM players"


def test_a_bad_betting_line_spoils_the_players_of_its_date_alone(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder()
    lines = LINES.replace("players", f"'{folder}/player_boxscores.parquet'")
    twice = f"SELECT * FROM ({lines}) UNION ALL (SELECT * FROM ({lines}) WHERE game_date = '{SPOILED}' LIMIT 1)"
    duckdb.sql(f"COPY ({twice}) TO '{folder}/props.parquet'")
    played = play(folder, tmp_path, 0)
    (problem,) = played.warehouse.query("SELECT game_date, problem FROM nba_reference.player_props_problems")
    assert problem["game_date"] == SPOILED
    assert problem["problem"].startswith("props.parquet: the key (game_date, player_id) = (2023-10-25, ")
    kept = played.warehouse.query("SELECT DISTINCT game_date FROM nba_reference.player_props")
    days = {row["game_date"] for row in kept}
    assert SPOILED not in days and OTHER in days
    played.warehouse.close()


def test_players_of_an_exhibition_do_not_vanish_from_later_dates(
    make_folder: MakeFolder, tmp_path: Path, league: Played
) -> None:
    day, after = league.days[2], league.days[3]
    teams = [row["team"] for row in league.rows("nba_analytics.upcoming_team_game_context", "game_date", after)][:2]
    picked = f"game_date < '{after}' AND team IN ({', '.join(repr(team) for team in teams)})"
    star = f"'{day}'::DATE AS game_date, '0032300001' AS game_id, 'EAST' AS team, 'WEST' AS opponent"
    players = (
        f"SELECT * FROM rows UNION ALL SELECT * REPLACE ({star}) FROM (SELECT * FROM rows WHERE {picked} "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY player_id ORDER BY game_date) = 1)"
    )
    game = (
        "SELECT * REPLACE ('0032300001' AS game_id, 'EAST' AS home_team, 'WEST' AS away_team) "
        f"FROM rows WHERE game_date = '{day}' LIMIT 1"
    )
    sides = " UNION ALL ".join(
        f"(SELECT * REPLACE ('0032300001' AS game_id, '{a}' AS team, '{b}' AS opponent) FROM rows "
        f"WHERE game_date = '{day}' LIMIT 1)"
        for a, b in (("EAST", "WEST"), ("WEST", "EAST"))
    )
    folder = make_folder(
        schedule=f"SELECT * FROM rows UNION ALL ({game})",
        team_boxscores=f"SELECT * FROM rows UNION ALL {sides}",
        player_boxscores=players,
    )
    starred = play(folder, tmp_path, 4)
    table = "nba_analytics.upcoming_player_game_context"
    assert starred.rows(table, "game_date", after) == league.rows(table, "game_date", after)
    starred.warehouse.close()


def test_two_games_of_one_team_on_one_date_pass_through_every_table(
    make_folder: MakeFolder, tmp_path: Path, league: Played
) -> None:
    day = league.days[9]
    more = f"SELECT * REPLACE ('9' || game_id AS game_id) FROM rows WHERE game_date = '{day}'"
    folder = make_folder(
        **dict.fromkeys(("schedule", "team_boxscores", "player_boxscores"), f"SELECT * FROM rows UNION ALL {more}")
    )
    doubled = play(folder, tmp_path, 10)
    contexts, teams = "nba_analytics.upcoming_player_game_context", "nba_analytics.upcoming_team_game_context"
    assert doubled.rows(contexts, "game_date", day) == league.rows(contexts, "game_date", day)
    assert len(doubled.rows(teams, "game_date", day)) == 2 * len(league.rows(teams, "game_date", day))
    for table, column in (
        ("nba_precompute.player_shot_zone_analysis", "analysis_date"),
        ("nba_precompute.player_composite_factors", "game_date"),
        ("nba_precompute.player_daily_cache", "cache_date"),
        ("nba_predictions.ml_feature_store_v2", "game_date"),
    ):
        assert doubled.rows(table, column, day) == league.rows(table, column, day), table
    doubled.warehouse.close()


def test_a_game_that_the_schedule_lists_twice_counts_once_in_later_dates(
    make_folder: MakeFolder, tmp_path: Path, league: Played
) -> None:
    twice = f"SELECT * FROM rows UNION ALL SELECT * FROM rows WHERE {FIRST}"
    played = play(make_folder(schedule=twice), tmp_path, 0)
    table, days = "nba_analytics.upcoming_team_game_context", league.days[2:8]
    for day in days:
        played.ask("phase_3_analytics", "upcoming_team_game_context", day)

    def numbers(one: Played) -> list[tuple[object, ...]]:
        rows = [row for day in days for row in one.rows(table, "game_date", day)]
        return [(row["game_date"], row["team"], row["season_game_number"], row["games_last_7_days"]) for row in rows]

    assert len(numbers(played)) > 60
    assert numbers(played) == numbers(league)
    played.warehouse.close()
