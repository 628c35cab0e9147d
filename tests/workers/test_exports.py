"""The exports: what stands in a file, and that the index and the files agree whoever dies and whoever writes."""

import errno
import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from nba_worker import export_index
from nba_worker.export_index import INDEX, WAITS
from nba_worker.exports import EXPORTS, LAST_GAMES
from phasegate.domain.errors import InputError, TransientError
from phasegate.domain.spec.pipeline import ObjectOutput
from phasegate.ports import Partition
from phasegate.worker import ErrorClass, ProcessorResult, ResultStatus
from tests.conftest import NBA_PIPELINE
from tests.nba_sql import NBA
from tests.workers.exporting import (
    ALONE,
    DAYS,
    FIRST,
    FIRST_PREDICTED,
    NO_LINE,
    ONE_GAME,
    Around,
    Killed,
    League,
    Store,
    export,
    export_all,
    tables_of,
)

SCHEMAS = {
    name: json.loads((NBA_PIPELINE.parent / "exports" / f"{name}.schema.json").read_text(encoding="utf-8"))
    for name in (*EXPORTS, "index")
}
LATER = DAYS[12]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each writer would have waited for the others, in seconds: nobody waits here."""
    waits: list[float] = []
    monkeypatch.setattr(export_index, "sleep", waits.append)
    return waits


@pytest.fixture(scope="module")
def league(tmp_path_factory: pytest.TempPathFactory) -> Iterator[League]:
    """The league as it was played."""
    league = League(tmp_path_factory.mktemp("league"))
    league.play()
    yield league
    league.warehouse.close()


@pytest.fixture
def other_league(tmp_path: Path) -> Iterator[League]:
    """A league whose tables a test may change."""
    league = League(tmp_path)
    league.play()
    yield league
    league.warehouse.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "objects")


@pytest.fixture(scope="module")
def published(league: League, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with every export of the league, for tests that only look."""
    store = Store(tmp_path_factory.mktemp("published"))
    export_all(league.exports(store), dates_at_once=20)
    return store


def content_of(store: Store, kind: str, day: date) -> dict[str, Any]:
    """What an export says."""
    content: dict[str, Any] = json.loads(store.read(f"v1/{kind}/{day}.json"))
    return content


def problems(kind: str, content: object) -> list[str]:
    """What its schema has against an export."""
    return [error.message for error in Draft202012Validator(SCHEMAS[kind]).iter_errors(content)]


def assert_agree(store: Store) -> None:
    """The index lists every file as it is, and no other."""
    files = {name: content for name, content in store.files().items() if name != INDEX}
    listed = {entry["path"]: entry for of_kind in store.index()["exports"].values() for entry in of_kind.values()}
    assert listed == {
        name: {"path": name, "bytes": len(content), "sha256": sha256(content).hexdigest()}
        for name, content in files.items()
    }


def test_the_pipeline_file_has_each_export_where_the_worker_writes_it_with_its_schema() -> None:
    written = {
        processor.name: (processor.output.name_on(LATER), [check.schema_file for check in processor.checks])
        for processor in NBA.phase("phase_6_exports").processors
        if isinstance(processor.output, ObjectOutput)
    }
    assert written == {kind: (f"v1/{kind}/{LATER}.json", [f"exports/{kind}.schema.json"]) for kind in EXPORTS}


def test_every_game_date_has_its_exports_and_each_fits_its_schema(published: Store) -> None:
    for kind in EXPORTS:
        for day in DAYS:
            assert problems(kind, content_of(published, kind, day)) == [], (kind, day)
    assert problems("index", published.index()) == []
    assert_agree(published)
    assert len(published.files()) == 3 * len(DAYS) + 1


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("results", lambda content: content["games"][0].pop("home_score")),
        ("results", lambda content: content["predictions"][0]["systems"][0].update(predicted_points=101)),
        ("results", lambda content: content["predictions"][0]["systems"][0].update(predicted_points=None)),
        ("results", lambda content: content["players"][0].update(points="12")),
        ("players", lambda content: content["players"][0]["prediction"].update(confidence_score=-1)),
        ("players", lambda content: content["players"][0].update(last_games=[])),
        ("systems", lambda content: content["systems"][0]["date"].update(within_3=1.5)),
        ("systems", lambda content: content.update(schema_version=2)),
    ],
)
def test_an_export_that_is_spoiled_fits_no_more(published: Store, kind: str, spoil: Callable[[Any], object]) -> None:
    content = content_of(published, kind, LATER)
    spoil(content)
    assert len(problems(kind, content)) == 1


