"""Terraform, the local stack and the code deploy one list: that of ``shared/phasegate/adapters/gcp/layout.py``."""

from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from phasegate.adapters.gcp.layout import (
    ACK_DEADLINE_SECONDS,
    CONTROL_QUEUES,
    MAX_ATTEMPTS,
    MAX_DOUBLINGS,
    environment_of,
    layout_of,
)
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.messages.kickoff import Kickoff
from phasegate.domain.spec.pipeline import QueueSpec
from phasegate.stack import resources
from phasegate.stack.start import PROJECT
from tests.conftest import ROOT
from tests.infra.conftest import Plan

NBA_FILE = ROOT / "pipelines" / "nba" / "pipeline.yaml"
NBA = load_pipeline(NBA_FILE)
LAYOUT = layout_of(NBA)


def seconds(span: str) -> float:
    """``0.100s`` as a number."""
    return float(span.removesuffix("s"))


def made_by_the_stack(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Kind/name -> what the local stack asks its emulators for."""
    sent: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr(resources, "_send", lambda method, url, body: sent.__setitem__(urlsplit(url).path, dict(body)))
    functions = {function.name: f"http://{function.name}" for function in LAYOUT.functions}
    at = resources.Addresses("http://pubsub", "http://storage", "http://tasks", functions)
    resources.create_resources(LAYOUT, CloudSettings(project=PROJECT), at)
    return {"/".join(path.split("/")[-2:]): body for path, body in sent.items()}


def test_functions_have_the_names_and_the_concurrency_of_the_list(plan: Plan) -> None:
    deployed = plan.all("google_cloudfunctions2_function")
    workers = plan.outputs["deployed"]["workers"].values()
    found = {
        name: each["service_config"][0]["max_instance_request_concurrency"]
        for name, each in deployed.items()
        if name not in workers
    }
    assert found == {function.name: function.concurrency for function in LAYOUT.functions}
    assert {name for name, each in deployed.items() if each["build_config"][0]["entry_point"] != name} == set(workers)


def test_people_reach_what_people_call_and_nothing_else(plan: Plan) -> None:
    ingress = {
        name: each["service_config"][0]["ingress_settings"]
        for name, each in plan.all("google_cloudfunctions2_function").items()
    }
    for function in LAYOUT.functions:
        expected = "ALLOW_ALL" if "people" in function.called_by else "ALLOW_INTERNAL_ONLY"
        assert ingress[function.name] == expected, function.name


def test_topics_and_subscriptions_are_those_of_the_list(plan: Plan) -> None:
    assert set(plan.all("google_pubsub_topic")) == set(LAYOUT.topics)
    found = plan.all("google_pubsub_subscription")
    assert set(found) == {each.name for each in (*LAYOUT.subscriptions, *LAYOUT.exports)}
    for each in LAYOUT.subscriptions:
        made = found[each.name]
        (retry,) = made["retry_policy"]
        assert made["topic"].rpartition("/")[2] == each.topic
        assert made["ack_deadline_seconds"] == ACK_DEADLINE_SECONDS
        assert (seconds(retry["minimum_backoff"]), seconds(retry["maximum_backoff"])) == (
            each.min_backoff_seconds,
            each.max_backoff_seconds,
        )
        dead = [
            (p["dead_letter_topic"].rpartition("/")[2], p["max_delivery_attempts"]) for p in made["dead_letter_policy"]
        ]
        assert dead == ([(each.dead_letter, each.max_deliveries)] if each.dead_letter else [])
        pushed = [push["push_endpoint"] for push in made["push_config"]]
        url = plan.outputs["urls"].get(each.function)
        assert pushed == ([url + each.push_path("demo-project")] if each.function else [])


def test_exports_write_into_the_table_of_the_list(plan: Plan) -> None:
    for each in LAYOUT.exports:
        made = plan.all("google_pubsub_subscription")[each.name]
        (retry,), (dead,), (table,) = made["retry_policy"], made["dead_letter_policy"], made["bigquery_config"]
        assert made["topic"].rpartition("/")[2] == each.topic
        assert table["table"] == f"demo-project.{NBA.history_table.partition('.')[0]}.{each.table}"
        assert (dead["dead_letter_topic"].rpartition("/")[2], dead["max_delivery_attempts"]) == (
            each.dead_letter,
            each.max_deliveries,
        )
        assert (seconds(retry["minimum_backoff"]), seconds(retry["maximum_backoff"])) == (
            each.min_backoff_seconds,
            each.max_backoff_seconds,
        )


def test_queues_have_the_ids_and_limits_of_the_list(plan: Plan) -> None:
    found = {each["name"]: each for each in plan.all("google_cloud_tasks_queue").values()}
    assert set(found) == {queue.id for queue in LAYOUT.queues}
    for queue in LAYOUT.queues:
        (limits,), (retry,) = found[queue.id]["rate_limits"], found[queue.id]["retry_config"]
        assert QueueSpec(
            max_per_second=limits["max_dispatches_per_second"],
            max_concurrent=limits["max_concurrent_dispatches"],
            min_backoff_seconds=seconds(retry["min_backoff"]),
            max_backoff_seconds=seconds(retry["max_backoff"]),
        ) == queue.spec.model_copy(update={"max_per_second": float(queue.spec.max_per_second)})
        assert (retry["max_attempts"], retry["max_doublings"]) == (MAX_ATTEMPTS, MAX_DOUBLINGS)


def test_schedules_are_those_of_the_list_and_send_what_the_functions_take(plan: Plan) -> None:
    found = plan.all("google_cloud_scheduler_job")
    listed = (*LAYOUT.schedules, *LAYOUT.kickoffs)
    assert set(found) == {job.name for job in listed}
    for job in listed:
        made, (target,) = found[job.name], found[job.name]["http_target"]
        assert target["uri"] == plan.outputs["urls"][job.function]
        assert (made["schedule"], seconds(made["attempt_deadline"])) == (job.cron, job.attempt_deadline_seconds)
        assert made["retry_config"][0]["retry_count"] == job.retries
        body = b64decode(target["body"]).decode()
        if job in LAYOUT.kickoffs:
            Kickoff.model_validate_json(body)
        else:
            assert body == "{}"


def test_every_function_has_the_environment_of_the_settings(plan: Plan) -> None:
    expected = set(environment_of(CloudSettings(project="demo-project")))
    for name, each in plan.all("google_cloudfunctions2_function").items():
        given = each["service_config"][0]["environment_variables"]
        assert set(given) >= expected, name
        more = {"THREADS", "WORKERS", "PHASEGATE_COMMIT"}
        if name.startswith("worker-"):
            more |= {"PHASEGATE_WORKER_FILE", f"PHASEGATE_{name.removeprefix('worker-').upper()}_SOURCE"}
        assert set(given) - expected <= more, name
        read = CloudSettings.from_environment(given)
        assert read.runner_url == plan.outputs["urls"]["runner"] and read.sweeper_url == plan.outputs["urls"]["sweeper"]
        assert read.invoker == plan.outputs["accounts"]["tasks"]
        assert (read.region, read.location, read.bucket) == ("us-central1", "us-central1", "demo-project-phasegate")


def test_the_local_stack_makes_the_same_topics_subscriptions_and_queues(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = made_by_the_stack(monkeypatch)
    exported = {each.name for each in LAYOUT.exports}
    terraform = {f"topics/{name}" for name in plan.all("google_pubsub_topic")}
    terraform |= {f"subscriptions/{name}" for name in plan.all("google_pubsub_subscription") if name not in exported}
    terraform |= {f"queues/{each['name']}" for each in plan.all("google_cloud_tasks_queue").values()}
    assert {name for name in stack if name.split("/")[0] in ("topics", "subscriptions", "queues")} == terraform
    for each in plan.all("google_cloud_tasks_queue").values():
        limits = stack[f"queues/{each['name']}"]["rateLimits"]
        assert limits["maxConcurrentDispatches"] == each["rate_limits"][0]["max_concurrent_dispatches"]


def test_the_deployed_pipeline_is_the_file_with_the_addresses_of_its_workers(plan: Plan, tmp_path: Path) -> None:
    copy = tmp_path / "pipeline.yaml"
    copy.write_text(plan.after["google_storage_bucket_object.pipeline"]["content"])
    for file in (each for address, each in plan.after.items() if ".pipeline_sql[" in address):
        beside = tmp_path / file["name"].removeprefix("deployed/")
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(file["content"])
    deployed = load_pipeline(copy)
    assert {name: spec.url for name, spec in deployed.workers.items()} == plan.outputs["worker_urls"]
    without = {name: spec.model_copy(update={"url": None}) for name, spec in deployed.workers.items()}
    assert deployed.model_copy(update={"workers": without}) == NBA


def test_a_phase_that_is_added_to_the_pipeline_file_has_its_queue_and_its_alerts(
    plan: Plan, plan_of_changed: Callable[[Callable[[Path], None]], Plan]
) -> None:
    def add_a_phase(tree: Path) -> None:
        file = tree / "pipelines" / "nba" / "pipeline.yaml"
        document = yaml.safe_load(file.read_text())
        document["queues"]["odds"] = {"max_concurrent": 20, "max_per_second": 5}
        processor = {"name": "win_odds", "output": {"kind": "none"}}
        dispatch = {"worker": "nba", "path": "/odds", "queue": "odds"}
        gate = {"check": "all_succeeded", "phase": "phase_4_precompute"}
        document["phases"].append(
            {"name": "phase_7_odds", "dispatch": dispatch, "processors": [processor], "gates": [gate]}
        )
        file.write_text(yaml.safe_dump(document, sort_keys=False))
        load_pipeline(file)

    changed = plan_of_changed(add_a_phase)
    (limits,) = changed.all("google_cloud_tasks_queue")["odds"]["rate_limits"]
    assert (limits["max_concurrent_dispatches"], limits["max_dispatches_per_second"]) == (20, 5)
    added = set(changed.all("google_monitoring_alert_policy")) - set(plan.all("google_monitoring_alert_policy"))
    assert added == {"phase/phase_7_odds", "queue/odds"}
    granted = set(changed.all("google_cloud_tasks_queue_iam_member")) - set(
        plan.all("google_cloud_tasks_queue_iam_member")
    )
    assert {f"{who}/odds" for who in ("dispatcher", "listener", "sweeper")} <= granted


def test_queues_of_our_own_have_names_that_pipelines_may_not_use() -> None:
    text = (ROOT / "infra" / "terraform" / "queues.tf").read_text()
    for queue in CONTROL_QUEUES:
        assert f"{queue.name} " in text.partition("control_queues = {")[2].partition("}\n\n")[0]
