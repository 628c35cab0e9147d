"""``phasegate stack`` as people use it: up, up again, status, logs, down, and what goes wrong on the way."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import yaml

from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.errors import InputError
from phasegate.stack import processes, start
from phasegate.stack.ledger import StartedProcess, only_one, read_ledger, write_ledger
from phasegate.stack.local import Stack
from phasegate.stack.processes import ProcessId, end
from phasegate.stack.start import Start
from tests.commands import type_command
from tests.conftest import NBA_PIPELINE
from tests.stack.running import RunningStack, running_stack, skip_unless_installed
from tests.world import definition

PATIENCE_SECONDS = 20.0


def ask(url: str) -> Any:
    """What an emulator answers."""
    return requests.get(url, timeout=PATIENCE_SECONDS).json()


def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that is bound to happen."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < give_up, "it never came to that"
        time.sleep(0.02)


def processes_of(folder: Path) -> list[str]:
    """Processes that write to a log below a folder."""
    found = []
    for output in Path("/proc").glob("[0-9]*/fd/1"):
        with suppress(OSError):
            words = (output.parents[1] / "cmdline").read_text()
            # One that has ended has no words any more, though its files may be open for a moment.
            if words and os.readlink(output).startswith(str(folder)):
                found.append(words.replace("\0", " "))
    return found


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any stack."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """The world's pipeline, with a worker that somebody else serves."""
    document = definition()
    document["workers"]["world"]["url"] = "http://127.0.0.1:9/"
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


# A stack that is up


def test_every_process_of_a_started_stack_answers(stack: RunningStack) -> None:
    done = stack.command("stack", "status")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, len(stack.processes)), done.stdout
    assert {"firestore", "pubsub", "bigquery", "storage", "cloud-tasks", "starter", "listener", "worker-nba"} <= set(
        stack.processes
    )


def test_a_second_up_changes_nothing(stack: RunningStack) -> None:
    before = dict(stack.processes)
    done = stack.command("stack", "up")
    assert (done.returncode, done.stderr) == (0, "the stack is up already\n")
    stack.up()
    assert stack.processes == before


def test_the_printed_script_sets_the_environment(stack: RunningStack) -> None:
    script = stack.command("stack", "up").stdout
    shown = subprocess.run(["/bin/bash", "-c", f"{script}\nenv -0"], env={}, capture_output=True, text=True, check=True)
    found = dict(line.split("=", 1) for line in shown.stdout.split("\0") if "=" in line)
    assert {k: v for k, v in stack.environment.items() if v} == {k: found[k] for k in found if k in stack.environment}
    settings = CloudSettings.from_environment(found)
    assert settings.runner_url == stack.function_url("runner")


def test_the_stacks_own_pipeline_file_says_where_its_worker_answers(stack: RunningStack) -> None:
    copy = load_pipeline(Path(stack.environment["PHASEGATE_PIPELINE"]))
    assert copy.workers["nba"].url == stack.processes["worker-nba"].url


def test_up_in_the_environment_of_the_stack_means_the_same_stack(stack: RunningStack) -> None:
    assert stack.command("stack", "up", "--sweep-every", "2").returncode == 0


def test_another_pipeline_needs_another_stack(stack: RunningStack, pipeline: Path) -> None:
    done = stack.command("stack", "up", "--pipeline", pipeline)
    assert (done.returncode, " stack down" in done.stderr) == (2, True)


def test_the_queues_have_the_pipelines_limits(stack: RunningStack) -> None:
    server = stack.gcloud["CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS"]
    queue = ask(f"{server}v2/projects/demo/locations/us-central1/queues/scrapers")
    assert (queue["rateLimits"]["maxConcurrentDispatches"], queue["retryConfig"]["maxAttempts"]) == (210, -1)


def test_completions_are_pushed_to_the_listener_and_dead_letters_are_kept(stack: RunningStack) -> None:
    server = stack.gcloud["CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB"]
    found = ask(f"{server}v1/projects/demo/subscriptions")["subscriptions"]
    by_topic = {each["topic"].rpartition("/")[2]: each for each in found}
    listener = stack.function_url("listener")
    pushed = by_topic["backfill-completions"]
    assert pushed["pushConfig"]["pushEndpoint"] == f"{listener}/projects/demo/topics/backfill-completions"
    assert pushed["deadLetterPolicy"]["deadLetterTopic"].rpartition("/")[2] in by_topic


def test_logs_of_an_unknown_process_are_an_error_that_names_the_known(stack: RunningStack) -> None:
    done = stack.command("stack", "logs", "runer")
    assert (done.returncode, "did you mean 'runner'?" in done.stderr) == (2, True)


def test_logs_of_all_name_the_process_of_each_line(stack: RunningStack) -> None:
    lines = stack.command("stack", "logs").stdout.splitlines()
    assert any(line.startswith("cloud-tasks ") for line in lines)


def test_a_process_that_died_is_shown_and_started_again_at_its_port(stack: RunningStack) -> None:
    before = dict(stack.processes)
    stack.kill("verifier")
    done = stack.command("stack", "status")
    assert (done.returncode, [line for line in done.stdout.splitlines() if "died" in line]) == (
        1,
        [line for line in done.stdout.splitlines() if line.startswith("verifier")],
    )
    stack.up()
    assert stack.status()["up"]
    changed = {name for name, process in stack.processes.items() if process.pid != before[name].pid}
    assert changed == {"verifier"}
    assert stack.processes["verifier"].url == before["verifier"].url


# Down


