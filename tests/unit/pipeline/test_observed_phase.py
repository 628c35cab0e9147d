"""A phase that an existing system starts by itself, in the pipeline file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from phasegate.adapters.gcp.layout import layout_of
from phasegate.adapters.gcp.tasks import delivery_deadlines
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.bootstrap import check_dispatch
from phasegate.domain.errors import InputError
from phasegate.domain.plan import compile_plan
from phasegate.domain.spec.pipeline import Pipeline
from tests.unit.builders import observing, plan
from tests.unit.pipeline.test_pipeline_file import RAW, SHAPE, phase, processor, refusal
from tests.world import definition

Document = dict[str, Any]


def observed(document: Document) -> Document:
    """The mapping of the raw phase."""
    found: Document = phase(document, RAW)["dispatch"]["observed"]
    return found


def refusal_of(folder: Path, change: Callable[[Document], object]) -> str:
    """What the loader says about the world whose raw phase is observed, changed."""
    document = definition()
    observing(document)
    change(document)
    return refusal(folder, yaml.safe_dump(document, sort_keys=False))


def test_an_observed_phase_is_loaded_and_comes_back_from_a_stored_plan(tmp_path: Path) -> None:
    document = definition()
    observing(document)
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(document))
    made = load_pipeline(tmp_path / "pipeline.yaml")
    assert Pipeline.model_validate_json(made.model_dump_json(by_alias=True)) == made
    assert made.observed_topics == ("raw-done",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: observed(d)["fields"].pop("status"), "dispatch.observed.fields.status: is required and not there"),
        (lambda d: observed(d).update(topics="x"), "dispatch.observed.topics: unknown key"),
        (lambda d: observed(d).update(statuses={"done": "good"}), "dispatch.observed.statuses.done: "),
        (lambda d: observed(d).update(statuses={}), "dispatch.observed.statuses: "),
        (lambda d: observed(d).update(errors={"Oops": "throttle"}), "dispatch.observed.errors.Oops: "),
        (lambda d: observed(d)["fields"].update(date="a..b"), "dispatch.observed.fields.date: "),
        (lambda d: observed(d).update(topic="9"), "dispatch.observed.topic: "),
        (
            lambda d: observed(d).update(topic="backfill-completions"),
            "dispatch.observed.topic: 'backfill-completions' is Phasegate's own topic",
        ),
        (
            lambda d: phase(d, RAW)["dispatch"].update(worker="world"),
            "dispatch.worker: unknown key",
        ),
        (
            lambda d: processor(d, RAW, "a")["output"].update(fence_column="_fence"),
            "processors[0].output.fence_column: the existing system writes no fence",
        ),
        (lambda d: processor(d, RAW, "b").update(queue="work"), "processors[1].queue: nobody dispatches it"),
        (
            lambda d: (
                phase(d, RAW).pop("released_with"),
                [processor(d, RAW, name).pop("needs") for name in "ab"],
            ),
            "released_with: is needed: the phase whose events start this one",
        ),
        (
            lambda d: (
                phase(d, RAW).pop("released_with"),
                phase(d, RAW).update(gates=[{"check": "all_succeeded", "phase": "fetch"}]),
            ),
            "gates: the existing system starts this phase, no gate can hold it back",
        ),
    ],
    ids=[
        "a field that is needed",
        "an unknown key",
        "an unknown status of ours",
        "no status",
        "a class that no such failure has",
        "a path with a hole",
        "no topic id",
        "our own topic",
        "a worker as well",
        "a fence",
        "a queue",
        "started by nothing",
        "a gate",
    ],
)
def test_what_an_observed_phase_cannot_be_is_found_at_load(
    tmp_path: Path, change: Callable[[Document], object], message: str
) -> None:
    assert f"FILE: phases[1].{message}" in refusal_of(tmp_path, change)


def test_a_topic_speaks_for_one_phase_only(tmp_path: Path) -> None:
    def twice(document: Document) -> None:
        phase(document, SHAPE)["dispatch"] = phase(document, RAW)["dispatch"]

    assert "FILE: phases[2].dispatch.observed.topic: 'raw-done' is already observed by raw" in refusal_of(
        tmp_path, twice
    )


def test_an_observed_task_has_no_queue_and_nobody_to_call() -> None:
    task = compile_plan(plan(observing)).by_ref["raw/a"]
    assert task.queue is None
    with pytest.raises(InputError, match="raw/a is observed on topic 'raw-done'"):
        _ = task.call


def test_no_delivery_is_expected_of_an_observed_phase() -> None:
    assert delivery_deadlines(plan(observing).pipeline) == {"fetches": 90.0, "work": 90.0}


def test_the_deployment_hears_the_topic_through_a_subscription_of_its_own() -> None:
    layout = layout_of(plan(observing).pipeline)
    (ours,) = (each for each in layout.subscriptions if each.topic == "raw-done")
    assert (ours.name, ours.function, ours.dead_letter) == ("phasegate-raw-done", "listener", "phasegate-raw-done-dead")
    assert any(each.topic == ours.dead_letter for each in layout.subscriptions)


def test_embedded_mode_refuses_to_observe_and_says_what_to_do() -> None:
    found = plan(observing).pipeline
    with pytest.raises(InputError, match=r"phase 'raw' is observed on Pub/Sub topic 'raw-done'.*--phases"):
        check_dispatch(found, found.phase_names)
    check_dispatch(found, ["shape", "final"])
