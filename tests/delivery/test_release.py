"""What a build does with a plan: the real scripts, with stand-ins for terraform, gcloud and the smoke test."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLAN = "Terraform will perform the following actions: one more queue\n"

TERRAFORM = """#!/usr/bin/env bash
echo "terraform $*" >> "$LOG"
case " $* " in
*" show "*) cat "$PLAN_TEXT" ;;
*" plan "*) for each in "$@"; do case $each in -out=*) echo binary > "${each#-out=}" ;; esac; done ;;
*" apply "*) exit "${APPLY_STATUS:-0}" ;;
*" output -json environment "*) echo '{"PHASEGATE_PROJECT": "demo", "PHASEGATE_REGION": "us-central1"}' ;;
*" output -raw pipeline_file "*) printf gs://demo-phasegate/deployed/pipeline.yaml ;;
*" version "*) echo "+ provider registry.terraform.io/hashicorp/google v8.7.0" ;;
esac
"""

GCLOUD = """#!/usr/bin/env bash
# gcloud storage cp FROM TO, over a folder; gcloud scheduler jobs, whose job is tried when it is run
echo "gcloud $*" >> "$LOG"
case "$*" in
"builds list "*) echo "${CHECKED-check-1}"; exit ;;
"scheduler jobs run "*) [ -n "${JOB_IS_STUCK:-}" ] || echo tried >> "$LOG.tries"; exit ;;
"scheduler jobs describe "*lastAttemptTime*) cat "$LOG.tries" 2>/dev/null || echo before; exit ;;
"scheduler jobs describe "*status.code*) echo "${JOB_STATUS:-}"; exit ;;
esac
from=${3/gs:\\/\\//$BUCKETS/} to=${4/gs:\\/\\//$BUCKETS/}
mkdir -p "$(dirname "$to")" && cp "$from" "$to"
"""

SMOKE = '#!/usr/bin/env bash\necho "smoke $_SMOKE_DATE" >> "$LOG"\nexit "${SMOKE_STATUS:-0}"\n'


class Build:
    """A checkout in which steps of the build are run."""

    def __init__(self, folder: Path) -> None:
        self.tree, self.buckets, self._log = folder / "tree", folder / "buckets", folder / "log"
        shutil.copytree(ROOT / "infra", self.tree / "infra", ignore=shutil.ignore_patterns(".terraform"))
        (self.tree / "infra" / "terraform").mkdir(exist_ok=True)
        tools = folder / "bin"
        tools.mkdir()
        for path, text in (
            (tools / "terraform", TERRAFORM),
            (tools / "gcloud", GCLOUD),
            (self.tree / "infra" / "delivery" / "smoke.sh", SMOKE),
        ):
            path.write_text(text)
            path.chmod(0o755)
        (folder / "plan.txt").write_text(PLAN)
        self.plan_text = folder / "plan.txt"
        self.environment = {
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "LOG": str(self._log),
            "BUCKETS": str(self.buckets),
            "PLAN_TEXT": str(self.plan_text),
            "PROJECT_ID": "demo",
            "BUILD_ID": "b1",
            "_COMMIT": "c1",
            "_DELIVERY_BUCKET": "demo-delivery",
            "_VARIABLES": "environments/small.tfvars",
            "_ACTION": "plan",
            "_APPROVED": "",
            "_SMOKE_DATE": "",
        }

    def step(
        self, script: str, arguments: tuple[str, ...] = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts."""
        return subprocess.run(
            [self.tree / "infra" / "delivery" / script, *arguments],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def both(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Plan, then what is to be done with the plan."""
        planned = self.step("plan.sh", **environment)
        assert planned.returncode == 0, planned.stderr
        return self.step("apply.sh", **environment)

    def log(self) -> list[str]:
        """What was called, in order."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    def applied(self) -> list[str]:
        """The applies, in order."""
        return [line for line in self.log() if " apply " in line]

    def stored(self, name: str) -> Path:
        """An object of the delivery bucket."""
        return self.buckets / "demo-delivery" / name

    def stands(self, commit: str) -> None:
        """A release that was applied and passed."""
        done = self.both(BUILD_ID="a0", _COMMIT=commit)
        done = self.both(BUILD_ID="b0", _COMMIT=commit, _ACTION="apply", _APPROVED="a0", _SMOKE_DATE="2024-01-15")
        assert done.returncode == 0, done.stderr
        self._log.unlink()


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


def test_a_build_that_plans_applies_nothing_and_keeps_the_plan_to_be_read(build: Build) -> None:
    done = build.both()
    assert (done.returncode, build.applied()) == (0, [])
    read = build.stored("plans/b1/plan.txt").read_text()
    assert read.startswith(PLAN)
    assert "hashicorp/google v8.7.0" in read, "with another version it is another plan"
    assert not build.stored("releases").exists()


def test_an_approved_plan_is_applied_and_the_release_stands(build: Build) -> None:
    build.both(BUILD_ID="b0")
    done = build.both(_ACTION="apply", _APPROVED="b0", _SMOKE_DATE="2024-01-15")
    assert (done.returncode, len(build.applied())) == (0, 1), done.stderr
    assert build.applied()[0].endswith("/.delivery/plan/tfplan"), "the plan itself, not a new one"
    assert build.stored("releases/current").read_text() == "c1\n"
    with tarfile.open(build.stored("releases/c1.tgz")) as release:
        assert "./infra/delivery/rollback.sh" in release.getnames()


def test_another_plan_than_the_approved_one_is_not_applied(build: Build) -> None:
    build.both(BUILD_ID="b0")
    build.plan_text.write_text("everything will be destroyed\n")
    done = build.both(_ACTION="apply", _APPROVED="b0", _SMOKE_DATE="2024-01-15")
    assert (done.returncode, build.applied()) == (1, [])
    assert "not the one that was approved (build b0)" in done.stderr
    assert not build.stored("releases").exists()


@pytest.mark.parametrize("outcome", [{"SMOKE_STATUS": "1"}, {"APPLY_STATUS": "1"}])
def test_a_release_that_does_not_stand_is_followed_by_the_one_before(build: Build, outcome: dict[str, str]) -> None:
    build.stands("c0")
    build.both(BUILD_ID="b1")
    done = build.both(BUILD_ID="b2", _ACTION="apply", _APPROVED="b1", _SMOKE_DATE="2024-01-15", **outcome)
    assert done.returncode == 1
    first, second = build.applied()
    assert first.endswith("tfplan")
    assert "-var=commit=c0" in second
    assert "/release/infra/terraform " in second, "from the tree that stood then"
    assert build.stored("releases/current").read_text() == "c0\n"


def test_the_first_release_that_fails_says_that_there_is_nothing_to_go_back_to(build: Build) -> None:
    build.both(BUILD_ID="b0")
    done = build.both(_ACTION="apply", _APPROVED="b0", _SMOKE_DATE="2024-01-15", SMOKE_STATUS="1")
    assert (done.returncode, len(build.applied())) == (1, 1)
    assert "nothing was rolled back" in done.stderr
    assert not build.stored("releases").exists(), "what did not stand is nothing to go back to"


def test_a_failed_release_of_the_same_commit_does_not_replace_the_one_that_stood(build: Build) -> None:
    build.stands("c0")
    before = build.stored("releases/c0.tgz").read_bytes()
    (build.tree / "infra" / "terraform" / "more.tfvars").write_text("x = 1\n")
    build.both(BUILD_ID="b1", _COMMIT="c0")
    told = {"_COMMIT": "c0", "_ACTION": "apply", "_APPROVED": "b1", "_SMOKE_DATE": "2024-01-15"}
    assert build.both(BUILD_ID="b2", SMOKE_STATUS="1", **told).returncode == 1
    assert build.stored("releases/c0.tgz").read_bytes() == before


def test_going_back_by_hand_makes_that_release_the_one_that_stands(build: Build) -> None:
    build.stands("c0")
    build.stands("c1")
    done = build.step("rollback.sh", arguments=("c0",))
    assert done.returncode == 0, done.stderr
    assert "-var=commit=c0" in build.applied()[0]
    assert build.stored("releases/current").read_text() == "c0\n"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"_ACTION": "apply"}, "_APPROVED"),
        ({"_ACTION": "apply", "_APPROVED": "b0"}, "_SMOKE_DATE"),
        ({"_ACTION": "destroy"}, "give plan or apply"),
        ({"_ACTION": "apply", "_APPROVED": "b1", "_SMOKE_DATE": "2024-01-15"}, "does not approve itself"),
        ({"_ACTION": "apply", "_APPROVED": "unknown", "_SMOKE_DATE": "2024-01-15"}, "unknown"),
    ],
)
def test_a_build_that_is_not_told_enough_applies_nothing(build: Build, environment: dict[str, str], said: str) -> None:
    done = build.both(**environment)
    assert done.returncode != 0
    assert said in done.stderr
    assert build.applied() == []


