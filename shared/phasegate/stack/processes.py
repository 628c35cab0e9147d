"""Processes outlive the command that started them: they are recognised again, and ended, without ever hitting
another's.
"""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict

ENDED_WITHIN_SECONDS = 5.0
"""How long a process may take to end by itself. A function that serves a request would take up to 30 s."""


class ProcessId(BaseModel):
    """A process id tells a process from a later one that got the same number, by the moment at which it began."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pid: int
    """The number of the process, which leads a process group of its own."""

    began: str
    """When it began, as the operating system writes it; only good for comparing."""

    @classmethod
    def of(cls, pid: int) -> "ProcessId":
        """Return the identity of the process that has this number now."""
        return cls(pid=pid, began=_began(pid) or "")

    @property
    def is_alive(self) -> bool:
        """Whether that very process runs."""
        return bool(self.began) and _began(self.pid) == self.began

    def signal(self, number: signal.Signals) -> None:
        """Signal the process alone, if it is still that one."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process and its children at once, if it is still that one."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


def end(processes: Sequence[ProcessId]) -> None:
    """Ask all to end; those that still run after a while are killed with their children. Returns when all are gone."""
    for process in processes:
        process.signal(signal.SIGTERM)
    _wait(processes)
    for process in processes:
        process.kill()
    _wait(processes)


def _wait(processes: Sequence[ProcessId]) -> None:
    ends = time.monotonic() + ENDED_WITHIN_SECONDS
    while any(p.is_alive for p in processes) and time.monotonic() < ends:
        time.sleep(0.02)


def _began(pid: int) -> str | None:
    """When a process began; None when there is none, or only its remains that nobody has asked after yet."""
    table = Path("/proc/self/stat")
    if not table.exists():
        asked = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
        state, _, began = done.stdout.strip().partition(" ")
        return None if not began or state.startswith("Z") else began.strip()
    try:
        # The second field is the command in brackets, which may hold spaces and brackets itself.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]
