"""Each check on real games: a fault is planted in a table, found with its numbers, and gone when it is mended."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.errors import PhasegateError, TransientError
from phasegate.domain.plan import Plan, PlanIndex, WorkLetter, compile_plan
from phasegate.domain.spec.pipeline import Pipeline, select_phases
from phasegate.domain.state.facts import BLOCK, PASS, UNKNOWN, WARN, Verdict
from phasegate.ports import Parameter, Row
from phasegate.services.reading.prover import Prover
from phasegate.services.reading.schedule import read_calendar
from tests.nba_sql import PIPELINE
from tests.workers.conftest import Played, play

TEAMS, PLAYERS = "phase_3_analytics/team_offense_game_summary", "phase_3_analytics/player_game_summary"
OFFENSE, SUMMARY = "nba_analytics.team_offense_game_summary", "nba_analytics.player_game_summary"

ADDED: dict[str, list[dict[str, Any]]] = {
    TEAMS: [
        {"check": "duplicates"},
        {"check": "coverage", "processor": "phase_2_raw/nbac_team_boxscore", "keys": ["game_id", "team"]},
        {"check": "nulls", "column": "points"},
        {"check": "nulls", "name": "possessions_known", "column": "possessions", "severity": "warn"},
        {"check": "range", "column": "fg_pct", "min": 0.0, "max": 1.0},
        {
            "check": "sql",
            "name": "wins_and_losses",
            "query": "SELECT game_date, COUNTIF(won) * 2 = COUNT(*) AS ok, "
            "CONCAT(CAST(COUNTIF(won) AS STRING), ' of ', CAST(COUNT(*) AS STRING), ' teams won') AS detail, "
            "COUNT(*) AS expected, 2 * COUNTIF(won) AS found "
            f"FROM {OFFENSE} WHERE game_date IN UNNEST(@days) GROUP BY game_date",
        },
    ],
    PLAYERS: [
        {"check": "coverage", "processor": "team_offense_game_summary", "keys": ["game_id"]},
        {"check": "duplicates"},
    ],
}
"""Checks of these two tables in place of the pipeline's own others."""


