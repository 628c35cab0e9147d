"""Preflight against a stack: everything is walked, and what is broken refuses a start before anything is written."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from phasegate.adapters.gcp import clients
from phasegate.adapters.gcp.layout import FUNCTIONS
from phasegate.domain.protocol.names import COMPLETIONS, KICKOFF
from tests.commands import ROOT, without_settings
from tests.endtoend.test_command_line import Answer
from tests.stack.world_service import WorldOnTheStack

SEASON = ("--season", "2023-24")


@pytest.fixture(scope="module")
def there(world_stack: WorldOnTheStack) -> WorldOnTheStack:
    """The world on a stack, which the tests damage and mend."""
    return world_stack


def command(there: WorldOnTheStack, *words: str) -> Answer:
    """Type a command."""
    done = there.stack.command("--backend", "gcp", *words)
    return Answer(done.returncode, done.stdout, done.stderr)


def levels(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    """(check, subject) -> level."""
    return {(line["check"], line["subject"]): line["level"] for line in document["lines"]}


@contextmanager
def pushing_to(there: WorldOnTheStack, subscription: str, url: str) -> Iterator[None]:
    """A subscription whose messages go elsewhere."""
    path = f"projects/{there.deployment.settings.project}/subscriptions/{subscription}"
    before = clients.subscriber().get_subscription(subscription=path).push_config
    clients.subscriber().modify_push_config(subscription=path, push_config={"push_endpoint": url})
    try:
        yield
    finally:
        clients.subscriber().modify_push_config(subscription=path, push_config=before)


def test_a_sound_stack_may_start_and_what_emulators_cannot_answer_is_said(there: WorldOnTheStack) -> None:
    answer = command(there, "preflight", *SEASON, "--json")
    assert answer.code == 0, answer.err + answer.out
    document = answer.document
    assert document["may_start"] is True and document["counts"]["FAIL"] == 0
    found = levels(document)
    passes = {("function", each.name) for each in FUNCTIONS}
    passes |= {("topic", COMPLETIONS), ("subscription", COMPLETIONS), ("subscription", KICKOFF)}
    passes |= {("queue", "conductor"), ("queue", "work"), ("schedule", "raw.schedule"), ("tables", "all")}
    passes |= {("firestore", "(default)"), ("dataset", "raw"), ("dataset", "shape")}
    assert {each: found[each] for each in passes} == dict.fromkeys(passes, "PASS")
    emulated = {("permission", "cloudtasks.tasks.create"), ("permission", "storage.objects"), ("quota", "BigQuery")}
    assert {found[each] for each in emulated} == {"WARN"}
    assert found["worker", "world"] == "WARN", "it has no /health"


def test_a_paused_queue_refuses_a_start_from_the_command_line_and_nothing_is_written(there: WorldOnTheStack) -> None:
    before = len(there.state.runs())
    with there.paused("work"):
        assert command(there, "preflight", *SEASON).code == 1
        answer = command(there, "start", *SEASON, "--reprocess", "all")
    assert answer.code == 2
    assert "FAIL queue work: is paused; nothing is delivered: gcloud tasks queues resume work" in answer.err
    assert len(there.state.runs()) == before


def test_a_wrong_endpoint_refuses_a_kickoff_and_nothing_is_written(there: WorldOnTheStack) -> None:
    before = len(there.state.runs())
    elsewhere = (
        there.stack.function_url("runner") + f"/projects/{there.deployment.settings.project}/topics/{COMPLETIONS}"
    )
    with pushing_to(there, COMPLETIONS, elsewhere):
        answer = requests.post(there.stack.function_url("starter"), json={"season": "2023-24"}, timeout=60)
    assert answer.status_code == 400
    assert (
        f"FAIL function listener: at {there.stack.function_url('runner')} answers the runner" in answer.json()["error"]
    )
    assert len(there.state.runs()) == before


def test_a_service_that_is_down_is_named(there: WorldOnTheStack) -> None:
    there.stack.kill("conductor")
    try:
        answer = command(there, "preflight", *SEASON, "--json")
    finally:
        there.stack.up()
    assert answer.code == 1
    assert levels(answer.document)["function", "conductor"] == "FAIL"


def test_the_calendar_of_the_warehouse_is_that_of_the_source_folder(there: WorldOnTheStack) -> None:
    here = there.deployment.settings.pipeline
    cloud = command(there, "calendar", *SEASON, "--json")
    folder = there.stack.command("--backend", "embedded", "calendar", *SEASON, "--json",
                                 "--pipeline", str(here), "--source", str(there.world.source))  # fmt: skip
    assert cloud.document == json.loads(folder.stdout)
    assert len(cloud.document["work"]) == 3 * 9


def smoke(there: WorldOnTheStack, run_id: str, wait_seconds: int) -> Answer:
    """Send the first date through, as a release does after it was applied."""
    words = [sys.executable, "-m", "infra.delivery.smoke", str(there.world.days[0])]
    words += ["--run-id", run_id, "--wait-seconds", str(wait_seconds)]
    given = without_settings() | there.stack.environment
    done = subprocess.run(words, env=given, cwd=ROOT, capture_output=True, text=True, check=False)
    return Answer(done.returncode, done.stdout, done.stderr)


def test_the_smoke_test_of_a_release_names_a_function_that_has_no_part_in_it(there: WorldOnTheStack) -> None:
    with there.paused("dispatch"):
        failed = smoke(there, "smoke-1", 10)
    assert failed.code == 1
    assert "starter: no run smoke-1" in failed.err
    (refused,) = there.state.quarantined("smoke-1")
    assert "paused" in refused.reason, "preflight refused it"


def test_a_date_that_every_function_had_a_part_in_passes_the_smoke_test(there: WorldOnTheStack) -> None:
    passed = smoke(there, "smoke-3", 120)
    assert passed.code == 0, passed.err
    assert [line.partition(":")[0] for line in passed.out.splitlines()] == [
        "starter",
        "conductor",
        "dispatcher and runner",
        "listener",
        "verifier",
    ]
