"""``make infra-check`` finds what it is there to find: each fault, planted in a copy, fails it with its reason."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.infra.conftest import DEPLOYED, MISSING, Done, check, copy_tree, skip_where_something_is_missing
from tests.no_skips import lacking

RULES, FORMAT, TERRAFORM = ("rules",), ("format",), ("terraform", DEPLOYED)


@dataclass(frozen=True)
class Fault:
    """One mistake. old, new: text in ``file`` that is replaced; an empty ``old``: ``new`` is added at its end.

    reason: what must be said. part: of the check, that which sees it. tree: the copy that it is planted in together
    with others, each of which fails an assertion of Terraform's test and lets the plan be made; None: one of its own.
    also: what else is said of it, by another assertion.
    """

    name: str
    file: str
    old: str
    new: str
    reason: str
    part: tuple[str, ...] = TERRAFORM
    tree: str | None = None
    also: str | None = None


TOGETHER = "first", "second"
"""Two trees hold the faults that assertions see; those of one kind are divided between them."""


def tf(name: str) -> str:
    """A file of the configuration."""
    return f"infra/terraform/{name}.tf"


PIPELINE = "pipelines/nba/pipeline.yaml"
PUBLIC = """
resource "google_cloud_run_v2_service_iam_member" "anyone" {
  name     = "starter"
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}
"""
KEY = """
resource "google_service_account_key" "runner" {
  service_account_id = google_service_account.this["runner"].id
}
"""
RETRY = """  retry_policy {
    minimum_backoff = each.value.min_backoff
    maximum_backoff = each.value.max_backoff
  }
