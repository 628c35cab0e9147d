"""The functions of a stack are forked from one process that has imported what all of them need: to import it takes
longer than to start a function.
"""

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import IO, Any

from phasegate.domain.errors import InputError
from phasegate.stack.processes import ProcessId

COMMAND = (sys.executable, "-P", "-m", "phasegate.stack.forking")
"""Starts the process that functions are forked from."""

ROOMS = ("phasegate.adapters.gcp", "phasegate.services")
"""Packages of which functions need most; with them come the clients of Google Cloud."""


class ForkedProcess:
    """A forked process is no child of whoever had it started; it is asked and ended as a ``subprocess.Popen`` is."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._id = ProcessId.of(pid)

    def poll(self) -> int | None:
        """Return None while it runs, else 1: nobody knows its exit status."""
        return None if self._id.is_alive else 1

    def terminate(self) -> None:
        """Ask it to end."""
        os.kill(self.pid, 15)

    def kill(self) -> None:
        """End it and its children at once."""
        self._id.kill()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired after so many seconds."""
        ends = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if ends is not None and time.monotonic() > ends:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(0.02)
        return status


class Forks:
    """Forks start processes that serve functions; the process that they come from ends with ``close``."""

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self._log, self._environment = log, environment
        self._origin: subprocess.Popen[str] | None = None

    def start(self, words: Sequence[str], log: Path, environment: Mapping[str, str]) -> ForkedProcess:
        """Start functions-framework with these arguments, in a session of its own; its output goes to a file.

        environment: the whole of it; what PYTHONPATH names stands first on Python's path. Raises InputError with the
        end of the log when nothing can be forked.
        """
        origin = self._origin = self._origin or self._begin()
        request = {"words": list(words), "log": str(log), "environment": dict(environment)}
        try:
            _stream(origin.stdin).write(json.dumps(request) + "\n")
            _stream(origin.stdin).flush()
            return ForkedProcess(int(_stream(origin.stdout).readline()))
        except (BrokenPipeError, ValueError) as error:
            tail = self._log.read_text(errors="replace")[-1500:]
            raise InputError(f"functions cannot be started; the end of {self._log}:\n{tail}") from error

    def close(self) -> None:
        """Let the process end from which the others were forked; they go on."""
        if self._origin is not None:
            _stream(self._origin.stdin).close()
            self._origin.wait()
            _stream(self._origin.stdout).close()
            self._origin = None

    def _begin(self) -> subprocess.Popen[str]:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as errors:
            return subprocess.Popen(  # noqa: S603 - a module of ours
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                env={**os.environ, **self._environment},
            )


def _stream(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise ValueError("no pipe")
    return stream


def _import_what_functions_need() -> None:
    import_module("functions_framework._http.gunicorn")
    import_module("phasegate.entrypoints")
    for room in ROOMS:
        for module in walk_packages(import_module(room).__path__, f"{room}."):
            import_module(module.name)
    gc.collect()
    gc.freeze()


def _next_function() -> dict[str, Any] | None:
    """Fork at each request: what was asked for, in the new process; None in this one, when nothing more is asked."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            request: dict[str, Any] = json.loads(line)
            return request
        print(pid, flush=True)  # noqa: T201 - the answer, through the pipe
    return None


def _become(request: Mapping[str, Any]) -> None:
    """Take everything over in which a new interpreter would differ."""
    os.setsid()
    with open(os.devnull, "rb") as nothing, open(request["log"], "ab") as log:
        for opened, descriptor in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(opened.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    first = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    sys.path[:] = [*first, *(folder for folder in sys.path if folder not in first)]
    sys.argv = ["functions-framework", *request["words"]]


if __name__ == "__main__":
    _import_what_functions_need()
    if (asked := _next_function()) is not None:
        _become(asked)
        from functions_framework._cli import _cli

        _cli()
