"""A source folder that is wrong is refused when it is opened, with the file and what to do about it."""

from datetime import date
from pathlib import Path

import pytest

from nba_worker.source import SourceFolder, player_lookup
from phasegate.domain.errors import InputError
from tests.workers.conftest import MakeFolder
from tests.written_dates import NO_DATES, WRITTEN_DATES


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere is not there: give --source a folder with schedule\.parquet"):
        SourceFolder(tmp_path / "nowhere")


def test_a_missing_file_is_named(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "team_boxscores.parquet").unlink()
    with pytest.raises(InputError, match=r"team_boxscores\.parquet is not there"):
        SourceFolder(folder)


def test_a_missing_column_is_named_with_its_file(make_folder: MakeFolder) -> None:
    folder = make_folder(player_boxscores="SELECT * EXCLUDE (minutes, wl) FROM rows")
    with pytest.raises(InputError, match=r"player_boxscores\.parquet has no column minutes, wl"):
        SourceFolder(folder)


def test_a_file_that_is_not_parquet_is_named(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "schedule.parquet").write_text("season,game_date\n")
    with pytest.raises(InputError, match=r"schedule\.parquet: not a readable parquet file"):
        SourceFolder(folder)


def test_a_value_of_another_type_is_refused(make_folder: MakeFolder) -> None:
    folder = make_folder(team_boxscores="SELECT * REPLACE ('many' AS points) FROM rows")
    with pytest.raises(InputError, match=r"parquet: points holds 'many' on 2023-10-24, which is no whole number"):
        SourceFolder(folder)


def test_a_key_that_stands_there_twice_is_refused(make_folder: MakeFolder) -> None:
    folder = make_folder(team_boxscores="SELECT * FROM rows UNION ALL SELECT * FROM rows")
    with pytest.raises(InputError, match=r"\(game_id, team\) = .* stands there twice"):
        SourceFolder(folder)


def test_a_row_without_its_key_is_refused(make_folder: MakeFolder) -> None:
    folder = make_folder(player_boxscores="SELECT * REPLACE (NULL::BIGINT AS player_id) FROM rows")
    with pytest.raises(
        InputError, match="has no value in one of game_date, game_id, player_id, team, player_name: every row"
    ):
        SourceFolder(folder)


def test_a_schedule_without_a_final_game_is_refused(make_folder: MakeFolder) -> None:
    folder = make_folder(schedule="SELECT * REPLACE (1 AS game_status) FROM rows")
    with pytest.raises(InputError, match="no game has game_status 3"):
        SourceFolder(folder)


def test_an_optional_file_is_checked_too(make_folder: MakeFolder) -> None:
    folder = make_folder(shots="SELECT DATE '2023-10-24' AS game_date, 'x' AS game_id")
    with pytest.raises(InputError, match=r"shots\.parquet has no column made, player_id, team, zone"):
        SourceFolder(folder)


@pytest.mark.parametrize(
    ("name", "meant"), [("shot", "shots"), ("Shots", "shots"), ("prop", "props"), ("play_by_plays", "play_by_play")]
)
def test_a_misspelt_file_is_not_taken_for_one_that_is_absent(make_folder: MakeFolder, name: str, meant: str) -> None:
    folder = make_folder()
    (folder / f"{name}.parquet").write_bytes((folder / "schedule.parquet").read_bytes())
    with pytest.raises(InputError, match=rf"{name}\.parquet: not a file of a source folder; did you mean {meant}\."):
        SourceFolder(folder)


def test_files_of_other_names_may_lie_beside_them(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "referees.parquet").write_bytes(b"")
    assert SourceFolder(folder).day(date(2023, 10, 25), "player_shots").reason == "the source has no shots.parquet"


def test_an_off_day_has_no_rows_and_a_reason(source_folder: Path) -> None:
    found = SourceFolder(source_folder).day(date(2023, 9, 1), "teams")
    assert (found.rows, found.reason) == ((), "no game of 2023-09-01 was played to its end")


@pytest.mark.parametrize(
    ("name", "lookup"),
    [("Luka Dončić", "lukadoncic"), ("P.J. Washington Jr.", "pjwashingtonjr"), ("De'Aaron Fox", "deaaronfox")],
)
def test_a_player_is_looked_up_by_plain_letters(name: str, lookup: str) -> None:
    assert player_lookup(name) == lookup


@pytest.mark.parametrize("written", WRITTEN_DATES)
def test_a_worker_takes_the_dates_that_plan_and_preflight_take(make_folder: MakeFolder, written: str) -> None:
    day, whole = date(2023, 10, 25), SourceFolder(make_folder())
    files = ("schedule", "team_boxscores", "player_boxscores")
    select = f"SELECT * REPLACE ({written} AS game_date) FROM rows"
    source = SourceFolder(make_folder(**dict.fromkeys(files, select)))
    for subject in ("games", "teams", "players"):
        assert source.day(day, subject) == whole.day(day, subject)
    assert source.schedule_rows() == whole.schedule_rows()


@pytest.mark.parametrize("file", ["schedule", "player_boxscores"])
@pytest.mark.parametrize(("written", "message"), NO_DATES)
def test_a_worker_refuses_what_plan_and_preflight_refuse_in_the_same_words(
    make_folder: MakeFolder, file: str, written: str, message: str
) -> None:
    # The lists are about January 1; here the first day is October 24.
    said = message.replace("2024-01-01", "2023-10-24").replace(r"01\.01\.2024", r"\d\d\.\d\d\.2023")
    written = written.replace("'01-01', '02-30'", "'10-24', '02-30'")
    said = said.replace("2024-02-30", "2023-02-30")
    folder = make_folder(**{file: f"SELECT * REPLACE ({written} AS game_date) FROM rows"})
    with pytest.raises(InputError, match=rf"{file}\.parquet: game_date.*{said.removeprefix('game_date')}"):
        SourceFolder(folder)


def test_the_case_of_a_columns_name_does_not_matter_to_anybody(make_folder: MakeFolder) -> None:
    source = SourceFolder(make_folder(schedule='SELECT * RENAME (game_date AS "Game_Date") FROM rows'))
    assert source.day(date(2023, 10, 25), "games").rows