"""

FAULTS = (
    Fault("retries are off", tf("events"), RETRY, "", "Every subscription retries", tree="first"),
    Fault("anybody may call", tf("iam"), "", PUBLIC, "nobody may call or read without being named", RULES),
    Fault(
        "a group of everybody",
        tf("iam"),
        '"group:${var.viewers_group}"',
        'join("", ["all", "Users"])',
        "Nobody may call, read or publish without being named",
        tree="first",
    ),
    Fault(
        "a subscription expires", tf("events"), 'ttl = ""', 'ttl = "2678400s"', "No subscription expires", tree="second"
    ),
    Fault(
        "no dead letter",
        tf("events"),
        "for_each = each.value.dead_letter[*]",
        "for_each = []",
        "Every subscription has a dead-letter topic",
        tree="first",
    ),
    Fault(
        "no right to forward dead letters",
        tf("iam"),
        "for_each = local.dead_letters\n",
        "for_each = {}\n",
        "Pub/Sub may take messages off the subscriptions",
        tree="second",
    ),
    Fault(
        "a queue that differs from the pipeline file",
        tf("queues"),
        "max_concurrent_dispatches = each.value.max_concurrent",
        "max_concurrent_dispatches = 7",
        "Every queue has the limits of its pipeline file",
        tree="first",
        also="Two conductors at once would lose each other's commits",
    ),
    Fault(
        "queues give up",
        tf("queues"),
        "max_attempts  = -1",
        "max_attempts  = 5",
        "Queues deliver without end",
        tree="second",
    ),
    Fault(
        "two regions",
        tf("queues"),
        "location = var.region",
        'location = "europe-west1"',
        "Everything is in one region",
        tree="first",
    ),
    Fault(
        "an environment variable is misspelt",
        tf("functions"),
        "PHASEGATE_RUNNER_URL ",
        "PHASEGATE_RUNER_URL ",
        "Every function has the variables that CloudSettings reads",
        tree="second",
    ),
    Fault(
        "an internal function is open",
        tf("functions"),
        "runner     = { people = false",
        "runner     = { people = true",
        "What only Google calls is reached from inside of the project alone",
        tree="first",
        also="What only Google calls knows by which account",
    ),
    Fault(
        "a role on the whole project",
        tf("iam"),
        '"build/logging.logWriter"    =',
        '"runner/x" = { who = "runner", role = "roles/x", condition = null }\n"build/logging.logWriter" =',
        "On the project are granted only what Google grants nowhere else",
        tree="second",
    ),
    Fault(
        "a queue that is too fast",
        PIPELINE,
        "analytics: {max_concurrent: 100, max_per_second: 500}",
        "analytics: {max_concurrent: 100, max_per_second: 501}",
        "queues.analytics.max_per_second is 501: Cloud Tasks takes more than 0 and at most 500 a second",
    ),
    Fault(
        "a name too long for a service account",
        PIPELINE,
        "workers:\n  nba:",
        "workers:\n  basketball_reference_worker:",
        "phasegate-worker-basketball-reference-worker is no id for a service account",
    ),
    Fault(
        "two pipelines share a queue",
        "pipelines/other/pipeline.yaml",
        "",
        "",
        "The queue analytics stands in the pipelines nba, other",
    ),
    Fault(
        "a variable is not given",
        "infra/terraform/tests/deployed.tftest.hcl",
        'project         = "demo-project"\n',
        "",
        'variable "project"',
    ),
    Fault("an unknown argument", tf("queues"), "  rate_limits {", "  rate_limit {", "Unsupported block type"),
    Fault("a key file", tf("iam"), "", KEY, "no key files", RULES),
    Fault("a function is dropped", tf("functions"), "    sweeper    = {", "    # sweeper    = {", "sweeper"),
    Fault(
        "ill formatted",
        tf("queues"),
        "  name     = local.queue_id",
        "  name = local.queue_id",
        "- name = local.queue_id",
        FORMAT,
    ),
)


def plant(fault: Fault, tree: Path) -> None:
    """Plant a fault in a copy."""
    if fault.file.startswith("pipelines/other"):
        shutil.copytree(tree / "pipelines" / "nba", tree / "pipelines" / "other")
        return
    file = tree / fault.file
    text = file.read_text()
    assert text.count(fault.old) == 1 or not fault.old, f"{fault.name}: plant it elsewhere, {fault.file} has changed"
    file.write_text(text.replace(fault.old, fault.new) if fault.old else text + fault.new)
    if file.suffix in (".tf", ".hcl") and fault.name != "ill formatted":
        subprocess.run(["terraform", "fmt", str(file)], capture_output=True, check=True)  # noqa: S607


def planted_together(tree: str | None) -> list[Fault]:
    """The faults of one of the trees that hold more than one."""
    return [fault for fault in FAULTS if tree is not None and fault.tree == tree]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Fault], Done]]:
    """The check of the tree with a fault; all of them are begun at once, two at a time: each takes seconds."""
    if shutil.which("terraform") is None:
        pytest.skip(lacking("terraform", "https://developer.hashicorp.com/terraform/install"))
    probe = check(copy_tree(tmp_path_factory.mktemp("sound")), *TERRAFORM)
    skip_where_something_is_missing(probe)
    assert probe.returncode == 0, f"without a fault it passes\n{probe.stdout}{probe.stderr}"

    def check_with(faults: list[Fault]) -> Done:
        tree = copy_tree(tmp_path_factory.mktemp("tree"))
        for fault in faults:
            plant(fault, tree)
        return check(tree, *faults[0].part)

    with ThreadPoolExecutor(2, "infra-check") as pool:
        alone = [fault for fault in FAULTS if fault.tree is None]
        begun: dict[str, Future[Done]] = {
            **{tree: pool.submit(check_with, planted_together(tree)) for tree in TOGETHER},
            **{fault.name: pool.submit(check_with, [fault]) for fault in alone},
        }
        yield lambda fault: begun[fault.tree or fault.name].result()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_fails_the_check_with_its_reason(fault: Fault, checked: Callable[[Fault], Done]) -> None:
    done = checked(fault)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1, said
    assert fault.reason in said
    assert fault.also is None or fault.also in said


@pytest.mark.parametrize("tree", TOGETHER)
def test_no_assertion_fails_but_those_of_the_faults_in_a_tree(tree: str, checked: Callable[[Fault], Done]) -> None:
    """So that none of many faults is found in another's stead."""
    here = planted_together(tree)
    done = checked(here[0])
    said = " ".join((done.stdout + done.stderr).split())
    reasons = [reason for fault in here for reason in (fault.reason, fault.also) if reason is not None]
    assert [said.count(reason) for reason in reasons] == [1] * len(reasons)
    assert said.count("Test assertion failed") == len(reasons)


def without_terraform(folder: Path) -> str:
    """A path on which everything is but Terraform."""
    for each in os.environ["PATH"].split(os.pathsep):
        for program in Path(each).iterdir() if Path(each).is_dir() else ():
            link = folder / program.name
            if program.name != "terraform" and not link.exists():
                link.symlink_to(program)
    return str(folder)


def test_without_terraform_the_check_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", without_terraform(tmp_path))
    done = check(ROOT, "terraform")
    assert done.returncode == MISSING
    assert "Terraform is not installed: 1.9 or newer, from https://" in done.stderr


def test_a_stand_in_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("terraform") is None:
        pytest.skip(lacking("terraform", "https://developer.hashicorp.com/terraform/install"))
    monkeypatch.setenv("TFCHECK", "/nowhere/tfcheck")
    done = check(ROOT, "terraform")
    assert done.returncode == MISSING
    assert "TFCHECK=/nowhere/tfcheck is not there" in done.stderr
