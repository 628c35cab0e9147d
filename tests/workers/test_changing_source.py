"""The source folder changes while its worker lives, as it does in a service: all that reads it sees late data."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from phasegate.domain.errors import TransientError
from tests.workers.conftest import MakeFolder, Played, play, request_body

DAY = date(2023, 10, 25)
PLAYERS = ("nba_raw.nbac_player_boxscore", "game_date", DAY)
SCORING = ("nba_analytics.player_game_summary", "game_date", DAY)


@pytest.fixture
def source(make_folder: MakeFolder) -> Path:
    return make_folder()


@pytest.fixture
def played(source: Path, tmp_path: Path) -> Played:
    """The season's first two dates, the second of which is to change."""
    return play(source, tmp_path, 2)


def rewrite(source: Path, name: str, select: str) -> None:
    """Write a file anew from its own rows (``t``)."""
    made = source / f"{name}.new"
    duckdb.sql(f"COPY (WITH t AS (FROM '{source / name}.parquet') {select}) TO '{made}' (FORMAT parquet)")
    made.replace(source / f"{name}.parquet")


def points(played: Played, table: tuple[str, str, date]) -> int:
    """The points of all players of the date."""
    return sum(row["points"] for row in played.rows(*table))


def test_rows_that_came_late_are_in_the_tables_of_the_next_attempt(source: Path, played: Played) -> None:
    before, summary = points(played, PLAYERS), points(played, SCORING)
    late = f"SELECT * REPLACE (CASE WHEN game_date = '{DAY}' THEN points + 1 ELSE points END AS points) FROM t"
    rewrite(source, "player_boxscores", late)
    played.process(DAY, fence=2)
    more = len(played.rows(*PLAYERS))
    assert (points(played, PLAYERS), points(played, SCORING)) == (before + more, summary + more)


def test_a_game_that_came_late_is_in_the_table_of_the_schedule(source: Path, played: Played) -> None:
    asked = f"SELECT COUNT(*) AS n FROM nba_raw.nbac_schedule WHERE game_date = '{DAY}'"
    (before,) = played.warehouse.query(asked)
    rewrite(
        source, "schedule", f"FROM t UNION ALL SELECT * REPLACE ('late' AS game_id) FROM t WHERE game_date = '{DAY}'"
    )
    assert played.ask("/scrape", "nbac_player_boxscore", DAY, 2)[0] == 200
    (after,) = played.warehouse.query(asked)
    assert after["n"] == 2 * before["n"]
    (source / "schedule.parquet").touch()
    played.worker.prepare()
    assert played.warehouse.query(asked) == [after]


def test_a_schedule_whose_table_could_not_be_written_is_written_at_the_next_request(
    source: Path, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise TransientError("too many statements")

    rewrite(source, "schedule", f"FROM t WHERE game_date <> '{DAY}'")
    with monkeypatch.context() as patch:
        patch.setattr(played.warehouse, "replace_table", refuse)
        assert played.ask("/scrape", "bdl_games", DAY, 2)[0] == 503
    assert played.ask("/scrape", "nbac_player_boxscore", DAY, 2)[0] == 200
    assert played.rows("nba_raw.nbac_schedule", "game_date", DAY) == []


def test_a_file_that_is_being_written_is_asked_for_again(source: Path, played: Played) -> None:
    before, file = points(played, PLAYERS), source / "player_boxscores.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:1000])
    status, answer = played.ask("/scrape", "nbac_player_boxscore", DAY, 2)
    assert (status, answer["error_class"]) == (503, "transient")
    assert "the source folder has changed and cannot be read: " in answer["message"]
    assert "player_boxscores.parquet" in answer["message"]
    file.write_bytes(whole)
    played.process(DAY, fence=3)
    assert points(played, PLAYERS) == before


def test_a_source_that_is_the_same_is_read_once(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: Path) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr("nba_worker.service.SourceFolder", read)
    assert played.worker.handle("/scrape", request_body("/scrape", "nbac_player_boxscore", DAY, 2))[0] == 200
    played.worker.prepare()