def test_results_have_games_box_scores_and_predictions_beside_what_happened(published: Store) -> None:
    content, tables = content_of(published, "results", LATER), tables_of(LATER)
    assert [(game["game_id"], game["home_score"]) for game in content["games"]] == [
        ("0022301200", 100),
        ("0022301201", 101),
        ("0022301202", 102),
    ]
    lines = tables["nba_analytics.player_game_summary"]
    assert [(row["player_id"], row["points"]) for row in content["players"]] == [
        (row["player_id"], row["points"]) for row in lines
    ]
    points = next(row["points"] for row in lines if row["player_id"] == 200)
    assert next(row for row in content["predictions"] if row["player_id"] == 200) == {
        "player_id": 200,
        "player_lookup": "player200",
        "game_id": "0022301200",
        "team": "BOS",
        "opponent": "ATL",
        "actual_points": points,
        "season_average": 11.0,
        "systems": [
            {
                "system_id": system,
                "predicted_points": predicted,
                "confidence_score": 70.0,
                "points_line": 12.5,
                "recommendation": "UNDER",
                "signed_error": predicted - points,
                "line_result": "OVER" if points > 12.5 else "UNDER",
                "is_correct": points < 12.5,
            }
            for system, predicted in (("ensemble_v1", 10.5), ("moving_average_baseline", 11.5))
        ],
    }


def test_a_player_without_a_line_and_one_who_did_not_play_are_told_so(published: Store) -> None:
    content = content_of(published, "results", ONE_GAME)
    assert len(content["games"]) == 1
    by_player = {row["player_id"]: row for row in content["predictions"]}
    no_line = by_player[NO_LINE]["systems"][0]
    assert (no_line["points_line"], no_line["recommendation"], no_line["line_result"], no_line["is_correct"]) == (
        (None,) * 4
    )
    assert no_line["signed_error"] is not None
    absent = by_player[ALONE]
    assert (absent["actual_points"], absent["season_average"], absent["systems"][0]["signed_error"]) == (None,) * 3
    assert absent["systems"][0]["predicted_points"] == 10.5
    assert ALONE not in {row["player_id"] for row in content["players"]}
    player = next(row for row in content_of(published, "players", ONE_GAME)["players"] if row["player_id"] == NO_LINE)
    assert player["points_line"] is None
    assert player["prediction"] == {"predicted_points": 10.5, "confidence_score": 70.0, "recommendation": None}


def test_in_the_first_days_of_a_season_lists_of_predictions_are_empty(published: Store) -> None:
    bootstrap = DAYS[3]
    assert bootstrap < FIRST_PREDICTED
    results = content_of(published, "results", bootstrap)
    assert (len(results["games"]), len(results["players"]), results["predictions"]) == (3, 18, [])
    assert {row["prediction"] for row in content_of(published, "players", bootstrap)["players"]} == {None}
    assert content_of(published, "players", FIRST)["players"] == []
    assert content_of(published, "systems", bootstrap)["systems"] == []


def test_a_players_last_games_are_those_before_the_date_inside_the_window(other_league: League, store: Store) -> None:
    table = "nba_analytics.player_game_summary"
    without_him = {day: [row for row in tables_of(day)[table] if row["player_id"] != 200] for day in DAYS[1:17]}
    other_league.fill(table, without_him, fence=2)
    export(other_league.exports(store), "players", *DAYS[16:19])
    by_player = {row["player_id"]: row for row in content_of(store, "players", DAYS[18])["players"]}
    # He appeared on the 1st, the 18th and the 19th date; the first is out of the window of 15, the last is to come.
    assert [game["game_date"] for game in by_player[200]["last_games"]] == [str(DAYS[17])]
    assert [game["game_date"] for game in by_player[201]["last_games"]] == [
        str(day) for day in reversed(DAYS[18 - LAST_GAMES : 18])
    ]


def test_systems_have_their_figures_of_the_date_and_of_the_season(published: Store) -> None:
    first, second = content_of(published, "systems", LATER)["systems"]
    assert (first["system_id"], second["system_id"]) == ("ensemble_v1", "moving_average_baseline")
    assert (first["date"]["graded"], first["date"]["predictions"], first["date"]["within_5"]) == (18, 19, 0.6667)
    assert (first["season_so_far"]["dates"], first["season_so_far"]["correct_share"]) == (3, 0.6667)


def test_batches_of_one_and_of_twenty_leave_equal_files_and_equal_indexes(
    league: League, store: Store, published: Store
) -> None:
    export_all(league.exports(store), dates_at_once=1)
    assert store.files() == published.files()


def test_the_order_of_rows_in_the_tables_does_not_show(store: Store, published: Store, tmp_path: Path) -> None:
    league = League(tmp_path)
    league.play(is_reversed=True)
    export_all(league.exports(store), dates_at_once=20)
    league.warehouse.close()
    assert store.files() == published.files()


