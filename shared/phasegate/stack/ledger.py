"""The ledger is what a stack has written down: its ports, its processes, and what it was asked to serve."""

import fcntl
import os
import socket
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from phasegate.domain.errors import InputError
from phasegate.stack.emulators import HOST
from phasegate.stack.processes import ProcessId

FIRST_PORT, LAST_PORT = 20_000, 32_000
"""Below the ports that operating systems hand out by themselves (Linux: from 32768), which nobody could keep."""


class StartedProcess(BaseModel):
    """A started process is one that the stack has begun."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    process: ProcessId
    """Tells the process from a later one of the same number."""

    port: int | None
    """Where it answers on the loopback; None: nowhere."""

    path: str
    """A GET that has no effect; empty: there is none."""

    log: Path
    """The file with its output."""


class Ledger(BaseModel):
    """A ledger is the content of ``stack.json``."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    """The layout of the file."""

    ports: dict[str, int] = {}
    """Ports by part; they stay the same for a home, so that URLs inside stored tasks stay right."""

    processes: dict[str, StartedProcess] = {}
    """The processes that were started, by name; some may have died since."""

    pipeline: Path | None = None
    """The pipeline file that was asked for; None: the stack was never up."""

    source: Path | None = None
    """The source folder of workers that the stack starts; None: it starts none, or was never up."""

    sweep_every: float = 10.0
    """Seconds between sweeps."""

    environment: dict[str, str] = {}
    """The variables that a shell, a function and a worker need alike."""

    @property
    def alive(self) -> dict[str, StartedProcess]:
        """Return those of its processes that run."""
        return {name: started for name, started in self.processes.items() if started.process.is_alive}

    def choose_ports(self, names: Iterable[str], home: Path) -> None:
        """Give a port to every name that has none. Where the search begins depends on the home, so that two homes
        rarely meet.
        """
        span = LAST_PORT - FIRST_PORT
        start = zlib.crc32(os.fsencode(home.absolute())) % span
        taken = set(self.ports.values())
        free = (FIRST_PORT + (start + n) % span for n in range(span))
        for name in names:
            if name not in self.ports:
                self.ports[name] = next(port for port in free if port not in taken and is_free(port))


def is_free(port: int) -> bool:
    """Whether a server could listen on a port of the loopback."""
    with socket.socket() as probe:
        # Connections that have just ended do not keep a server from listening again.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def read_ledger(folder: Path) -> Ledger:
    """Return the ledger of a stack's folder; a blank one when there is none. Raises InputError for a damaged one."""
    path = folder / "stack.json"
    try:
        return Ledger.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Ledger()
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{path} cannot be read ({' '.join(str(error).split())[:200]}); end the processes of the stack by hand, "
            "then remove the file"
        ) from error


def write_ledger(folder: Path, ledger: Ledger) -> None:
    """Write the ledger in one step: a reader sees the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=".stack-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(ledger.model_dump_json(indent=2) + "\n")
    Path(name).replace(folder / "stack.json")


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keep other commands from starting or ending processes of a stack meanwhile. Raises InputError when another one is
    at it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / "lock").open("a")
    except OSError as error:
        raise InputError(f"{folder}: cannot be used for the stack: {error.strerror}; give another --home") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"another `phasegate stack` is at work in {folder}; wait until it has ended") from error
        yield
