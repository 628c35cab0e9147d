"""The identity of a request: what makes two requests the same, and runs that an earlier version began."""

import copy
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.operations.overrides import Overrides
from phasegate.domain.spec.pipeline import Pipeline, WorkerSpec
from phasegate.domain.state.run import Run
from phasegate.services.starting.identity import given_values, identify

FILES = {name: Path(__file__).parent / "data" / f"{name}_8e42da0.yaml" for name in ("users", "nba")}
"""Pipeline files as they were at commit 8e42da0."""

SEASON = Selection(seasons=("2023-24",))
FIRST, SECOND = date(2023, 10, 24), date(2023, 10, 25)
RANGE = Selection(first=FIRST, last=date(2023, 11, 6), exclude=(date(2023, 10, 26),))

OF_8E42DA0 = [
    (RunRequest(SEASON, "a"), "06773a4a541f1c7c", "f7921809dcfb9ffb"),
    (RunRequest(SEASON, "a", "/data/league"), "d57603f44b011d6f", "93af422e101d59ed"),
    (
        RunRequest(Selection(seasons=("2022-23", "2023-24")), "a", "/data/league", phases="1..2"),
        "62963c442311def9",
        "8fbb5c8e791fd215",
    ),
    (RunRequest(RANGE, "a"), "1261460a9f2858c0", "db9c5d1782957b21"),
    (
        RunRequest(Selection(dates=(FIRST, SECOND)), "a", "/data/league", reprocess="all"),
        "760e182eb42d518b",
        "fde16ae5eb8a053b",
    ),
    (RunRequest(replace(SEASON, exclude_live=True), "a", reprocess="failed"), "2021a2db194a7cf0", "55f817d45a729570"),
    (RunRequest(SEASON, "a", profile="careful"), "23d49d045951a005", "c75c349177ebc09c"),
]
"""Requests with what the code of commit 8e42da0 called them, over each of the files."""

PLAIN = RunRequest(SEASON, "pipeline.yaml", "/data/league")


def document() -> dict[str, Any]:
    """The users' pipeline file, to be changed."""
    found: dict[str, Any] = yaml.safe_load(FILES["users"].read_text(encoding="utf-8"))
    return found


def pipeline(change: Callable[[dict[str, Any]], None] = lambda _: None) -> Pipeline:
    """The pipeline of the changed file."""
    changed = document()
    change(changed)
    return Pipeline.model_validate(changed)


def digest(request: RunRequest, of: Pipeline | None = None) -> str:
    """What a run that is begun now is called."""
    return identify(request, of or pipeline()).digest


