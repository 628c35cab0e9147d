"""The reference worker as its callers see it: statuses, reasons, second runs and refusals."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from nba_worker.scrapers import ENDPOINTS
from nba_worker.service import build
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.errors import HaltError, TransientError
from tests.nba_sql import ANALYTICS, NBA, PRECOMPUTE, PREDICTIONS
from tests.workers.conftest import ORDER, PRECOMPUTE_ORDER, MakeFolder, Played, play, request_body
from tests.workers.reference import Reference

MIDDLE = 20
BY_WORKER = [(path, name) for path, name in ORDER if path.startswith("/")]
TABLES = {
    **{f"nba_raw.{name}": "game_date" for name in ENDPOINTS},
    **{
        processor.table: processor.date_column
        for processor in (*ANALYTICS.values(), *PRECOMPUTE.values(), *PREDICTIONS.values())
    },
    "nba_predictions.predictions_xgboost_v1": "game_date",
}
WITHOUT_SOURCE = {"nbac_play_by_play", "nbap_tracking_player", "nbap_tracking_team"}


def snapshot(league: Played, day: date) -> dict[str, list[dict[str, Any]]]:
    return {table: league.rows(table, column, day) for table, column in TABLES.items()}


def test_every_processor_of_the_pipeline_is_run_and_none_fails_on_any_date(league: Played) -> None:
    assert len(ORDER) == sum(len(phase.processors) for phase in NBA.phases if phase.name != "phase_6_exports")
    assert len(league.results) == len(ORDER) * len(league.days)
    assert {result["status"] for result in league.results.values()} == {"success", "empty"}


def test_the_rows_that_a_processor_reports_are_the_rows_in_its_table(league: Played) -> None:
    day = league.days[MIDDLE]
    for (when, path, name), result in league.results.items():
        if when == day and path != "/scrape":
            table = next(table for table in TABLES if table.endswith((f".{name}", f".predictions_{name}")))
            assert result["rows"] == len(league.rows(table, TABLES[table], day)), name


def test_a_scrape_leaves_one_line_for_each_row_of_the_source(league: Played, reference: Reference) -> None:
    day = league.days[MIDDLE]
    players = reference.raw_players(day)
    assert league.results[day, "/scrape", "nbap_player_usage"] == {
        "status": "success",
        "rows": None,
        "message": f"{len(players)} lines in scrapes/nbap_player_usage/{day}.jsonl",
        "error_class": None,
    }


def test_what_the_source_does_not_hold_is_empty_and_says_why(league: Played) -> None:
    day = league.days[MIDDLE]
    for name in WITHOUT_SOURCE:
        for path in ("/scrape", "/load"):
            result = league.results[day, path, name]
            assert (result["status"], result["rows"], result["error_class"]) == ("empty", 0, "expected_empty")
            assert result["message"].startswith("the source has no ")


def test_a_second_run_of_a_date_leaves_the_identical_rows(league: Played) -> None:
    day = league.days[MIDDLE]
    before = snapshot(league, day)
    league.process(day, fence=2)
    assert snapshot(league, day) == before


@pytest.mark.parametrize(
    ("path", "processor", "table"),
    [
        ("/load", "nbac_team_boxscore", "nba_raw.nbac_team_boxscore"),
        ("phase_3_analytics", "player_game_summary", "nba_analytics.player_game_summary"),
        ("phase_4_precompute", "ml_feature_store_v2", "nba_predictions.ml_feature_store_v2"),
    ],
)
def test_a_late_attempt_with_an_old_fence_gets_409_and_changes_nothing(
    league: Played, path: str, processor: str, table: str
) -> None:
    day = league.days[MIDDLE + 1]
    assert league.ask(path, processor, day, fence=7)[0] == 200
    before = league.rows(table, "game_date", day)
    status, body = league.ask(path, processor, day, fence=6)
    assert status == 409
    assert "fence 7" in body["message"] and "fence 6" in body["message"]
    assert league.rows(table, "game_date", day) == before
    assert league.ask(path, processor, day, fence=7)[0] == 200


def test_the_first_seven_days_of_a_season_precompute_nothing_and_say_bootstrap(league: Played) -> None:
    last = league.days[0] + timedelta(days=6)
    for day in league.days:
        for name in PRECOMPUTE_ORDER:
            result = league.results[day, "phase_4_precompute", name]
            is_bootstrap = result["status"] == "empty" and result["message"].startswith("bootstrap: ")
            assert is_bootstrap == (day <= last), (day, name, result)


def test_nobody_is_expected_on_the_first_date_of_a_season_but_its_teams_are(league: Played) -> None:
    first = league.days[0]
    players = league.results[first, "phase_3_analytics", "upcoming_player_game_context"]
    assert (players["status"], players["rows"]) == ("empty", 0)
    assert players["message"] == "nobody of these teams has played yet this season"
    games = league.results[first, "/load", "bdl_games"]["rows"]
    assert league.results[first, "phase_3_analytics", "upcoming_team_game_context"]["rows"] == 2 * games


def test_preparing_again_writes_nothing(league: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(table: str, lines: bytes) -> int:
        raise AssertionError(f"{table} was written again")

    monkeypatch.setattr(league.warehouse, "replace_table", refuse)
    league.worker.prepare()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"extra": 1}, "extra: Extra inputs are not permitted"),
        ({"fence": 0}, "fence: "),
        ({"game_date": "2024-13-01"}, "date: "),
        ({"game_date": None}, "date: "),
        ({"date": "2024-01-01"}, "the date travels as game_date"),
        ({"scraper": "bdl_games"}, "scraper: Extra inputs are not permitted"),
        ({"processor": "bdl_gamez"}, "unknown processor 'bdl_gamez'"),
        ({"processor": "player_game_summary"}, "unknown processor 'player_game_summary'"),
        ({"backfill_mode": False}, "backfill_mode: "),
        ({"is_backfill": True}, "is_backfill: "),
    ],
)
def test_a_bad_request_is_422_and_says_what_is_wrong(league: Played, change: dict[str, Any], complaint: str) -> None:
    body = request_body("/load", "bdl_games", league.days[0]) | change
    status, answer = league.worker.handle("/load", body)
    assert (status, answer["error_class"]) == (422, "bug")
    assert complaint in answer["message"]


def test_a_scraper_may_be_named_under_either_name(league: Played) -> None:
    body = request_body("/scrape", "bdl_games", league.days[0])
    assert league.worker.handle("/scrape", body)[0] == 200
    body["processor"] = body.pop("scraper")
    assert league.worker.handle("/scrape", body)[0] == 200


def test_an_unknown_path_is_404_and_names_the_known_ones(league: Played) -> None:
    status, answer = league.worker.handle("/proces", {})
    assert status == 404
    assert "use one of /scrape, /load" in answer["message"]


@pytest.mark.parametrize(
    ("error", "status", "error_class"),
    [
        (TransientError("busy"), 503, "transient"),
        (ZeroDivisionError("line one\nline two"), 500, "bug"),
    ],
)
def test_an_error_becomes_a_status_and_never_a_traceback(
    league: Played, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, error_class: str
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(league.warehouse, "replace_partition", fail)
    found, answer = league.ask("phase_3_analytics", "team_offense_game_summary", league.days[MIDDLE])
    assert (found, answer["error_class"]) == (status, error_class)
    assert "line two" not in answer["message"]


def test_a_full_disk_stops_everything_instead_of_being_answered(
    league: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise HaltError("the disk is full")

    monkeypatch.setattr(league.warehouse, "replace_partition", fail)
    with pytest.raises(HaltError):
        league.ask("phase_3_analytics", "team_offense_game_summary", league.days[MIDDLE])


def test_a_raw_processor_before_its_scraper_fails_as_not_yet(league: Played) -> None:
    after = league.days[-1] + timedelta(days=100)
    status, answer = league.ask("/load", "bdl_games", after)
    result = answer["results"]["bdl_games"]
    assert (status, result["status"], result["error_class"]) == (200, "failed", "not_yet")
    assert "run the scraper bdl_games" in result["message"]


def test_analytics_before_their_raw_tables_fail_as_not_yet(make_folder: MakeFolder, tmp_path: Path) -> None:
    unplayed = play(make_folder(), tmp_path, 0)
    day = date.fromisoformat("2023-10-25")
    result = unplayed.ask("phase_3_analytics", "team_offense_game_summary", day)[1]["results"][
        "team_offense_game_summary"
    ]
    assert (result["status"], result["rows"], result["error_class"]) == ("failed", 0, "not_yet")
    unplayed.warehouse.close()


def test_a_game_that_is_not_final_is_nowhere(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder(
        schedule="SELECT * REPLACE (CASE WHEN game_id = (SELECT MIN(game_id) FROM rows WHERE game_date = '2023-10-25') "
        "THEN 1 ELSE game_status END AS game_status) FROM rows"
    )
    played = play(folder, tmp_path, 2)
    day = played.days[1]
    (expected,) = played.warehouse.query(
        "SELECT COUNTIF(game_status = 3) AS final, COUNT(*) AS planned FROM nba_raw.nbac_schedule WHERE game_date = @d",
        {"d": day},
    )
    assert expected["final"] == expected["planned"] - 1
    for table in ("nba_raw.nbac_team_boxscore", "nba_analytics.team_offense_game_summary"):
        assert len(played.rows(table, "game_date", day)) == 2 * expected["final"]
    assert len(played.rows("nba_analytics.upcoming_team_game_context", "game_date", day)) == 2 * expected["final"]
    played.warehouse.close()


def test_a_date_whose_games_were_all_postponed_is_emptied_with_its_reason_where_that_is_right(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    played = play(make_folder(), home, 2)
    day = played.days[1]
    played.warehouse.close()
    folder = make_folder(
        schedule="SELECT * REPLACE "
        f"(CASE WHEN game_date = '{day}' THEN 1 ELSE game_status END AS game_status) FROM rows"
    )
    warehouse = DuckDbWarehouse(home / "warehouse.duckdb")
    worker = build(folder, warehouse, FolderObjectStore(home / "objects"))
    worker.prepare()
    loads = [(path, name) for path, name in BY_WORKER if path != "/scrape" and played.results[day, path, name]["rows"]]
    for path, name in BY_WORKER:
        if path == "/scrape":
            assert worker.handle(path, request_body(path, name, day, fence=2))[0] == 200
    for path, name in loads:
        _, body = worker.handle(path, request_body(path, name, day, fence=2))
        result = body["results"][name]
        assert (result["status"], result["error_class"]) == ("failed", "not_yet"), "rows are expected there"
        assert result["message"].endswith("and this attempt yields 0: nothing was changed; rows are expected there")
    for path, name in BY_WORKER:
        status, body = worker.handle(path, request_body(path, name, day, fence=3, may_be_empty=True))
        assert (status, body["results"][name]["status"]) == (200, "empty"), (path, name, body)
        if (path, name) in loads:
            message = body["results"][name]["message"]
            assert re.fullmatch(rf"no game of {day} was played to its end; \d+ rows? of before deleted", message)
    for table, column in TABLES.items():
        if table.startswith("nba_raw."):
            assert warehouse.query(f"SELECT 1 AS x FROM {table} WHERE {column} = @d", {"d": day}) == []
    warehouse.close()


def test_shots_plays_and_betting_lines_are_used_where_the_source_has_them(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    box = "(SELECT game_date, game_id, team, player_id, fgm, fga FROM rows)".replace(
        "rows", f"'{make_folder()}/player_boxscores.parquet'"
    )
    folder = make_folder(
        shots="SELECT game_date, game_id, team, player_id, made, 'Restricted Area' AS zone FROM "
        f"(SELECT *, UNNEST(RANGE(fga)) < fgm AS made FROM {box})",
        play_by_play="SELECT game_date, game_id, 1 AS event_number, 1 AS period, '12:00' AS clock, MIN(team) AS team, "
        f"MIN(player_id) AS player_id, 'tip' AS event_type, '' AS description FROM {box} GROUP BY game_date, game_id",
        props="SELECT DISTINCT game_date, player_id, 20.5 AS points_line, -110 AS over_odds, -110 AS under_odds "
        f"FROM {box}",
    )
    played = play(folder, tmp_path, 9)
    day = played.days[-1]
    assert (
        played.results[day, "/load", "nbac_play_by_play"]["rows"] == played.results[day, "/load", "bdl_games"]["rows"]
    )
    for row in played.rows("nba_analytics.team_defense_game_summary", "game_date", day):
        assert (row["opp_rim_fgm"], row["opp_rim_fga"]) == (row["opp_fgm"], row["opp_fga"])
    zones = played.rows("nba_precompute.team_defense_zone_analysis", "analysis_date", day)
    assert zones and all((row["opp_rim_rate"], row["opp_rim_fg_pct"]) == (1.0, row["opp_fg_pct"]) for row in zones)
    lines = played.rows("nba_analytics.upcoming_player_game_context", "game_date", day)
    assert {row["points_line"] for row in lines} == {20.5, None}
    played.warehouse.close()


def test_four_threads_at_once_leave_the_same_rows(league: Played, source_folder: Path, tmp_path: Path) -> None:
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    worker = build(source_folder, warehouse, FolderObjectStore(tmp_path / "objects"))
    worker.prepare()
    days = league.days[:4]

    def ask(task: tuple[str, str, date]) -> int:
        return worker.handle(task[0], request_body(*task))[0]

    with ThreadPoolExecutor(4) as pool:
        for path in ("/scrape", "/load"):
            tasks = [(path, name, day) for day in days for name in ENDPOINTS]
            assert set(pool.map(ask, tasks)) == {200}
    crowd = Played(worker, warehouse, league.calendar, days, {})
    for name in ENDPOINTS:
        for day in days:
            assert crowd.rows(f"nba_raw.{name}", "game_date", day) == league.rows(f"nba_raw.{name}", "game_date", day)
    warehouse.close()


def test_a_scraped_object_holds_only_what_its_endpoint_gives(source_folder: Path, tmp_path: Path) -> None:
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    objects = FolderObjectStore(tmp_path / "objects")
    worker = build(source_folder, warehouse, objects)
    day = date.fromisoformat("2023-10-25")
    worker.handle("/scrape", request_body("/scrape", "nbap_team_defense", day))
    worker.handle("/scrape", request_body("/scrape", "nbap_tracking_team", day))
    lines = objects.read(f"scrapes/nbap_team_defense/{day}.jsonl").splitlines()
    assert all(list(json.loads(line)) == list(ENDPOINTS["nbap_team_defense"].columns) for line in lines)
    assert objects.read(f"scrapes/nbap_tracking_team/{day}.jsonl") == b""
    warehouse.close()
