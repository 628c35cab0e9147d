"""What the pipeline file may say of batches, and how many dates travel together by that."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from phasegate.adapters.gcp.tasks import delivery_deadlines
from phasegate.domain.plan import compile_plan
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.report.plan import smaller_batches
from tests.unit.builders import observing, pipeline, plan
from tests.unit.pipeline.test_pipeline_file import FETCH, RAW, SHAPE, phase, refusal_of, refusal_with_places
from tests.world import definition


def at_once(processor: str = "fetch/a", **keys: Any) -> int:
    """How many dates of a processor travel together where the phases' dispatch has these keys."""

    def change(document: dict[str, Any]) -> None:
        document["workers"]["world"]["batches"] = keys.pop("batches", "list")
        for each in document["phases"]:
            each["dispatch"].update(keys)

    found = pipeline(change)
    return found.dates_at_once(found.phase(processor.split("/")[0]), found.processor(processor))


@pytest.mark.parametrize(
    ("keys", "dates"),
    [
        ({}, 1),
        ({"batch": {"dates": 20}}, 20),
        ({"batch": {"dates": 50}, "timeout_seconds": 60}, 30),
        ({"batch": {"dates": 20}, "timeout_seconds": 540}, 3),
        ({"batch": {"dates": 20}, "timeout_seconds": 1800}, 1),
        ({"batch": {"dates": 20}, "batches": "range"}, 20),
        ({"batch": {"dates": 20}, "batches": "none"}, 1),
    ],
)
def test_as_many_dates_travel_together_as_are_asked_for_taken_and_have_the_time(
    keys: dict[str, Any], dates: int
) -> None:
    assert at_once(**keys) == dates


def test_a_processor_may_say_it_for_itself() -> None:
    def change(document: dict[str, Any]) -> None:
        document["workers"]["world"]["batches"] = "list"
        phase(document, SHAPE)["dispatch"]["batch"] = {"dates": 20}
        phase(document, SHAPE)["processors"][0]["batch"] = {"dates": 5}
        phase(document, SHAPE)["processors"][1]["timeout_seconds"] = 180

    found = pipeline(change)
    shape = found.phase("shape")
    assert [found.dates_at_once(shape, each) for each in shape.processors] == [5, 10, 20]


def test_a_select_travels_with_others_whoever_is_called_elsewhere() -> None:
    def change(document: dict[str, Any]) -> None:
        phase(document, SHAPE)["dispatch"]["batch"] = {"dates": 20}
        phase(document, SHAPE)["processors"][0]["sql"] = "left.sql"

    found = pipeline(change)
    shape = found.phase("shape")
    assert [found.dates_at_once(shape, each) for each in shape.processors] == [20, 1, 1]


def test_a_delivery_has_the_time_of_all_dates_that_travel_together() -> None:
    def change(document: dict[str, Any]) -> None:
        document["workers"]["world"]["batches"] = "list"
        phase(document, FETCH)["dispatch"]["batch"] = {"dates": 20}

    assert delivery_deadlines(pipeline(change)) == {"fetches": 20 * 60 + 30, "work": 60 + 30}


def test_a_pipeline_without_batches_is_stored_as_before() -> None:
    text = pipeline().model_dump_json(by_alias=True)
    assert "batch" not in text
    assert "batch" in pipeline(lambda d: phase(d, FETCH)["dispatch"].update(batch={"dates": 2})).model_dump_json()
    assert Pipeline.model_validate_json(text) == pipeline()


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"dates": 0}, "batch.dates: Input should be greater than or equal to 1 (given: 0)"),
        ({"dates": -1}, "batch.dates: Input should be greater than or equal to 1 (given: -1)"),
        ({"dates": 51}, "batch.dates: Input should be less than or equal to 50 (given: 51)"),
        ({"dates": 2.5}, "batch.dates: Input should be a valid integer"),
        ({}, "batch.dates: is required and not there"),
        ({"dats": 3}, "batch.dats: unknown key; did you mean 'dates'?"),
        (20, "batch: Input should be a valid dictionary"),
    ],
)
@pytest.mark.parametrize("place", ["dispatch", "processors[0]"])
def test_a_batch_that_cannot_be_is_refused_where_it_stands(
    tmp_path: Path, batch: Any, message: str, place: str
) -> None:
    def change(document: dict[str, Any]) -> None:
        of = phase(document, FETCH)
        (of["dispatch"] if place == "dispatch" else of["processors"][0])["batch"] = batch

    assert f"phases[0].{place}.{message}" in refusal_of(tmp_path, change)


