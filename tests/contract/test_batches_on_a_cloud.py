"""Dates travel together on Google Cloud's adapters as in embedded mode: one Cloud Task, one message, one commit."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.cloud.firestore import WriteBatch

from phasegate.domain.messages.tasks import BatchPayload
from phasegate.domain.protocol.names import COMPLETIONS
from phasegate.domain.protocol.worker import ProcessorResult, ResultStatus
from phasegate.domain.state.facts import HealedAs
from phasegate.ports import QueueTask
from phasegate.report.verifier import verify_run
from phasegate.report.verify.compose import VerifierInputs
from phasegate.worker import BatchRequest, completed_event
from tests.catalogue.cloud import CloudWorld
from tests.world import World, batched

LONG = timedelta(hours=3)
DATES = 12

pytestmark = pytest.mark.usefixtures("firestore_emulator")


def unlimited(document: dict[str, Any]) -> None:
    """All dates are released at once."""
    document["phases"][0]["limits"] = {}


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudWorld]:
    """A world of twelve dates that all travel together, with its run begun."""
    with batched(20):
        made = CloudWorld(tmp_path, monkeypatch, dates=DATES, change=unlimited)
    with made:
        made.begin()
        yield made


def first_batch(cloud: CloudWorld) -> QueueTask:
    """The task that fetches ``a`` on all dates, after they were released and dispatched."""
    cloud.services.conductor.conduct("r")
    cloud.services.reconciler.reconcile_days("r", cloud.days)
    tasks = cloud.queues.lease(["fetches"], 10)
    assert len(tasks) == 2
    return next(task for task in tasks if json.loads(task.payload)["processor"] == "a")


def of_dates(task: QueueTask, first: int, last: int) -> BatchPayload:
    """A batch of some of a task's dates."""
    payload = json.loads(task.payload)
    return BatchPayload.model_validate_json(json.dumps({**payload, "attempts": payload["attempts"][first:last]}))


def test_a_run_takes_a_task_and_a_message_for_all_dates_of_a_processor(cloud: CloudWorld, tmp_path: Path) -> None:
    found = cloud.drive(LONG)
    assert found.status.value == "completed" and found.quarantined == 0
    calls = [name for name, url in cloud.tasks.urls.items() if url == "http://runner"]
    assert len(calls) == len(cloud.publisher.published) <= 12, "nine processors, three of them behind windows"
    alone = World(tmp_path / "alone", dates=DATES, change=unlimited)
    alone.run()
    for table, rows in alone.tables().items():
        written = cloud.warehouse.query(f"SELECT d, k, v FROM `{table}` ORDER BY d, k")
        assert [(str(row["d"]), row["k"], row["v"]) for row in written] == rows
    facts = cloud.state.dates("r", cloud.days)
    for of_date in facts.values():
        (tried,) = of_date.tasks["shape", "left"]
        assert tried.dispatched is not None and tried.dispatched.batch == DATES
        assert tried.reported is not None and tried.proved is not None


def test_the_report_says_how_many_calls_were_made_and_that_nobody_measured_the_rest(cloud: CloudWorld) -> None:
    cloud.drive(LONG)
    calls = [name for name, url in cloud.tasks.urls.items() if url == "http://runner"]
    inputs = VerifierInputs(cloud.state, cloud.warehouse, cloud.objects, is_cloud=True)
    report = verify_run(inputs, cloud.objects, cloud.world.clock, "r").report
    assert report.time is not None and report.pace is not None
    assert (report.time.calls, report.time.attempts) == (len(calls), report.pace.attempts)
    assert report.time.seconds is None and report.time.waiting is None


