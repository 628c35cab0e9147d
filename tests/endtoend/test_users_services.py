"""A week through somebody's own services, whose phase 2 is started by their own events and only observed."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from phasegate.domain.state.run import RunStatus
from phasegate.report.explain import explain
from tests.fakes.in_process import UsersWorld
from tests.fakes.users_services import RAW_DONE, RAW_NAMES, TABLES, TEAMS, Oddities

FIRST = date(2024, 1, 15)
WEEK = [FIRST + timedelta(days=n) for n in range(7)]
PLAYERS, BOXES = RAW_NAMES.values()
LIVE_DAY = date(2024, 3, 1)


def odd_week() -> Oddities:
    """Something on every date but the first."""
    return Oddities(
        raw={
            (PLAYERS, WEEK[1]): ["stranger"],
            (BOXES, WEEK[1]): ["twice"],
            (PLAYERS, WEEK[2]): ["fail:ConnectionError"],
            (BOXES, WEEK[2]): ["again"],
            (BOXES, WEEK[3]): ["mute"],
            (PLAYERS, WEEK[3]): ["garbled"],
            (PLAYERS, WEEK[4]): ["SHOUT"],
            (PLAYERS, WEEK[5]): ["lie"],
            (BOXES, WEEK[5]): ["fail:SchemaError"],
        },
        analytics={("team_offense_game_summary", WEEK[6]): "bug"},
    )


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UsersWorld]:
    """The odd week, driven to its end while the live pipeline goes on with another date."""
    world = UsersWorld(tmp_path_factory.mktemp("week"), WEEK, odd_week())
    world.begin()
    for name in (PLAYERS, BOXES):
        live = {"processor_name": name, "game_date": str(LIVE_DAY), "status": "success", "record_count": 3}
        world.publish(RAW_DONE, json.dumps(live), 5.0)
    world.drive()
    yield world
    world.close()


def rows_by_day(world: UsersWorld, table: str) -> dict[date, int]:
    """How many rows of a table each date has."""
    found = world.warehouse.query(f"SELECT game_date AS d, COUNT(*) AS n FROM `{table}` GROUP BY game_date")
    return {row["d"]: row["n"] for row in found}


def test_what_went_well_in_the_end_is_complete_and_nothing_else_is(week: UsersWorld) -> None:
    found = week.drive()
    assert found.status is RunStatus.COMPLETED_WITH_FAILURES
    assert {phase: counts["passed"] for phase, counts in found.phases.items()} == {
        "phase_1_scrapers": 7,
        "phase_2_raw": 6,
        "phase_3_analytics": 5,
        "phase_4_precompute": 5,
    }


def test_what_failed_has_the_class_that_the_mapping_or_the_answer_gives_it(week: UsersWorld) -> None:
    failures = {(f.date, f.processor): (f.failure.error_class, f.failure.message) for f in week.drive().failures}
    assert {key: error_class for key, (error_class, _) in failures.items()} == {
        (WEEK[5], "bdl_player_boxscores"): "transient",
        (WEEK[5], "nbac_team_boxscore"): "bug",
        (WEEK[6], "team_offense_game_summary"): "bug",
    }
    assert failures[WEEK[5], "nbac_team_boxscore"][1].startswith("SchemaError: row 17 of nbac_team_boxscore/")
    assert failures[WEEK[6], "team_offense_game_summary"][1].endswith("no such column 'pace'")


def test_a_second_try_of_their_own_is_the_second_attempt(week: UsersWorld) -> None:
    attempts = week.state.dates("r", [WEEK[2]])[WEEK[2]].tasks["phase_2_raw", "bdl_player_boxscores"]
    assert [a.reported and a.reported.status.value for a in attempts] == ["failed", "success"]


def test_every_event_that_could_not_be_counted_is_set_aside_with_its_reason_once(week: UsersWorld) -> None:
    kept = {record.reason.partition("run r: ")[2] for record in week.state.quarantined("r")}
    box, players = "phase_2_raw/nbac_team_boxscore", "phase_2_raw/bdl_player_boxscores"
    reasons = [
        "processor_name: unknown processor 'bdl_boxscore_v9' of phase_2_raw",
        f"{WEEK[2]} {box}: attempt 1 has ended before",
        "not JSON",
        "status: unknown status 'SUCCESS'",
        f"{WEEK[5]} {box}: attempt 1 has ended before: SchemaError",
    ]
    assert len(kept) == len(week.state.quarantined("r")) == len(reasons)
    for reason in reasons:
        assert any(each.startswith(reason) for each in kept), (reason, kept)
    assert not any(players in each for each in kept)


def test_an_end_that_was_never_heard_of_is_found_in_the_table(week: UsersWorld) -> None:
    healed = {heal.subject: heal.detail for heal in week.state.heals("r") if heal.kind == "event"}
    assert healed == {
        f"{day} phase_2_raw/{name} attempt 1": f"topic {RAW_DONE} was silent for 600 s, but the output is there"
        for day, name in ((WEEK[3], "nbac_team_boxscore"), (WEEK[4], "bdl_player_boxscores"))
    }


def test_the_live_cascade_is_awake_and_no_date_of_the_run_wakes_it(week: UsersWorld) -> None:
    assert week.users.cascade.triggered == [str(LIVE_DAY)]
    assert week.users.cascade.heard > len(WEEK) * len(RAW_NAMES)


def test_live_traffic_of_other_dates_is_not_kept(week: UsersWorld) -> None:
    everything = week.state.quarantined("r") + week.state.quarantined(None)
    assert not any(str(LIVE_DAY) in record.event for record in everything)


def test_the_tables_hold_what_each_date_should_have(week: UsersWorld) -> None:
    rows = {table.partition(".")[2]: rows_by_day(week, table) for table in TABLES}
    teams, players = len(TEAMS), 2 * len(TEAMS)
    assert rows == {
        "bdl_player_boxscores": dict.fromkeys([d for d in WEEK if d != WEEK[5]], players),
        "nbac_team_boxscore": dict.fromkeys(WEEK, teams),
        "team_offense_game_summary": dict.fromkeys(WEEK[:5], teams),
        "player_game_summary": dict.fromkeys([*WEEK[:5], WEEK[6]], players),
        "ml_feature_store_v2": dict.fromkeys(WEEK[:5], players),
    }


def test_f01_a_flag_that_also_silences_the_reports_leaves_the_tables_to_tell(tmp_path: Path) -> None:
    world = UsersWorld(tmp_path, WEEK, Oddities(obeys_to_death=True))
    world.begin()
    found = world.drive()
    assert (found.status, found.tasks["succeeded"]) == (RunStatus.COMPLETED, found.tasks["expected"])
    silent = [heal for heal in world.state.heals("r") if RAW_DONE in heal.detail]
    assert len(silent) == len(WEEK) * len(RAW_NAMES)
    world.close()


def test_what_is_silent_and_has_no_output_fails_and_names_its_topic(tmp_path: Path) -> None:
    world = UsersWorld(tmp_path, WEEK[:1], Oddities(raw={(PLAYERS, WEEK[0]): ["lie"]}))
    world.begin()
    found = world.drive()
    assert [(f.attempt, f.failure.error_class, f.failure.message) for f in found.failures] == [
        (2, "transient", f"topic {RAW_DONE} was silent for 600 s, and there is no output")
    ]
    (root,) = explain(world.state, "r", None, None).roots
    assert (root.processor, RAW_DONE in root.detail) == ("bdl_player_boxscores", True)
    world.close()