def test_a_commit_whose_check_has_not_passed_is_not_planned(build: Build) -> None:
    done = build.step("plan.sh", CHECKED="")
    assert done.returncode == 1
    assert "no check of c1 has passed: gcloud builds submit --config cloudbuild-check.yaml" in done.stderr
    assert not [line for line in build.log() if line.startswith("terraform")]


@pytest.mark.parametrize("name", ["_COMMIT", "_VARIABLES"])
def test_a_plan_needs_the_commit_and_somebodys_values(build: Build, name: str) -> None:
    done = build.step("plan.sh", **{name: ""})
    assert (done.returncode != 0, name in done.stderr, build.applied()) == (True, True, [])


@pytest.fixture
def smoke(build: Build) -> Build:
    """A checkout with the real smoke test, in which only the run of the date is a stand-in."""
    shutil.copy(ROOT / "infra" / "delivery" / "smoke.sh", build.tree / "infra" / "delivery" / "smoke.sh")
    python = build.tree / ".delivery" / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        '#!/usr/bin/env bash\necho "python $* in $PHASEGATE_PROJECT with $PHASEGATE_PIPELINE" >> "$LOG"\n'
        'exit "${RUN_STATUS:-0}"\n'
    )
    python.chmod(0o755)
    pipeline = build.buckets / "demo-phasegate" / "deployed" / "pipeline.yaml"
    pipeline.parent.mkdir(parents=True)
    pipeline.write_text("pipeline: demo\n")
    return build


def test_the_smoke_test_runs_the_date_in_the_deployments_own_environment(smoke: Build) -> None:
    done = smoke.step("smoke.sh", _SMOKE_DATE="2024-01-15")
    assert done.returncode == 0, done.stderr
    where = smoke.tree / ".delivery" / "pipeline.yaml"
    assert where.read_text() == "pipeline: demo\n"
    (ran,) = [line for line in smoke.log() if line.startswith("python ")]
    assert ran == f"python -m infra.delivery.smoke 2024-01-15 --run-id smoke-b1 in demo with {where}"


@pytest.mark.parametrize("outcome", [{"RUN_STATUS": "1"}, {"JOB_STATUS": "13"}, {"JOB_IS_STUCK": "1"}])
def test_the_smoke_test_fails_where_the_run_or_the_sweepers_job_does(smoke: Build, outcome: dict[str, str]) -> None:
    done = smoke.step("smoke.sh", _SMOKE_DATE="2024-01-15", PAUSE_SECONDS="0", **outcome)
    assert done.returncode == 1