@pytest.mark.parametrize("kind", EXPORTS)
def test_each_table_is_asked_once_for_all_dates_of_a_call(
    league: League, store: Store, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    query = league.warehouse.query
    monkeypatch.setattr(league.warehouse, "query", lambda sql, given: (asked.append(sql), query(sql, given))[1])
    export(league.exports(store), kind, *DAYS)
    assert sorted(asked) == sorted(EXPORTS[kind].selects.values())


def test_a_date_without_a_game_has_a_file_with_empty_lists_and_a_reason(league: League, store: Store) -> None:
    day = DAYS[-1] + timedelta(days=1)
    for kind in EXPORTS:
        result = export(league.exports(store), kind, day)[day]
        assert isinstance(result, ProcessorResult) and result.error_class is ErrorClass.EXPECTED_EMPTY
        assert result.message.startswith(f"no game of {day} was played to its end")
        assert problems(kind, content_of(store, kind, day)) == []
        assert content_of(store, kind, day)["season"] is None


def test_a_date_whose_box_scores_are_not_loaded_is_not_published_and_the_others_are(
    other_league: League, store: Store
) -> None:
    missing = DAYS[5]
    other_league.warehouse.delete_dates("nba_analytics.player_game_summary", "game_date", [missing])
    results = export(other_league.exports(store), "results", *DAYS[4:7])
    failed = results[missing]
    assert isinstance(failed, ProcessorResult)
    assert (failed.status, failed.error_class) == (ResultStatus.FAILED, ErrorClass.NOT_YET)
    assert failed.message == f"player_game_summary has no rows of {missing}: run the processor of that name first"
    assert sorted(store.index()["exports"]["results"]) == [str(DAYS[4]), str(DAYS[6])]
    assert_agree(store)


def test_a_number_that_json_cannot_say_fails_its_date_alone(other_league: League, store: Store) -> None:
    select = "SELECT @d AS game_date, 'ensemble_v1' AS system_id, CAST('nan' AS FLOAT64) AS mean_absolute_error"
    table = Partition("nba_predictions.system_daily_performance", "game_date", LATER)
    other_league.warehouse.replace_partition(table, select, {"d": LATER}, fence=2)
    results = export(other_league.exports(store), "systems", DAYS[11], LATER)
    assert isinstance(results[LATER], InputError) and f"v1/systems/{LATER}.json: the tables hold" in str(results[LATER])
    assert store.files().keys() == {INDEX, f"v1/systems/{DAYS[11]}.json"}


def test_an_entry_whose_file_is_gone_is_taken_out_by_the_next_call(league: League, store: Store) -> None:
    exports = league.exports(store)
    export(exports, "results", *DAYS[:3])
    export(exports, "systems", *DAYS[:3])
    store.delete([f"v1/results/{DAYS[1]}.json", *(f"v1/systems/{day}.json" for day in DAYS[:3])])
    export(exports, "players", DAYS[0])
    assert store.index()["exports"].keys() == {"results", "players"}
    assert sorted(store.index()["exports"]["results"]) == [str(DAYS[0]), str(DAYS[2])]
    assert_agree(store)


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"schema_version":2,"exports":{}}', b'{"exports":{"x":[]}}'])
def test_an_index_that_is_gone_or_cannot_be_read_is_made_again_of_what_is_there(
    league: League, store: Store, content: bytes | None
) -> None:
    exports = league.exports(store)
    export_all(exports, 20, DAYS[:3])
    if content is None:
        store.delete([INDEX])
    else:
        generation = store.read_versioned(INDEX)
        assert generation and store.write_if(INDEX, content, generation[1])
    export(exports, "systems", DAYS[3])
    assert {kind: len(of_kind) for kind, of_kind in store.index()["exports"].items()} == {
        "players": 3,
        "results": 3,
        "systems": 4,
    }
    assert_agree(store)


def killed_at(nth: int, *, after: bool) -> Around:
    """The process is killed before its nth use of the store, or after it."""
    uses = count()

    def around(_: str, use: Callable[[], Any]) -> Any:
        is_last = next(uses) == nth
        if is_last and not after:
            raise Killed
        found = use()
        if is_last:
            raise Killed
        return found

    return around


