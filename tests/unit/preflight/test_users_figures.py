"""The figures that the user's own documents name (seeds 001 and 003), out of the calendar of expected work."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from phasegate.adapters.embedded.schedule_file import ScheduleFile
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.calendar.expected_work import Expectation, WorkKind, expected_work
from phasegate.services.reading.schedule import read_calendar, read_left_out

PIPELINE = load_pipeline(Path(__file__).parents[2] / "fakes" / "figures.yaml")
GAMES = 8

SEASONS = {
    "2021-22": (date(2021, 10, 19), 205),
    "2022-23": (date(2022, 10, 18), 205),
    "2023-24": (date(2023, 10, 24), 202),
    "2024-25": (date(2024, 10, 22), 38),
}
"""First game date of each season (seed 001), and game dates: 650 together, the last season until 29 November."""

MORE_SEASONS = {**SEASONS, "2024-25": (date(2024, 10, 22), 206), "2025-26": (date(2025, 10, 21), 100)}
"""The same until 3 January 2026 (seed 003): 918 game dates."""


def days_of(seasons: dict[str, tuple[date, int]]) -> dict[date, str]:
    """Game dates one after the other from each season's first."""
    return {first + timedelta(days=n): name for name, (first, count) in seasons.items() for n in range(count)}


def expectations(
    folder: Path,
    days: dict[date, str],
    *,
    odds: Sequence[date] = (),
    postponed: Sequence[date] = (),
    bootstrap_days: int = 7,
) -> list[Expectation]:
    """What is expected over a source folder. postponed: further dates of which no game was played."""
    games = [(day, s, f"H{n}", f"A{n}", 3) for day, s in days.items() for n in range(GAMES)]
    games += [(day, "2023-24", "H0", "A0", 4) for day in postponed]
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE g (game_date DATE, season VARCHAR, home_team VARCHAR, away_team VARCHAR, game_status INT)"
        )
        connection.execute(
            "INSERT INTO g SELECT unnest(?), unnest(?), unnest(?), unnest(?), unnest(?)",
            list(map(list, zip(*games, strict=True))),
        )
        connection.execute(f"COPY g TO '{folder / 'schedule.parquet'}'")
        if odds:
            connection.execute("CREATE TABLE o AS SELECT unnest(?::DATE[]) AS game_date", [list(odds)])
            connection.execute(f"COPY o TO '{folder / 'odds.parquet'}'")
    spec = PIPELINE.calendar.model_copy(update={"bootstrap_days": bootstrap_days})
    pipeline = PIPELINE.model_copy(update={"calendar": spec})
    schedule = ScheduleFile(folder, spec)
    calendar = read_calendar(spec, schedule.query)
    left_out = read_left_out(spec, schedule.query)
    return list(expected_work(pipeline, calendar, pipeline.phase_names, tuple(calendar.by_day), left_out))


def counted(work: Sequence[Expectation], processor: str) -> Counter[tuple[WorkKind, str]]:
    """Dates of a processor by kind and reason."""
    return Counter((each.kind, each.reason) for each in work if each.processor == processor)


def expected(work: Sequence[Expectation], processor: str) -> int:
    """Dates on which a processor's output is expected."""
    return counted(work, processor)[WorkKind.EXPECTED, ""]


def test_phase_3_is_expected_on_all_650_game_dates(tmp_path: Path) -> None:
    work = expectations(tmp_path, days_of(SEASONS))
    assert expected(work, "player_game_summary") == expected(work, "team_offense_game_summary") == 650


def test_upcoming_player_game_context_is_limited_to_the_270_dates_of_the_odds(tmp_path: Path) -> None:
    days = days_of(SEASONS)
    work = expectations(tmp_path, days, odds=[*sorted(days)[300:570], date(2023, 7, 1)])
    assert counted(work, "upcoming_player_game_context") == {
        (WorkKind.EXPECTED, ""): 270,
        (WorkKind.EMPTY_OK, "no odds were kept for this date"): 380,
    }
    assert not any(e.may_hold_rows for e in work if e.kind is WorkKind.EMPTY_OK), "rows from nowhere would be wrong"


def test_a_source_without_its_file_holds_no_date(tmp_path: Path) -> None:
    assert expected(expectations(tmp_path, days_of(SEASONS)), "upcoming_player_game_context") == 0


def test_phase_4_is_expected_on_all_but_the_first_week_of_each_season(tmp_path: Path) -> None:
    work = expectations(tmp_path, days_of(SEASONS))
    assert counted(work, "player_shot_zone_analysis") == {
        (WorkKind.EXPECTED, ""): 622,
        (WorkKind.EMPTY_OK, "bootstrap: the first 7 days of a season"): 28,
    }


@pytest.mark.parametrize("processor", ["player_shot_zone_analysis", "player_prop_predictions"])
def test_with_two_weeks_of_bootstrap_848_of_918_dates_are_expected(tmp_path: Path, processor: str) -> None:
    assert expected(expectations(tmp_path, days_of(MORE_SEASONS), bootstrap_days=14), processor) == 848


def test_phase_6_is_one_file_a_date(tmp_path: Path) -> None:
    exports = [e for e in expectations(tmp_path, days_of(MORE_SEASONS)) if e.processor == "results_export"]
    assert len(exports) == 918
    assert {str(amount) for e in exports for amount in e.amounts} == {"1 object"}


def test_a_date_whose_games_were_all_postponed_has_no_work_and_says_why(tmp_path: Path) -> None:
    off = date(2023, 12, 31) + timedelta(days=200)
    work = expectations(tmp_path, {date(2023, 10, 24): "2023-24"}, postponed=[off, off])
    assert {(e.kind, e.reason) for e in work if e.day == off} == {
        (WorkKind.NOT_APPLICABLE, "all games were postponed (2 rows left out)")
    }


def test_an_expected_date_says_how_much(tmp_path: Path) -> None:
    work = expectations(tmp_path, {date(2023, 10, 24): "2023-24"})
    amounts = {e.processor: [str(a) for a in e.amounts] for e in work if e.kind is WorkKind.EXPECTED}
    assert amounts["team_offense_game_summary"] == ["16 rows", "at least 16 values of team"]
    assert amounts["player_game_summary"] == ["at least 96 rows"]
