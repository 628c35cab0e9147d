"""Somebody's own services beside the local stack: real HTTP, real Pub/Sub, phase 2 only observed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from phasegate.stack.emulators import free_port
from tests.fakes.in_process import PIPELINE
from tests.fakes.users_services import RAW_NAMES
from tests.stack.running import ROOT, RunningStack, running_stack, skip_unless_installed
from tests.stack.target import until

FIRST = date(2024, 1, 15)
DAYS = [FIRST + timedelta(days=n) for n in range(3)]
PLAYERS, BOXES = RAW_NAMES.values()
ACTS = [(PLAYERS, str(DAYS[0]), "stranger"), (BOXES, str(DAYS[1]), "mute"), (PLAYERS, str(DAYS[2]), "fail:Busy")]


@contextmanager
def users_services(stack: RunningStack, port: int) -> Iterator[str]:
    """The services in a process of their own; their URL."""
    words = [sys.executable, "-m", "tests.fakes.serving", str(port), str(FIRST), str(len(DAYS)), json.dumps(ACTS)]
    log = stack.home / "users.log"
    with log.open("wb") as out:
        process = subprocess.Popen(words, cwd=ROOT, env=os.environ | stack.environment, stdout=out, stderr=out)
        try:
            until(lambda: process.poll() is not None or answers(port))
            assert process.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def answers(port: int) -> bool:
    """Whether the services are up."""
    try:
        return requests.get(f"http://127.0.0.1:{port}/cascade", timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningStack, str, dict[str, Any]]]:
    """Three dates through the services: the stack, their URL, and what ``run`` said in the end."""
    skip_unless_installed()
    folder, port = tmp_path_factory.mktemp("users"), free_port()
    file = pipeline_of(folder, port)
    with running_stack(folder / "home", pipeline=file, sweep_every=1.0) as stack, users_services(stack, port) as url:
        words = ("run", "--pipeline", file, "--from", DAYS[0], "--to", DAYS[-1], "--run-id", "week", "--json")
        ended = stack.command("--backend", "gcp", *words)
        assert ended.returncode == 0, ended.stderr + ended.stdout
        yield stack, url, json.loads(stack.command("--backend", "gcp", "status", "week", "--json").stdout)


def pipeline_of(folder: Path, port: int) -> Path:
    """The pipeline file with the services' URLs, in which silence is noticed soon."""
    text = PIPELINE.read_text().replace("127.0.0.1:9/", f"127.0.0.1:{port}/")
    file = folder / "pipeline.yaml"
    file.write_text(text.replace("timeout_seconds: 600", "timeout_seconds: 8"))
    return file


def test_every_task_succeeds_also_where_the_services_said_nothing(
    done: tuple[RunningStack, str, dict[str, Any]],
) -> None:
    _, _, status = done
    tasks = status["tasks"]
    assert (status["status"], tasks["succeeded"]) == ("completed", tasks["expected"])


def test_a_stranger_on_their_topic_is_set_aside_and_shown(done: tuple[RunningStack, str, dict[str, Any]]) -> None:
    stack, _, _ = done
    server = f"http://{stack.environment['FIRESTORE_EMULATOR_HOST']}/v1/projects/demo/databases/(default)/documents"
    kept = requests.get(f"{server}/quarantine", headers={"Authorization": "Bearer owner"}, timeout=10).json()
    reasons = [record["fields"]["reason"]["stringValue"] for record in kept["documents"]]
    assert [reason.partition("run week: ")[2].partition(" of ")[0] for reason in reasons] == [
        "processor_name: unknown processor 'bdl_boxscore_v9'"
    ]


def test_the_live_cascade_hears_it_all_and_is_not_triggered(done: tuple[RunningStack, str, dict[str, Any]]) -> None:
    cascade = requests.get(f"{done[1]}/cascade", timeout=5).json()
    assert (cascade["triggered"], cascade["heard"] >= len(DAYS) * len(RAW_NAMES)) == ([], True)