USES = 8
"""Uses of the store by a call for two dates: two files are written, the index and they are read, the index is written,
and they are read again."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", range(USES))
def test_after_a_kill_at_any_boundary_the_next_attempt_leaves_index_and_files_in_agreement(
    league: League, other_league: League, store: Store, nth: int, after: bool
) -> None:
    export(league.exports(store), "results", *DAYS[:3])
    other_league.play(points=1)
    store.around = killed_at(nth, after=after)
    with pytest.raises(Killed):
        export(other_league.exports(store), "results", *DAYS[1:3])
    store.around = lambda _, use: use()
    for name in store.files():
        assert json.loads(store.read(name)), name
    export(other_league.exports(store), "results", *DAYS[1:3])
    assert_agree(store)
    for day in DAYS[1:3]:
        expected = [row["points"] for row in tables_of(day, 1)["nba_analytics.player_game_summary"]]
        assert [row["points"] for row in content_of(store, "results", day)["players"]] == expected


def test_many_writers_at_once_leave_every_file_listed(league: League, store: Store) -> None:
    export(league.exports(store), "results", DAYS[0])
    met: list[BaseException] = []

    def write(kind: str, days: tuple[date, ...]) -> None:
        try:
            exports, left = league.exports(store), days
            while left:
                results = export(exports, kind, *left)
                left = tuple(day for day in left if isinstance(results[day], TransientError))
        except BaseException as error:
            met.append(error)

    writers = [Thread(target=write, args=(kind, DAYS[n::4])) for kind in EXPORTS for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert met == []
    assert {kind: len(of_kind) for kind, of_kind in store.index()["exports"].items()} == dict.fromkeys(EXPORTS, 20)
    assert_agree(store)


@pytest.mark.parametrize("moment", ["read v1/index.json", f"read v1/results/{LATER}.json", "write v1/index.json"])
@pytest.mark.parametrize("is_listed", [False, True], ids=["new", "listed so before"])
def test_of_two_who_write_at_once_the_index_lists_what_both_have_left(
    league: League, other_league: League, store: Store, moment: str, is_listed: bool
) -> None:
    other_league.play(points=1)
    if is_listed:
        export(other_league.exports(store), "results", LATER)

    def around(use_name: str, use: Callable[[], Any]) -> Any:
        if use_name != moment:
            return use()
        store.around = lambda _, use: use()
        found = use() if moment.startswith("read") else None
        export(other_league.exports(store), "results", LATER)
        export(other_league.exports(store), "players", LATER)
        return found if moment.startswith("read") else use()

    store.around = around
    export(league.exports(store), "results", LATER)
    points = [row["points"] for row in tables_of(LATER, 1)["nba_analytics.player_game_summary"]]
    assert [row["points"] for row in content_of(store, "results", LATER)["players"]] == points
    assert_agree(store)


def test_where_others_always_come_first_the_attempt_ends_and_may_be_made_again(
    league: League, store: Store, waits: list[float]
) -> None:
    export(league.exports(store), "results", DAYS[0])
    exports = league.exports(store)

    def around(use_name: str, use: Callable[[], Any]) -> Any:
        return False if use_name == f"write {INDEX}" else use()

    store.around = around
    result = export(exports, "results", LATER)[LATER]
    assert isinstance(result, TransientError) and "was written by others each time" in str(result)
    assert len(waits) == len(WAITS) and all(0 <= wait <= most for wait, most in zip(waits, WAITS, strict=True))
    assert f"v1/results/{LATER}.json" in store.files()
    store.around = lambda _, use: use()
    export(exports, "results", LATER)
    assert_agree(store)


def denied(name: str) -> Around:
    """The file system refuses to have one object written."""

    def around(use_name: str, use: Callable[[], Any]) -> Any:
        if use_name == f"write {name}":
            raise PermissionError(errno.EACCES, "Permission denied", name)
        return use()

    return around


def test_a_file_that_may_not_be_written_fails_its_date_alone_and_says_what_to_do(league: League, store: Store) -> None:
    name = f"v1/results/{DAYS[1]}.json"
    store.around = denied(name)
    results = export(league.exports(store), "results", *DAYS[:3])
    assert isinstance(results[DAYS[1]], InputError)
    assert str(results[DAYS[1]]).startswith(f"{name} may not be read or written: Permission denied.")
    assert "Give the worker the right" in str(results[DAYS[1]])
    assert [day for day, result in results.items() if isinstance(result, ProcessorResult)] == [DAYS[0], DAYS[2]]
    assert_agree(store)


def test_an_index_that_may_not_be_written_fails_every_date_of_the_call(league: League, store: Store) -> None:
    store.around = denied(INDEX)
    results = export(league.exports(store), "results", *DAYS[:2])
    assert [type(result) for result in results.values()] == [InputError, InputError]
    assert all(str(result).startswith(f"{INDEX} may not be read or written") for result in results.values())


def test_what_passes_is_left_to_pass(league: League, store: Store) -> None:
    def around(use_name: str, use: Callable[[], Any]) -> Any:
        raise OSError(errno.EIO, "I/O error")

    store.around = around
    with pytest.raises(OSError, match="I/O error"):
        export(league.exports(store), "results", LATER)