def test_an_unknown_way_to_take_batches_is_refused(tmp_path: Path) -> None:
    said = refusal_of(tmp_path, lambda d: d["workers"]["world"].update(batches="lists"))
    assert "workers.world.batches: Input should be 'none', 'list' or 'range'" in said


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("dispatch", "phases[1].dispatch.batch: unknown key; remove it"),
        ("processors", "phases[1].processors[0].batch: nobody dispatches it: the existing system starts it"),
    ],
)
def test_what_an_existing_system_starts_has_no_batches(tmp_path: Path, place: str, problem: str) -> None:
    document = definition()
    observing(document)
    of = phase(document, RAW)
    (of["dispatch"] if place == "dispatch" else of["processors"][0])["batch"] = {"dates": 2}
    text = yaml.safe_dump(document, sort_keys=False)
    line = next(n for n, each in enumerate(text.splitlines(), 1) if "batch:" in each)
    said = refusal_with_places(tmp_path, text)
    assert said.startswith(f"FILE:{line}:") and problem in said


@pytest.mark.parametrize("key", ["dates", "end_date"])
def test_a_constant_does_not_stand_where_the_dates_do(tmp_path: Path, key: str) -> None:
    def change(document: dict[str, Any]) -> None:
        document["workers"]["world"].update(batches="list", request={key: 1})

    said = refusal_of(tmp_path, change)
    assert f"workers.world.request.{key}: '{key}' is a field of requests for several dates; choose another" in said


def test_more_dates_than_a_cloud_task_holds_are_refused_where_they_stand(tmp_path: Path) -> None:
    """Fifty dates of a processor that needs many others, all of them of the longest names."""

    def change(document: dict[str, Any]) -> None:
        document["workers"]["world"]["batches"] = "list"
        fetch = phase(document, FETCH)
        fetch["dispatch"].update(batch={"dates": 50}, timeout_seconds=36)
        names = [f"n{number:02}{'x' * 60}" for number in range(26)]
        needed = [{"name": name, "output": {"kind": "none"}} for name in names]
        fetch["processors"] += [*needed, {"name": "all_of_them", "needs": names, "output": {"kind": "none"}}]

    said = refusal_of(tmp_path, change)
    assert "phases[0].dispatch.batch.dates: so many dates of 'all_of_them' take 1" in said
    assert "bytes with the attempts of its 26 needs, and a Cloud Task holds 100,000; fewer dates" in said


def test_a_plan_says_where_fewer_dates_travel_together_than_the_file_asks_for() -> None:
    def change(document: dict[str, Any]) -> None:
        document["workers"]["world"]["batches"] = "list"
        document["workers"]["other"] = {"factory": "tests.world:build"}
        phase(document, FETCH)["dispatch"]["batch"] = {"dates": 20}
        phase(document, RAW)["dispatch"].update(batch={"dates": 20}, timeout_seconds=540)
        phase(document, SHAPE)["dispatch"].update(batch={"dates": 20}, worker="other")

    assert smaller_batches(compile_plan(plan(change))) == {
        "raw/a": "3 of 20 dates a call: a call may take 1,800 s, and each date 540 s (timeout_seconds)",
        "raw/b": "3 of 20 dates a call: a call may take 1,800 s, and each date 540 s (timeout_seconds)",
        "shape/left": "1 of 20 dates a call: worker 'other' takes no batches",
        "shape/right": "1 of 20 dates a call: worker 'other' takes no batches",
        "shape/ahead": "1 of 20 dates a call: worker 'other' takes no batches",
    }