def test_the_report_counts_a_call_that_was_accepted_for_all_dates_once_though_each_tells_of_its_own_end(
    cloud: CloudWorld,
) -> None:
    handle = cloud.worker.handle

    def accepting(path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["processor"] != "a" or body["phase"] != "fetch":
            return handle(path, body)
        done, began = ProcessorResult(status=ResultStatus.SUCCESS), cloud.world.clock.now()
        for n, (each, one) in enumerate(zip(body["dates"], BatchRequest.model_validate(body).apart, strict=True)):
            handle(path, {**body, **each})
            event = completed_event(one, done, began + timedelta(seconds=n))
            cloud.backend.events.publish(COMPLETIONS, [event.model_dump_json()])
        return 202, {}

    cloud.worker.handle = accepting  # type: ignore[method-assign]
    cloud.drive(LONG)
    inputs = VerifierInputs(cloud.state, cloud.warehouse, cloud.objects, is_cloud=True)
    times = verify_run(inputs, cloud.objects, cloud.world.clock, "r").report.run_times
    (accepted,) = [line for line in times if (line.phase, line.processor) == ("fetch", "a")]
    assert (accepted.attempts, accepted.calls) == (DATES, 1)


def test_the_claims_of_a_batch_are_one_commit_and_those_of_others_are_left_out(
    cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = first_batch(cloud)
    commits: list[int] = []
    commit = WriteBatch.commit
    monkeypatch.setattr(WriteBatch, "commit", lambda batch, **options: (commits.append(1), commit(batch, **options))[1])
    (first,) = cloud.services.runner.claim([of_dates(task, 4, 8)])
    assert first is not None and len(commits) == 1
    assert len({attempt.claim.fence for attempt in first.attempts}) == 1
    (second,) = cloud.services.runner.claim([of_dates(task, 0, DATES)])
    assert second is not None and len(commits) == 3, "once more without those that somebody has"
    both = [key.day for call in (first, second) for key in call.keys]
    assert sorted(both) == cloud.days and len(second.attempts) == DATES - 4
    assert cloud.services.runner.claim([of_dates(task, 0, DATES)]) == [None]


def test_a_batch_of_which_the_message_comes_twice_is_reported_once(cloud: CloudWorld) -> None:
    task = first_batch(cloud)
    assert cloud.services.runner.run(of_dates(task, 0, DATES)) == f"{DATES} success"
    ((_, text),) = cloud.publisher.published
    cloud.services.listener.handle([text, text])
    cloud.services.listener.handle([text])
    facts = cloud.state.dates("r", cloud.days)
    assert all(of_date.attempt("fetch", "a", 1).reported is not None for of_date in facts.values())
    assert cloud.state.quarantined("r") == []


def test_of_a_message_that_is_wrong_in_one_part_the_others_count(cloud: CloudWorld) -> None:
    task = first_batch(cloud)
    cloud.services.runner.run(of_dates(task, 0, 3))
    ((_, text),) = cloud.publisher.published
    message = json.loads(text)
    message["completions"][1]["fence"] += 1
    message["completions"].append({"processor": "of somebody else"})
    cloud.services.listener.handle([json.dumps(message)])
    facts = cloud.state.dates("r", cloud.days[:3])
    reported = [of_date.attempt("fetch", "a", 1).reported is not None for of_date in facts.values()]
    assert reported == [True, False, True]
    (stale,) = cloud.state.quarantined("r")
    (nobodys,) = cloud.state.quarantined(None)
    assert "is not the claim's" in stale.reason and "not a completion event" in nobodys.reason


def test_work_that_was_accepted_for_all_dates_is_told_of_each_by_event(cloud: CloudWorld) -> None:
    accepted: list[BatchRequest] = []
    handle = cloud.worker.handle

    def accepting(path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["processor"] == "a" and body["phase"] == "fetch" and "dates" in body:
            accepted.append(BatchRequest.model_validate(body))
            for each in body["dates"]:
                handle(path, {**body, **each})
            return 202, {}
        return handle(path, body)

    cloud.worker.handle = accepting  # type: ignore[method-assign]
    task = first_batch(cloud)
    assert cloud.services.runner.run(of_dates(task, 0, DATES)) == f"{DATES} accepted"
    assert cloud.publisher.published == []
    (request,) = accepted
    done = ProcessorResult(status=ResultStatus.SUCCESS)
    events = [completed_event(one, done, cloud.world.clock.now()) for one in request.apart]
    cloud.services.listener.handle([event.model_dump_json() for event in events[:-1]])
    facts = cloud.state.dates("r", cloud.days)
    assert [of_date.attempt("fetch", "a", 1).is_open for of_date in facts.values()] == [False] * (DATES - 1) + [True]
    # The event of the last one never comes: its lease ends it, and as it was one of many that costs it no retry.
    cloud.world.clock.move_to(cloud.world.clock.now() + timedelta(seconds=60 * DATES + 31))
    cloud.services.sweeper.sweep("r")
    (last,) = cloud.state.dates("r", cloud.days[-1:]).values()
    first_attempt, second = last.tasks["fetch", "a"]
    assert first_attempt.healed is not None and first_attempt.healed.outcome is HealedAs.VOID
    assert second.dispatched is not None and second.dispatched.batch == 1


def test_a_poison_date_ends_alone_here_too(cloud: CloudWorld) -> None:
    cloud.world.misbehave(fetch__a__7=["raise"] * 12)
    found = cloud.drive(LONG)
    assert found.status.value == "completed_with_failures"
    facts = cloud.state.dates("r", cloud.days)
    ends = {
        day: sum(tried.reported is not None for tried in of_date.tasks["fetch", "a"]) for day, of_date in facts.items()
    }
    assert ends == {day: 3 if day == cloud.days[7] else 1 for day in cloud.days}


def test_a_task_that_never_arrives_is_dispatched_anew_with_all_of_its_dates(cloud: CloudWorld) -> None:
    lost: list[QueueTask] = []

    def loses(task: QueueTask) -> bool:
        if not lost and task.queue == "fetches":
            lost.append(task)
            return True
        return False

    cloud.tasks.loses = loses
    assert cloud.drive(LONG).status.value == "completed"
    (task,) = lost
    name = json.loads(task.payload)["processor"]
    dispatched = [of_date.tasks["fetch", name][0].dispatched for of_date in cloud.state.dates("r", cloud.days).values()]
    assert {(each.dispatch, each.batch) for each in dispatched if each} == {(2, DATES)}
