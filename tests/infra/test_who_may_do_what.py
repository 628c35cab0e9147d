"""``docs/security.md`` says of every right whose it is, where and why; Terraform grants these and no others."""

import re
from collections.abc import Callable
from pathlib import Path

from tests.conftest import ROOT
from tests.infra.conftest import Plan

PLACES = {
    "google_project_iam_member": "project",
    "google_cloud_run_v2_service_iam_member": "functions",
    "google_cloudfunctions2_function_iam_member": "functions",
    "google_cloud_tasks_queue_iam_member": "queues",
    "google_service_account_iam_member": "account",
    "google_pubsub_topic_iam_member": "topics",
    "google_pubsub_subscription_iam_member": "subscriptions",
    "google_bigquery_dataset_iam_member": "datasets",
    "google_bigquery_table_iam_member": "table",
    "google_storage_bucket_iam_member": "bucket",
    "google_artifact_registry_repository_iam_member": "repository",
}
WORDS = {"queue": "queues", "topic": "topics", "dead-letter": "topics", "workers": "functions"}
"""First word of a place on the page, where it differs."""

Right = tuple[str, str, str]


def who(member: str) -> str:
    """A member as the page calls it."""
    if member.startswith("group:"):
        return member.removeprefix("group:").partition("@")[0]
    account = member.removeprefix("serviceAccount:").partition("@")[0]
    if account.startswith("service-"):
        return "Pub/Sub's own"
    return re.sub("^worker-.*", "worker-NAME", account.removeprefix("phasegate-"))


def granted(plan: Plan) -> set[Right]:
    """(who, role, kind of place) of everything that Terraform grants."""
    return {
        (who(after["member"]), after["role"], PLACES[address.partition(".")[0]])
        for address, after in plan.after.items()
        if "_iam_" in address.partition(".")[0]
    }


def told() -> list[Right]:
    """The same of the page's table."""
    rows = re.findall(
        r"^\| (.+?) \| `(roles/[\w.]+)` \| (.+?) \| (.+?) \|$", (ROOT / "docs" / "security.md").read_text(), re.M
    )
    found = []
    for account, role, place, why in rows:
        assert why
        first = re.split(r"[ ,]", place)[0]
        found.append((account.strip("`"), role, WORDS.get(first, first)))
    return found


def test_the_page_lists_every_right_that_is_granted_and_no_other(plan: Plan) -> None:
    listed = told()
    assert len(listed) == len(set(listed)), "a right stands there twice"
    assert set(listed) == granted(plan)


def test_nobody_is_everybody(plan: Plan) -> None:
    assert not {account for account, _, _ in granted(plan)} & {"allUsers", "allAuthenticatedUsers"}


def test_every_account_that_is_made_is_on_the_page(plan: Plan) -> None:
    made = {who(each["account_id"]) for each in plan.all("google_service_account").values()}
    assert made <= {account for account, _, _ in told()}


def test_a_worker_does_not_write_the_tables_of_our_own_that_stand_beside_its_tables(
    plan_of_changed: Callable[[Callable[[Path], None]], Plan],
) -> None:
    def keep_the_history_beside_them(tree: Path) -> None:
        file = tree / "pipelines" / "nba" / "pipeline.yaml"
        text = file.read_text()
        assert "history_table: nba_reference." in text
        file.write_text(text.replace("history_table: nba_reference.", "history_table: nba_analytics."))

    changed = plan_of_changed(keep_the_history_beside_them)
    (condition,) = changed.all("google_bigquery_dataset_iam_member")["worker-nba/nba_analytics"]["condition"]
    place = "projects/demo-project/datasets/nba_analytics/tables"
    for table in ("processor_run_history", "backfill_contents", "backfill_events"):
        assert f'resource.name != "{place}/{table}"' in condition["expression"]
