"""A stack is a whole deployment on this machine: emulators, functions and worker services are started, examined and
ended together.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from phasegate.domain.errors import InputError
from phasegate.stack.emulators import is_ready
from phasegate.stack.ledger import Ledger, only_one, read_ledger, write_ledger
from phasegate.stack.processes import end
from phasegate.stack.start import PIPELINE_COPY, StackRequest, Start

_OF_ONE_LIFE = ("bigquery", "logs", "run")
"""Folders below the stack's that are made anew when a stack starts from nothing."""


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """A status is what ``stack status`` shows of one process."""

    name: str
    """What the stack calls the process."""

    port: int | None
    """Where it answers on the loopback; None: nowhere."""

    pid: int
    """The number of the process."""

    alive: bool
    """Whether that very process runs."""

    answering: bool
    """Whether it is alive, and its port answers if it has one."""

    log: Path
    """The file with its output."""


class Stack:
    """A stack belongs to a home folder; everything it keeps is in ``stack/`` there."""

    def __init__(self, home: Path) -> None:
        self.folder = home.absolute() / "stack"

    @property
    def pipeline_copy(self) -> Path:
        """Return the pipeline file that the stack's processes read."""
        return self.folder / PIPELINE_COPY

    def ledger(self) -> Ledger:
        """Return what is written down. Raises InputError when it cannot be read."""
        return read_ledger(self.folder)

    def up(self, request: StackRequest, say: Callable[[str], None]) -> Ledger:
        """Start what does not run. Returns when everything answers.

        A stack that starts from nothing starts blank: Firestore and Pub/Sub keep nothing, and tables, objects and
        tasks of runs that nobody knows any more would only mislead. Raises InputError for a bad pipeline, a missing
        emulator, a process that does not come up (what was started here is ended again), and a request that differs
        from what the running stack serves.
        """
        with only_one(self.folder):
            ledger = self.ledger()
            alive = ledger.alive
            if alive:
                _require_same(request, ledger)
            start = Start(self.folder, request, ledger)
            if not alive:
                self._clear()
            begun = time.monotonic()
            names = start.run(set(alive))
            if names:
                say(f"started {', '.join(names)} in {time.monotonic() - begun:.1f} s")
            else:
                say("the stack is up already")
            return ledger

    def down(self) -> list[str]:
        """End the processes that ``up`` started, and nothing else; returns their names."""
        with only_one(self.folder):
            ledger = self.ledger()
            alive = ledger.alive
            end([started.process for started in alive.values()])
            ledger.processes = {}
            write_ledger(self.folder, ledger)
            return sorted(alive)

    def status(self) -> list[ProcessStatus]:
        """Say how each process is; empty when the stack is not up."""
        statuses = []
        for name, started in self.ledger().processes.items():
            alive = started.process.is_alive
            answering = alive and (started.port is None or is_ready(started.port, started.path))
            statuses.append(ProcessStatus(name, started.port, started.process.pid, alive, answering, started.log))
        return statuses

    def _clear(self) -> None:
        for name in _OF_ONE_LIFE:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for file in self.folder.glob("cloud-tasks.sqlite*"):
            file.unlink()


def _require_same(request: StackRequest, ledger: Ledger) -> None:
    if (request.pipeline, request.source, request.sweep_every) != (ledger.pipeline, ledger.source, ledger.sweep_every):
        raise InputError(
            f"the stack is up and serves {ledger.pipeline} from {ledger.source}, swept every {ledger.sweep_every:g} s; "
            "for something else: phasegate stack down, then up"
        )
