"""The exports of a season's first thirty game dates, as the reference worker makes them from what it computed."""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from nba_worker.exports import EXPORTS
from nba_worker.service import NbaWorker, build
from tests.conftest import NBA_PIPELINE
from tests.workers.conftest import Played, request_body
from tests.workers.exporting import Store
from tests.workers.reference import Reference


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """An empty store."""
    return Store(tmp_path_factory.mktemp("exports"))


@pytest.fixture(scope="module")
def worker(league: Played, store: Store, source_folder: Path) -> NbaWorker:
    """A worker over the tables of the league."""
    return build(source_folder, league.warehouse, store)


def requested(kind: str, league: Played) -> dict[str, Any]:
    """A request for one kind on all dates."""
    body = request_body("/export", kind, league.days[0])
    dates = [{"game_date": str(day), "attempt": 1, "fence": 1} for day in league.days]
    return {**{name: body[name] for name in ("run_id", "phase", "deadline", "processor")}, "dates": dates}


@pytest.mark.parametrize("kind", EXPORTS)
def test_the_worker_publishes_every_date_and_each_file_fits_its_schema(
    league: Played, store: Store, worker: NbaWorker, kind: str
) -> None:
    status, answer = worker.handle("/export", requested(kind, league))
    assert status == 200
    results = [answer["dates"][str(day)]["results"][kind] for day in league.days]
    assert {result["status"] for result in results} == {"success"}
    schema = Draft202012Validator(json.loads((NBA_PIPELINE.parent / "exports" / f"{kind}.schema.json").read_text()))
    for day in league.days:
        assert list(schema.iter_errors(json.loads(store.read(f"v1/{kind}/{day}.json")))) == []
    assert sorted(store.index()["exports"][kind]) == [str(day) for day in league.days]


def test_results_are_those_of_the_source(league: Played, store: Store, worker: NbaWorker, reference: Reference) -> None:
    day = league.days[-1]
    assert worker.handle("/export", request_body("/export", "results", day))[0] == 200
    content = json.loads(store.read(f"v1/results/{day}.json"))
    points = {key: row["points"] for key, row in reference.raw_players(day).items()}
    assert {(row["game_id"], row["player_id"]): row["points"] for row in content["players"]} == points
    for game in content["games"]:
        of_home = [row["points"] for row in content["players"] if row["team"] == game["home_team"]]
        assert sum(of_home) == game["home_score"]


def test_a_kind_that_is_none_and_another_name_of_the_date_are_refused(league: Played, worker: NbaWorker) -> None:
    status, answer = worker.handle("/export", request_body("/export", "standings", league.days[0]))
    assert (status, answer["error_class"]) == (422, "bug")
    assert answer["message"] == "/export: unknown processor 'standings': use one of players, results, systems"


def test_a_store_that_refuses_the_worker_fails_for_good_and_says_what_to_do(
    league: Played, store: Store, worker: NbaWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = league.days[:2]

    def around(use_name: str, use: Callable[[], Any]) -> Any:
        if use_name == f"write v1/systems/{second}.json":
            raise PermissionError(errno.EACCES, "Permission denied")
        return use()

    monkeypatch.setattr(store, "around", around)
    both = {**requested("systems", league), "dates": requested("systems", league)["dates"][:2]}
    status, answer = worker.handle("/export", both)
    results = {day: answer["dates"][str(day)]["results"]["systems"] for day in (first, second)}
    assert (status, results[first]["status"]) == (200, "success")
    assert (results[second]["status"], results[second]["error_class"]) == ("failed", "bug")
    alone_status, alone = worker.handle("/export", request_body("/export", "systems", second))
    assert (alone_status, alone["error_class"], alone["message"]) == (422, "bug", results[second]["message"])
    assert "Give the worker the right to read, write and delete below v1/ of the object store" in alone["message"]