def test_down_leaves_no_process_and_keeps_the_ports(tmp_path: Path, pipeline: Path) -> None:
    with running_stack(tmp_path / "home", pipeline=pipeline) as stack:
        # Its copy names the URL of a worker that is not the stack's to start.
        assert not any(name.startswith("worker") for name in stack.processes)
        ports = {name: process.port for name, process in stack.processes.items()}
        assert len(processes_of(stack.home)) >= len(stack.processes)
        done = stack.command("stack", "down")
        assert (done.returncode, processes_of(stack.home)) == (0, [])
        assert stack.command("stack", "status").returncode == 1
        assert Stack(stack.home).ledger().ports.items() >= {k: v for k, v in ports.items() if v}.items()


def test_down_never_kills_a_process_that_got_the_number_of_one_of_ours(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    stack = Stack(tmp_path)
    with only_one(stack.folder):
        ledger = read_ledger(stack.folder)
    before_it = ProcessId(pid=sleeper.pid, began="1")
    ledger.processes["runner"] = StartedProcess(process=before_it, port=1, path="/", log=tmp_path / "log")
    write_ledger(stack.folder, ledger)
    assert stack.down() == []
    assert sleeper.poll() is None


def test_a_process_of_ours_that_ignores_the_wish_to_end_is_killed(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "ENDED_WITHIN_SECONDS", 0.2)
    stubborn = ProcessId.of(sleeper.pid)
    sleeper.send_signal(signal.SIGSTOP)
    until(lambda: Path(f"/proc/{sleeper.pid}/stat").read_text().split()[2] == "T")
    end([stubborn])
    assert sleeper.wait(PATIENCE_SECONDS) == -signal.SIGKILL


# What goes wrong


def test_a_missing_emulator_is_named_with_what_to_install_and_nothing_is_started(
    tmp_path: Path, pipeline: Path
) -> None:
    done = type_command("--home", tmp_path, "stack", "up", "--pipeline", pipeline, environment={"PATH": str(tmp_path)})
    assert done.returncode == 2
    assert "firestore: install Java" in done.stderr
    assert Stack(tmp_path).ledger().processes == {}


def test_a_start_that_fails_halfway_ends_what_it_started(tmp_path: Path, source_folder: Path) -> None:
    skip_unless_installed()
    package = tmp_path / "halfway"
    package.mkdir()
    for name, text in {"__init__": "", "service": "", "main": "raise RuntimeError('no such luck')"}.items():
        (package / f"{name}.py").write_text(text)
    document = definition()
    document["workers"]["world"]["factory"] = "halfway.service:build"
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(document))
    home = tmp_path / "home"
    words = ["stack", "up", "--pipeline", path, "--source", source_folder]
    done = type_command("--home", home, *words, environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2
    assert "worker-world did not start" in done.stderr and "no such luck" in done.stderr
    assert Stack(home).ledger().processes == {}
    assert processes_of(home) == []


def test_a_worker_without_url_needs_a_source_folder(tmp_path: Path) -> None:
    done = type_command("--home", tmp_path, "stack", "up", "--pipeline", NBA_PIPELINE)
    assert (done.returncode, "--source" in done.stderr) == (2, True)


def test_a_worker_without_url_needs_a_service_beside_its_factory(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    document = definition()
    document["workers"]["world"]["factory"] = "tests.unit.builders:plan"
    path.write_text(yaml.safe_dump(document))
    done = type_command("--home", tmp_path, "stack", "up", "--pipeline", path, "--source", tmp_path)
    assert (done.returncode, "workers.world" in done.stderr and "main.py" in done.stderr) == (2, True)


@pytest.fixture
def held_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, Start]]:
    """A port that somebody listens on, and a start that needs it; nobody waits for real."""
    passed = iter(range(1000))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        clock = SimpleNamespace(monotonic=lambda: 0.1 * next(passed), sleep=lambda _: None)
        monkeypatch.setattr(start, "time", clock)
        begun = object.__new__(Start)
        begun._folder = Path("home/stack")
        yield listening, begun


def test_a_port_that_a_killed_process_gives_back_a_moment_later_is_waited_for(
    held_port: tuple[socket.socket, Start], monkeypatch: pytest.MonkeyPatch
) -> None:
    listening, begun = held_port
    port = listening.getsockname()[1]
    monkeypatch.setattr(start.time, "sleep", lambda _: listening.close())
    begun._require_free("runner", port)


def test_a_port_that_somebody_else_keeps_is_named_with_what_to_do(held_port: tuple[socket.socket, Start]) -> None:
    listening, begun = held_port
    with pytest.raises(
        InputError, match=r"port \d+ of runner is used by a process that is not of this stack; end that"
    ):
        begun._require_free("runner", listening.getsockname()[1])


def test_two_commands_never_work_on_one_stack(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    with only_one(stack.folder), pytest.raises(InputError, match="another `phasegate stack`"):
        stack.down()


def test_a_damaged_ledger_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    with only_one(stack.folder):
        (stack.folder / "stack.json").write_text('{"schema_version": 2}')
    with pytest.raises(InputError, match="remove the file"):
        stack.status()


def test_status_and_logs_of_a_stack_that_is_not_up_say_how_to_start_it(tmp_path: Path) -> None:
    status, logs = (
        type_command("--home", tmp_path, "stack", "status"),
        type_command("--home", tmp_path, "stack", "logs"),
    )
    assert (status.returncode, f"phasegate --home {tmp_path} stack up" in status.stdout) == (1, True)
    assert (logs.returncode, f"phasegate --home {tmp_path} stack up" in logs.stderr) == (2, True)


def test_a_process_that_ended_is_not_taken_for_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    identity = ProcessId.of(process.pid)
    # Nobody has asked after it yet: what remains of it still has its number.
    until(lambda: not identity.is_alive)
    os.kill(process.pid, 0)
    process.wait()
