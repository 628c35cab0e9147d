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
esac
"""

GCLOUD = """#!/usr/bin/env bash
# gcloud storage cp FROM TO, over a folder
echo "gcloud $*" >> "$LOG"
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

    def step(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts."""
        return subprocess.run(
            [self.tree / "infra" / "delivery" / script],
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

    def applied(self) -> list[str]:
        """The applies, in order."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line for line in lines if " apply " in line]

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
    assert build.stored("plans/b1/plan.txt").read_text() == PLAN
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
    assert "nothing to go back to" in done.stderr


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"_ACTION": "apply"}, "_APPROVED"),
        ({"_ACTION": "apply", "_APPROVED": "b0"}, "_SMOKE_DATE"),
        ({"_ACTION": "destroy"}, "give plan or apply"),
        ({"_ACTION": "apply", "_APPROVED": "unknown", "_SMOKE_DATE": "2024-01-15"}, "unknown"),
    ],
)
def test_a_build_that_is_not_told_enough_applies_nothing(build: Build, environment: dict[str, str], said: str) -> None:
    done = build.both(**environment)
    assert done.returncode != 0
    assert said in done.stderr
    assert build.applied() == []


def test_a_plan_needs_the_commit(build: Build) -> None:
    done = build.step("plan.sh", _COMMIT="")
    assert (done.returncode != 0, "_COMMIT" in done.stderr, build.applied()) == (True, True, [])
