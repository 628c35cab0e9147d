"""A stack that a test may use and damage: started and ended by the commands that people type."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.gcp import clients
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.deployment import Deployment
from phasegate.stack.emulators import EMULATORS
from phasegate.stack.local import Stack
from tests.commands import ROOT, type_command, without_settings

PATIENCE_SECONDS = 240.0


@dataclass(frozen=True)
class RunningProcess:
    """One process of a stack. url: None for one that answers nowhere (the schedule)."""

    name: str
    pid: int
    port: int | None
    url: str | None
    log: Path


class RunningStack:
    """A stack in a home of its own.

    environment: what ``phasegate stack up`` prints; ``processes`` is always what is written down now.
    """

    def __init__(self, home: Path, pipeline: Path | None, source: Path | None, sweep_every: float) -> None:
        self.home = home
        self._asked = ["--sweep-every", str(sweep_every)]
        self._asked += ["--pipeline", str(pipeline)] if pipeline else []
        self._asked += ["--source", str(source)] if source else []
        self.environment: dict[str, str] = {}
        self.gcloud: dict[str, str] = {}
        self.kickoff: dict[str, str] = {}
        self.processes: dict[str, RunningProcess] = {}

    def up(self) -> None:
        """Start what does not run."""
        done = self.command("stack", "up", *self._asked, "--json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        self.environment, self.gcloud, self.kickoff = (document[k] for k in ("environment", "gcloud", "kickoff"))
        self.processes = {
            name: RunningProcess(name, p["pid"], p["port"], p["url"], Path(p["log"]))
            for name, p in document["processes"].items()
        }

    def command(
        self, *words: object, environment: Mapping[str, str] | None = None, seconds: float = PATIENCE_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Type a ``phasegate`` command for this home, in the stack's environment. seconds: how long it may take."""
        given = self.environment | dict(environment or {})
        return type_command("--home", self.home, *words, environment=given, seconds=seconds)

    def begin(self, *words: object) -> subprocess.Popen[str]:
        """Type a command and do not wait for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "phasegate.cli.main", "--home", str(self.home), *map(str, words)],
            env=without_settings() | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def status(self) -> dict[str, Any]:
        """``stack status --json``."""
        found: dict[str, Any] = json.loads(self.command("stack", "status", "--json").stdout)
        return found

    def kill(self, name: str) -> None:
        """``kill -9`` of one process and its children, as when a container dies."""
        Stack(self.home).ledger().processes[name].process.kill()

    def restart(self, name: str) -> None:
        """The same, and another one in its place, at the same port."""
        self.kill(name)
        self.up()

    def function_url(self, name: str) -> str:
        """Where a function answers."""
        url = self.processes[name].url
        assert url is not None
        return url


def type_line(line: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Type a line for a shell, such as ``stack up`` prints. Skips the test where ``gcloud`` or ``curl`` is missing."""
    for program in ("gcloud", "curl"):
        if f"{program} " in line and not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    given = os.environ | dict(environment or {})
    words = ["/bin/bash", "-c", line]
    return subprocess.run(words, env=given, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)


@contextmanager
def connected(stack: RunningStack) -> Iterator[Deployment]:
    """The services against the emulators of a stack, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment.items():
            patch.setenv(name, value)
        forget_clients()
        yield Deployment(CloudSettings.from_environment())
        forget_clients()


def forget_clients() -> None:
    """Google's clients are made once a process: after another stack's they have to be made anew."""
    for made_once in vars(clients).values():
        if hasattr(made_once, "cache_clear"):
            made_once.cache_clear()


def skip_unless_installed() -> None:
    """Skip the test, saying what to install, where an emulator is missing."""
    missing = [f"the {e.name} emulator: {reason}" for e in EMULATORS if (reason := e.missing())]
    if missing:
        pytest.skip("; ".join(missing))


@contextmanager
def running_stack(
    home: Path, *, pipeline: Path | None = None, source: Path | None = None, sweep_every: float = 2.0
) -> Iterator[RunningStack]:
    """A stack for a pipeline (default: NBA) and a source folder, ended with the block."""
    skip_unless_installed()
    made = RunningStack(home, pipeline, source, sweep_every)
    try:
        made.up()
        yield made
    finally:
        # Nothing is read of it any more: it need not end in good order, which takes some functions seconds.
        for started in Stack(home).ledger().alive.values():
            started.process.kill()
        Stack(home).down()
