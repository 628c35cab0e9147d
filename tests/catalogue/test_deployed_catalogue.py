"""The failure catalogue, where the fault was in what is deployed: scenarios and mutations as in ``test_catalogue.py``.

f07 asks Pub/Sub's emulator and the Cloud Tasks server what a stack really made; f08 calls the functions themselves.
Both then break a deployment by hand, and ask preflight.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.gcp import layout
from phasegate.adapters.gcp.layout import Layout, layout_of
from phasegate.adapters.gcp.preflight import queues, services, topics
from phasegate.adapters.gcp.preflight.services import inspect_functions
from phasegate.adapters.gcp.preflight.topics import Topics
from phasegate.domain.operations.preflight import Level
from phasegate.domain.protocol.names import COMPLETIONS, KICKOFF
from phasegate.domain.state.run import RunStatus
from phasegate.services.running import dispatcher
from phasegate.stack import resources
from phasegate.stack.emulators import HOST
from tests.catalogue.cloud import CloudWorld
from tests.catalogue.deployed import (
    FUNCTIONS,
    change_queue,
    delete,
    drive_through_functions,
    failed_subjects,
    made_by_the_stack,
    make_as_the_stack_does,
    make_subscription_anew,
)
from tests.catalogue.rows import Act, Mutated, Row, mutations_of
from tests.fakes.health import answering
from tests.unit.builders import pipeline

# The scenarios


def f07(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    listed = layout_of(pipeline())
    pulled = {each.topic for each in listed.subscriptions if each.function is None}
    for each in listed.subscriptions:
        if each.function is not None:
            assert 0 < each.min_backoff_seconds < each.max_backoff_seconds
            assert each.dead_letter in pulled, "what is refused for good is kept"
    subscriptions, queues = made_by_the_stack(listed)
    assert {s["name"] for s in subscriptions} == {s.name for s in listed.subscriptions}
    kept = {s["topic"] for s in subscriptions if "pushEndpoint" not in s.get("pushConfig", {})}
    for made in subscriptions:
        assert "ttl" not in made.get("expirationPolicy", {}), "it never expires"
        if "pushEndpoint" in made.get("pushConfig", {}):
            assert made.get("retryPolicy", {}).keys() == {"minimumBackoff", "maximumBackoff"}
            assert made.get("deadLetterPolicy", {}).get("deadLetterTopic") in kept
    assert {q["name"] for q in queues} == {q.id for q in listed.queues}
    assert {q["retryConfig"]["maxAttempts"] for q in queues} == {-1}, "attempts are counted by Phasegate alone"
    _preflight_finds_retries_that_are_off(layout_of(pipeline()))


def _preflight_finds_retries_that_are_off(listed: Layout) -> None:
    settings = make_as_the_stack_does(listed)
    assert failed_subjects(settings, listed) == {}, "a sound deployment may be used"
    make_subscription_anew(settings, COMPLETIONS, lambda body: body.pop("retryPolicy"))
    make_subscription_anew(settings, KICKOFF, lambda body: body.pop("deadLetterPolicy"))
    change_queue(settings, "work", {"retryConfig": {"maxAttempts": 3}})
    assert failed_subjects(settings, listed) == {
        COMPLETIONS: "has no retry policy",
        KICKOFF: "deliveries before it is 0",
        "work": "attempts of a delivery is 3",
    }


def f08(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    listed = layout_of(pipeline())
    for topic in (COMPLETIONS, KICKOFF, *listed.topics):
        assert [s for s in listed.subscriptions if s.topic == topic], f"{topic} has a subscriber"
    called = {s.function for s in listed.subscriptions if s.function} | {q.function for q in listed.queues}
    for name in called:
        assert name in {f.name for f in listed.functions} and (FUNCTIONS / name / "main.py").is_file()
    with CloudWorld(tmp_path, patch, dates=1) as cloud:
        cloud.begin()
        answers = drive_through_functions(cloud, patch)
        board, _ = cloud.state.board("r")
        aside = [*cloud.state.quarantined(None), *cloud.state.quarantined("r")]
    _preflight_walks_to_the_endpoints(listed)
    assert {status for _, status in answers} == {200}
    assert {name for name, _ in answers} == {"conductor", "dispatcher", "runner", "listener"}
    assert (board.status, aside) == (RunStatus.COMPLETED, [])


def _preflight_walks_to_the_endpoints(listed: Layout) -> None:
    settings = make_as_the_stack_does(listed)
    delete(settings, "subscriptions", COMPLETIONS)
    elsewhere = {"pushConfig": {"pushEndpoint": f"http://{HOST}:1/starter"}}
    make_subscription_anew(settings, KICKOFF, lambda body: body.update(elsewhere))
    assert failed_subjects(settings, listed) == {
        COMPLETIONS: "is not there",
        KICKOFF: f"pushes to http://{HOST}:1/starter",
    }
    with answering("listener") as url:
        (line,) = inspect_functions({"starter": [url]}, None)
    assert (line.level, line.detail) == (Level.FAIL, f"at {url} answers the listener")


# The mutations


def _nothing_keeps_dead_letters(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(layout, "_with_dead_letters", lambda pushed: [replace(each, dead_letter=None) for each in pushed])


def _subscriptions_do_not_retry(patch: pytest.MonkeyPatch) -> None:
    made = resources._subscription

    def mutated(*args: Any) -> dict[str, Any]:
        return {name: value for name, value in made(*args).items() if name != "retryPolicy"}

    patch.setattr(resources, "_subscription", mutated)


def _idle_subscriptions_expire(patch: pytest.MonkeyPatch) -> None:
    made = resources._subscription
    month = {"expirationPolicy": {"ttl": "2678400s"}}
    patch.setattr(resources, "_subscription", lambda *args: {**made(*args), **month})


def _queues_give_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(resources, "MAX_ATTEMPTS", 3)


def _the_sender_forgets_a_field(patch: pytest.MonkeyPatch) -> None:
    write = dispatcher.write_payload

    def forgetful(*what: Any) -> str:
        return json.dumps({name: value for name, value in json.loads(write(*what)).items() if name != "epoch"})

    patch.setattr(dispatcher, "write_payload", forgetful)


def _nobody_subscribes_to_completions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(layout, "_PUSHED", tuple(each for each in layout._PUSHED if each.topic != COMPLETIONS))


def _a_queue_calls_a_function_that_is_not_there(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(layout, "CONTROL_QUEUES", tuple(replace(q, function=f"{q.function}s") for q in layout.CONTROL_QUEUES))


def _preflight_overlooks_retries(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Topics, "_retries", lambda *_: iter(()))


def _preflight_overlooks_limits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(queues, "differences", lambda _: iter(()))


def _preflight_takes_what_is_missing_for_granted(patch: pytest.MonkeyPatch) -> None:
    examined = topics.examine
    patch.setattr(topics, "examine", lambda *args: [x for x in examined(*args) if x.detail != "is not there"])


def _preflight_overlooks_endpoints(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Topics, "_endpoint", lambda *_: iter(()))


def _preflight_takes_any_answer_for_the_function(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(services, "_function", lambda name, url, found: services.passed("function", name, url))


ROWS = {
    "f07": Row(
        f07,
        ("pubsub_emulator", "storage_emulator", "cloud_tasks_server"),
        (
            _nothing_keeps_dead_letters,
            _subscriptions_do_not_retry,
            _idle_subscriptions_expire,
            _queues_give_up,
            _preflight_overlooks_retries,
            _preflight_overlooks_limits,
        ),
    ),
    "f08": Row(
        f08,
        ("firestore_emulator", "pubsub_emulator", "storage_emulator", "cloud_tasks_server"),
        (
            _the_sender_forgets_a_field,
            _nobody_subscribes_to_completions,
            _a_queue_calls_a_function_that_is_not_there,
            _preflight_takes_what_is_missing_for_granted,
            _preflight_overlooks_endpoints,
            _preflight_takes_any_answer_for_the_function,
        ),
    ),
}


def test_f07_what_is_refused_is_delivered_again_and_kept_in_the_end(act: Act) -> None:
    act(ROWS["f07"])


@pytest.mark.usefixtures("dates_at_once")
def test_f08_what_one_function_sends_another_one_understands(act: Act) -> None:
    act(ROWS["f08"])


@pytest.mark.parametrize("mutated", mutations_of(ROWS), ids=str)
def test_the_mutation_of_a_row_turns_it_red(mutated: Mutated, act: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    mutated.mutate(monkeypatch)
    with pytest.raises(AssertionError):
        act(ROWS[mutated.row])