def run_called(request_hash: str) -> Run:
    """A run that was begun for a request of that name."""
    return Run(
        run_id="r",
        pipeline="users",
        pipeline_file="a",
        plan_hash="",
        request_hash=request_hash,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(("request_", "users", "nba"), OF_8E42DA0)
def test_a_run_that_8e42da0_began_is_of_the_same_request(request_: RunRequest, users: str, nba: str) -> None:
    assert identify(request_, load_pipeline(FILES["users"])).is_of(run_called(users))
    assert identify(request_, load_pipeline(FILES["nba"])).is_of(run_called(nba))


@pytest.mark.parametrize(("request_", "users", "nba"), OF_8E42DA0)
def test_no_other_request_is_taken_for_one_of_8e42da0(request_: RunRequest, users: str, nba: str) -> None:
    identity = identify(request_, load_pipeline(FILES["users"]))
    others = {called for _, called, _ in OF_8E42DA0 if called != users} | {nba}
    assert not [called for called in others if identity.is_of(run_called(called))]


def test_a_run_of_8e42da0_is_found_though_its_worker_package_has_moved() -> None:
    moved = FILES["nba"].read_text(encoding="utf-8").replace("workers.nba.service:build", "nba_worker.service:build")
    now = Pipeline.model_validate(yaml.safe_load(moved))
    assert identify(RunRequest(SEASON, "a"), now).is_of(run_called("f7921809dcfb9ffb"))


class LaterWorker(WorkerSpec):
    """A worker with a key that a later version knows."""

    region: str = "here"


class LaterPipeline(Pipeline):
    """A pipeline with keys that a later version knows."""

    owner: str | None = None
    workers: dict[str, LaterWorker]  # type: ignore[assignment]  # dict is invariant; here it is only read


def test_keys_that_a_later_version_adds_ask_for_nothing_new() -> None:
    later = LaterPipeline.model_validate(document())
    assert "here" in later.model_dump_json(), "the default stands in the model"
    assert identify(PLAIN, later) == identify(PLAIN, pipeline())


def test_a_later_key_that_is_given_makes_another_request_and_still_finds_what_8e42da0_began() -> None:
    later = LaterPipeline.model_validate({**document(), "owner": "me"})
    assert digest(PLAIN, later) != digest(PLAIN)
    assert identify(PLAIN, later).is_of(run_called("d57603f44b011d6f"))


def backwards(value: Any) -> Any:
    """The same content with the keys of every mapping in the opposite order."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(each) for each in value] if isinstance(value, list) else value


def test_the_order_of_keys_asks_for_nothing_new() -> None:
    assert digest(PLAIN, Pipeline.model_validate(backwards(document()))) == digest(PLAIN)


def test_the_old_word_for_the_circuit_breaker_is_the_same_key() -> None:
    def says(word: str) -> Pipeline:
        return pipeline(lambda d: d["phases"][0]["failure"].update({word: 4}))

    assert digest(PLAIN, says("brake")) == digest(PLAIN, says("circuit_breaker"))


def test_the_order_of_dates_and_seasons_asks_for_nothing_new() -> None:
    asked = (Selection(dates=(FIRST, SECOND)), Selection(dates=(SECOND, FIRST, SECOND)))
    assert len({digest(replace(PLAIN, selection=each)) for each in asked}) == 1
    seasons = (Selection(seasons=("2022-23", "2023-24")), Selection(seasons=("2023-24", "2022-23")))
    assert len({digest(replace(PLAIN, selection=each)) for each in seasons}) == 1


def test_who_asks_why_and_with_which_overrides_asks_for_nothing_new() -> None:
    other = replace(PLAIN, why="again", overrides=Overrides((FIRST,), ("total",)), pipeline_file="a copy of it")
    assert digest(other) == digest(PLAIN)


def test_a_source_folder_is_the_same_from_wherever_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert digest(replace(PLAIN, source="league")) == digest(replace(PLAIN, source=os.fspath(tmp_path / "league")))


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAIN, source=None),
        replace(PLAIN, source="/data/other"),
        replace(PLAIN, selection=Selection(seasons=("2022-23",))),
        replace(PLAIN, selection=RANGE),
        replace(PLAIN, selection=replace(SEASON, exclude=(FIRST,))),
        replace(PLAIN, selection=replace(SEASON, exclude_live=True)),
        replace(PLAIN, phases="1..2"),
        replace(PLAIN, profile="careful"),
        replace(PLAIN, reprocess="all"),
    ],
)
def test_a_request_that_differs_is_another(other: RunRequest) -> None:
    assert digest(other) != digest(PLAIN)


def test_a_pipeline_file_that_differs_makes_another_request() -> None:
    def change(content: dict[str, Any]) -> None:
        content["phases"][0]["failure"]["retries"] = 7

    assert digest(PLAIN, pipeline(change)) != digest(PLAIN)


def test_the_order_of_phases_is_content() -> None:
    changed = copy.deepcopy(document())
    changed["phases"].reverse()
    assert digest(PLAIN, Pipeline.model_validate(changed)) != digest(PLAIN)


def test_what_was_left_out_does_not_stand_in_the_identity() -> None:
    values = given_values(RunRequest(SEASON, "a"), pipeline())
    assert values.keys() == {"version", "seasons", "reprocess", "pipeline"}
    assert "live_window" not in values["pipeline"]


def test_a_run_of_another_request_is_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match=r"run 'r' exists and was asked for differently .* give another run id"):
        identify(PLAIN, pipeline()).require_same(run_called("0123456789abcdef"))