@dataclass(frozen=True)
class Judged:
    """A league's first dates in the tables, and the verdicts on them."""

    played: Played
    index: PlanIndex
    prover: Prover

    @property
    def day(self) -> date:
        """The date on which faults are planted: the seventh of the season, a full one."""
        return self.played.days[6]

    def verdicts(self, ref: str) -> dict[date, dict[str, Verdict]]:
        """Every verdict on a processor's table, by date and name of the check."""
        days = self.played.days
        counts = self.prover.count({ref: (self.index.processor(ref).output, days)})[ref]
        assert not isinstance(counts, PhasegateError) and counts is not None
        expects = {day: self.index.expectation(ref, day) for day in days}
        found: dict[date, dict[str, Verdict]] = {day: {} for day in days}
        for day, verdict in self.prover.judge(self.index, {ref: (expects, counts)})[ref]:
            found[day][verdict.check] = verdict
        return found

    def execute(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Something done to the tables; what it returns."""
        with self.played.warehouse._connection.cursor() as cursor:
            return cursor.execute(sql, list(values)).fetchall()

    @contextmanager
    def spoiled(self, table: str, *statements: str) -> Iterator[None]:
        """A fault in a table, mended at the end. ``?`` stands for the date."""
        with self.played.warehouse._connection.cursor() as cursor:
            cursor.execute(f"CREATE OR REPLACE TABLE main.kept AS SELECT * FROM {table}")
            for statement in statements:
                cursor.execute(statement.replace("?", f"DATE '{self.day}'"))
        try:
            yield
        finally:
            with self.played.warehouse._connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM {table}")
                cursor.execute(f"INSERT INTO {table} SELECT * FROM main.kept")

    def one(self, sql: str) -> Any:
        """One value. ``?`` stands for the date."""
        return self.execute(sql.replace("?", f"DATE '{self.day}'"))[0][0]


def with_checks(pipeline: Pipeline, added: Mapping[str, Sequence[dict[str, Any]]]) -> Pipeline:
    """The pipeline with checks added to those named ``rows`` and ``entities`` of some processors."""
    document = pipeline.model_dump(mode="json", by_alias=True)
    for phase in document["phases"]:
        phase["checks"] = []
        for processor in phase["processors"]:
            if checks := added.get(f"{phase['name']}/{processor['name']}"):
                own = [check for check in processor["checks"] if check["check"] in ("rows", "entities")]
                processor["checks"] = [*own, *checks]
    return Pipeline.model_validate(document)


def index_of(played: Played, pipeline: Pipeline) -> PlanIndex:
    """A plan over the played dates."""
    calendar = read_calendar(pipeline.calendar, played.warehouse.query)
    phases = select_phases(pipeline, "1..4")
    plan = Plan(
        pipeline=pipeline,
        phases=phases,
        days=played.days,
        calendar=calendar.dates,
        work={f"{n}/{x.name}": WorkLetter.RUN * len(played.days) for n in phases for x in pipeline.phase(n).processors},
        reprocess="all",
        code_version="test",
    )
    return compile_plan(plan)


@pytest.fixture(scope="module")
def played(source_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    made = play(source_folder, tmp_path_factory.mktemp("faults"), 10)
    yield made
    made.warehouse.close()


@pytest.fixture(scope="module")
def judged(played: Played, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    pipeline = with_checks(load_pipeline(PIPELINE / "pipeline.yaml"), ADDED)
    prover = Prover(played.warehouse, FolderObjectStore(tmp_path_factory.mktemp("objects")))
    return Judged(played, index_of(played, pipeline), prover)


def wrong(judged: Judged, ref: str) -> dict[date, dict[str, Verdict]]:
    """The verdicts that are not PASS, on the dates that have any."""
    found = {
        day: {name: verdict for name, verdict in of_day.items() if verdict.outcome != PASS}
        for day, of_day in judged.verdicts(ref).items()
    }
    return {day: of_day for day, of_day in found.items() if of_day}


@pytest.mark.parametrize("ref", [TEAMS, PLAYERS])
def test_sound_tables_pass_every_check(judged: Judged, ref: str) -> None:
    assert wrong(judged, ref) == {}
    assert all(len(of_day) == len(judged.index.checks(ref)) for of_day in judged.verdicts(ref).values())


def test_a_row_that_is_missing_is_found_by_rows_entities_and_coverage(judged: Judged) -> None:
    rows = judged.one(f"SELECT COUNT(*) FROM {OFFENSE} WHERE game_date = ?")
    key, team = judged.execute(
        f"SELECT game_id || '/' || team, team FROM {OFFENSE} WHERE game_date = ? ORDER BY 1 LIMIT 1", judged.day
    )[0]
    fault = f"DELETE FROM {OFFENSE} WHERE game_date = ? AND game_id || '/' || team = '{key}'"
    with judged.spoiled(OFFENSE, fault):
        (found,) = wrong(judged, TEAMS).values()
    assert {name: (v.expected, v.found, v.missing) for name, v in found.items() if name != "wins_and_losses"} == {
        "rows": (rows, rows - 1, ()),
        "entities": (rows, rows - 1, (team,)),
        "coverage": (rows, rows - 1, (key,)),
    }
    assert found["wins_and_losses"].outcome == BLOCK
    assert found["coverage"].threshold == "at least 1 of the keys of phase_2_raw/nbac_team_boxscore"
    assert wrong(judged, TEAMS) == {}, "mended"


def test_the_table_that_keys_are_compared_with_is_named_when_it_holds_no_rows(judged: Judged) -> None:
    with judged.spoiled(OFFENSE, f"DELETE FROM {OFFENSE} WHERE game_date = ?"):
        (found,) = wrong(judged, PLAYERS)[judged.day].values()
    assert (found.check, found.outcome, found.expected, found.found) == ("coverage", BLOCK, 0, 0)
    assert found.detail == f"{OFFENSE} holds no rows: there are no keys to compare with"
    compared = {"check": "entities", "key": "game_id", "processor": "team_offense_game_summary", "name": "games_known"}
    plan = index_of(judged.played, with_checks(judged.index.plan.pipeline, {PLAYERS: [compared]}))
    with judged.spoiled(OFFENSE, f"DELETE FROM {OFFENSE} WHERE game_date = ?"):
        said = Judged(judged.played, plan, judged.prover).verdicts(PLAYERS)[judged.day]["games_known"].detail
    assert said == f"{OFFENSE} holds no rows: there are no keys to compare with"


def test_a_field_that_is_null_is_found_with_its_share(judged: Judged) -> None:
    rows = judged.one(f"SELECT COUNT(*) FROM {OFFENSE} WHERE game_date = ?")
    fault = f"UPDATE {OFFENSE} SET points = NULL WHERE game_date = ? AND NOT is_home"
    with judged.spoiled(OFFENSE, fault):
        assert set(wrong(judged, TEAMS)) == {judged.day}
        (found,) = wrong(judged, TEAMS)[judged.day].values()
    assert (found.check, found.outcome, found.expected, found.found) == ("nulls", BLOCK, rows, rows // 2)
    assert found.detail == f"points: {rows // 2} of {rows} rows are NULL (50.0%)"
    assert wrong(judged, TEAMS) == {}, "mended"


def test_a_key_that_is_there_twice_is_found_and_named(judged: Judged) -> None:
    key = judged.one(f"SELECT MIN(game_id || '/' || player_id) FROM {SUMMARY} WHERE game_date = ?")
    fault = (
        f"INSERT INTO {SUMMARY} SELECT * FROM {SUMMARY} WHERE game_date = ? AND game_id || '/' || player_id = '{key}'"
    )
    with judged.spoiled(SUMMARY, fault):
        (found,) = wrong(judged, PLAYERS)[judged.day].values()
    assert (found.check, found.outcome, found.expected, found.found, found.missing) == (
        "duplicates",
        BLOCK,
        0,
        1,
        (key,),
    )
    assert found.detail == f"1 key(s) more than once ({key} 2 times)"
    assert wrong(judged, PLAYERS) == {}, "mended"


def test_a_value_out_of_range_is_found_with_its_extremes(judged: Judged) -> None:
    rows = judged.one(f"SELECT COUNT(*) FROM {OFFENSE} WHERE game_date = ?")
    fault = (
        f"UPDATE {OFFENSE} SET fg_pct = 12.28 WHERE game_date = ? AND is_home "
        f"AND game_id = (SELECT MIN(game_id) FROM {OFFENSE} WHERE game_date = ?)"
    )
    with judged.spoiled(OFFENSE, fault):
        (found,) = wrong(judged, TEAMS)[judged.day].values()
    assert (found.check, found.outcome, found.expected, found.found) == ("range", BLOCK, rows, rows - 1)
    assert found.detail.startswith(f"fg_pct: 1 of {rows} values are outside 0 to 1 (") and "to 12.28)" in found.detail
    assert wrong(judged, TEAMS) == {}, "mended"


@pytest.mark.parametrize("bounds", [{"min": 0}, {"max": 1}, {"min": 0, "max": 1}], ids=["min", "max", "both"])
def test_what_is_not_a_number_lies_outside_of_every_range(judged: Judged, bounds: dict[str, int]) -> None:
    check = {"check": "range", "name": "sane", "column": "fg_pct", **bounds}
    plan = index_of(judged.played, with_checks(judged.index.plan.pipeline, {TEAMS: [check]}))
    asking = Judged(judged.played, plan, judged.prover)
    rows = judged.one(f"SELECT COUNT(*) FROM {OFFENSE} WHERE game_date = ?")
    low, high = (
        judged.one(f"SELECT {of}(fg_pct) FROM {OFFENSE} WHERE game_date = ? AND is_home") for of in ("MIN", "MAX")
    )
    with judged.spoiled(OFFENSE, f"UPDATE {OFFENSE} SET fg_pct = 'NaN' WHERE game_date = ? AND NOT is_home"):
        found = wrong(asking, TEAMS)[judged.day]["sane"]
    assert (found.outcome, found.expected, found.found) == (BLOCK, rows, rows // 2)
    assert found.detail.endswith(f" ({low:g} to {high:g}, {rows // 2} NaN)")
    with judged.spoiled(OFFENSE, f"UPDATE {OFFENSE} SET fg_pct = 'NaN' WHERE game_date = ?"):
        assert wrong(asking, TEAMS)[judged.day]["sane"].detail.endswith(f" ({rows} NaN)")
    assert wrong(asking, TEAMS) == {}, "mended"


def test_ids_whose_halves_are_swapped_match_no_game_and_are_found_by_coverage(judged: Judged) -> None:
    games = [
        row[0]
        for row in judged.execute(f"SELECT DISTINCT game_id FROM {SUMMARY} WHERE game_date = ? ORDER BY 1", judged.day)
    ]
    swapped = games[: len(games) // 2]
    names = ", ".join(f"'{game}'" for game in swapped)
    fault = (
        f"UPDATE {SUMMARY} SET game_id = SUBSTR(game_id, 6) || SUBSTR(game_id, 1, 5) "
        f"WHERE game_date = ? AND game_id IN ({names})"
    )
    with judged.spoiled(SUMMARY, fault):
        (found,) = wrong(judged, PLAYERS)[judged.day].values()
    assert (found.check, found.outcome, found.missing) == ("coverage", BLOCK, tuple(swapped))
    assert (found.expected, found.found) == (len(games), len(games) - len(swapped))
    assert wrong(judged, PLAYERS) == {}, "mended"


def test_what_a_query_of_its_own_says_counts(judged: Judged) -> None:
    rows = judged.one(f"SELECT COUNT(*) FROM {OFFENSE} WHERE game_date = ?")
    with judged.spoiled(OFFENSE, f"UPDATE {OFFENSE} SET won = TRUE WHERE game_date = ?"):
        (found,) = wrong(judged, TEAMS)[judged.day].values()
    assert (found.check, found.outcome, found.expected, found.found) == ("wins_and_losses", BLOCK, rows, 2 * rows)
    assert found.detail == f"{rows} of {rows} teams won"
    assert wrong(judged, TEAMS) == {}, "mended"


def test_a_check_that_only_warns_says_so_and_blocks_nothing(judged: Judged) -> None:
    with judged.spoiled(OFFENSE, f"UPDATE {OFFENSE} SET possessions = NULL WHERE game_date = ?"):
        (found,) = wrong(judged, TEAMS)[judged.day].values()
    assert (found.check, found.outcome, found.found) == ("possessions_known", WARN, 0)


# Asking


def test_many_dates_cost_as_many_queries_as_one(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse, asked = judged.played.warehouse, []
    ask = warehouse.ask

    def counting(questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[list[Row] | PhasegateError]:
        asked.append(len(questions))
        return ask(questions)

    monkeypatch.setattr(warehouse, "ask", counting)
    for days in (judged.played.days[:1], judged.played.days):
        subjects = {ref: ({d: judged.index.expectation(ref, d) for d in days}, {}) for ref in (TEAMS, PLAYERS)}
        judged.prover.judge(judged.index, subjects)
    kinds = {"entities", "duplicates", "coverage", "nulls", "range", "sql"}
    assert asked == [len(kinds), len(kinds)], "one of each kind, for both tables and all dates"


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ({"check": "nulls", "column": "colour"}, "colour"),
        ({"check": "duplicates", "keys": ["colour"]}, "colour"),
        ({"check": "range", "column": "team", "min": 0}, "a number does not compare with a text"),
        (
            {"check": "sql", "query": "SELECT game_date, TRUE AS ok, '' AS detail FROM a.b WHERE game_date = @first"},
            "there is no table a.b",
        ),
    ],
    ids=["an unknown column", "an unknown key", "a range of words", "a table that is not there"],
)
def test_a_check_that_cannot_be_asked_blocks_and_says_why(judged: Judged, check: dict[str, Any], said: str) -> None:
    wanting = Judged(
        judged.played, index_of(judged.played, with_checks(judged.index.plan.pipeline, {TEAMS: [check]})), judged.prover
    )
    found = wrong(wanting, TEAMS)
    assert set(found) == set(judged.played.days)
    assert {v.outcome for of_day in found.values() for v in of_day.values()} == {BLOCK}
    assert all(said in v.detail and "cannot be asked" in v.detail for of_day in found.values() for v in of_day.values())


def test_a_check_that_could_not_be_asked_is_unknown_on_every_date(
    judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = judged.prover.count({TEAMS: (judged.index.processor(TEAMS).output, judged.played.days)})[TEAMS]
    busy = TransientError("quota exceeded")
    monkeypatch.setattr(judged.played.warehouse, "ask", lambda questions: [busy] * len(questions))
    assert isinstance(counts, dict)
    subjects = {TEAMS: (dict.fromkeys(judged.played.days, "e"), counts)}
    found = [v for _, v in judged.prover.judge(judged.index, subjects)[TEAMS]]
    outcomes = {v.check: v.outcome for v in found}
    assert outcomes == dict.fromkeys(outcomes, UNKNOWN) | {"rows": PASS, "possessions_known": WARN}


def test_a_query_that_divides_by_zero_or_says_nothing_of_a_date_blocks_that_date_only(judged: Judged) -> None:
    query = (
        f"SELECT game_date, SAFE_DIVIDE(COUNT(*), COUNTIF(points > 0)) >= 1 AS ok, 'scoring teams' AS detail "
        f"FROM {OFFENSE} WHERE game_date IN UNNEST(@days) AND team <> 'NOBODY' GROUP BY game_date"
    )
    pipeline = with_checks(judged.index.plan.pipeline, {TEAMS: [{"check": "sql", "query": query}]})
    asking = Judged(judged.played, index_of(judged.played, pipeline), judged.prover)
    assert wrong(asking, TEAMS) == {}
    with judged.spoiled(OFFENSE, f"UPDATE {OFFENSE} SET points = 0 WHERE game_date = ?"):
        assert {day: list(found) for day, found in wrong(asking, TEAMS).items()} == {judged.day: ["sql"]}
    with judged.spoiled(OFFENSE, f"UPDATE {OFFENSE} SET team = 'NOBODY' WHERE game_date = ?"):
        found = wrong(asking, TEAMS)[judged.day]["sql"]
    assert found.detail == "the query said nothing about this date"
