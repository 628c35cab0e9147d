"""The main program of a process that a worker has to itself: it makes the worker and answers one call at a time.

``processes.py`` starts it by its path. Its warehouse and object store stand in the process that started it: each use of
them is a message, and so is each log line. When the connection ends, so does this process.
"""

import faulthandler
import io
import json
import logging
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from phasegate.adapters.embedded.in_process import InProcessWorker, bug, make_in_process
from phasegate.domain import errors
from phasegate.domain.errors import PhasegateError, WouldEmpty
from phasegate.domain.foreign_text import said, told
from phasegate.ports import ObjectStore, Warehouse

GRACE_SECONDS = 2.0
"""How long a process that is told to end may take for what its worker left to be done at the end."""


class Link:
    """The link is this process's end of the connection. Thread-safe: a worker's threads may all use the ports."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending, self._asking = threading.Lock(), threading.Lock()
        self._calls: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._replies: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._is_busy = False
        self._worker: InProcessWorker | None = None

    def read(self) -> None:
        """Take what comes until the connection ends, or an end is asked for. In the middle of a call nothing waits for
        what this process does then: it is killed, with all that it started.
        """
        while (message := self._next()) is not None:
            if message[0] in ("result", "raise"):
                self._replies.put((message[0], message[1]))
            else:
                self._is_busy = True
                self._calls.put(message)
        if self._is_busy:
            _kill()
        guard = threading.Timer(GRACE_SECONDS, _kill)
        guard.daemon = True
        guard.start()

    def _next(self) -> tuple[Any, ...] | None:
        try:
            message: tuple[Any, ...] | None = self._connection.recv()
        except (EOFError, OSError):
            return None
        return message

    def work(self) -> None:
        """Answer calls, for ever."""
        try:
            while True:
                answer = self._answer(*self._calls.get())
                self._is_busy = False
                self.send(*answer)
        except BaseException:
            faulthandler.dump_traceback(all_threads=False)
            os._exit(1)

    def _answer(self, kind: str, *content: Any) -> tuple[Any, ...]:
        try:
            if kind == "make":
                self._make(*content)
            elif kind == "call":
                return "answer", *self._handled(*content)
            elif kind == "say":
                assert self._worker is not None  # noqa: S101 - the first message makes it
                (method,) = content
                return "said", json.dumps(getattr(self._worker, method)())
            elif self._worker is not None:
                self._worker.prepare()
        except PhasegateError as error:
            known = next(c for c in type(error).__mro__ if c.__module__ == errors.__name__)
            return "failed", known.__name__, said(error)
        return ("ready",)

    def _make(
        self, name: str, factory: str, pipeline_file: Path | None, source: Path | None, is_prepared: bool, level: int
    ) -> None:
        logging.basicConfig(level=level, handlers=[_ToStarter(self)])
        warehouse = cast("Warehouse", _Port(self, "warehouse", Warehouse))
        objects = cast("ObjectStore", _Port(self, "objects", ObjectStore))
        self._worker = make_in_process(name, factory, pipeline_file, source, warehouse, objects)
        if is_prepared:
            self._worker.prepare()

    def _handled(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[int, str]:
        """Status and body of the answer; the body is JSON, as it is over HTTP."""
        assert self._worker is not None  # noqa: S101 - the first message makes it
        with _trace_of(headers):
            status, content = self._worker.handle(path, body)
        try:
            return int(status), json.dumps(content)
        except BaseException as error:
            status, content = bug(f"the worker's answer is no JSON: {told(error)}")
            return status, json.dumps(content)

    def send(self, *message: Any) -> None:
        """Send a message."""
        with self._sending:
            self._connection.send(message)

    def ask(self, port: str, method: str, *given: Any, **named: Any) -> Any:
        """Have a method of a port called in the process that started this one; its return value, or what it raised."""
        plain = {name: _plain(value) for name, value in named.items()}
        # Written before anything is sent: what cannot be written is the caller's error, and leaves nothing half said.
        content = pickle.dumps(([_plain(value) for value in given], plain))
        with self._asking:
            self.send("ask", port, method, content)
            kind, value = self._replies.get()
        for refusal in value.values() if isinstance(value, dict) else [value]:
            if isinstance(refusal, WouldEmpty):
                refusal.empty = partial(self.ask, port, "empty_partition", refusal.partition, refusal.fence)
        if kind == "raise":
            raise value
        return value


class _Port:
    """Has the methods of a port; the process that started this one does what they say."""

    def __init__(self, link: Link, name: str, port: type) -> None:
        for method in vars(port):
            if not method.startswith("_") and method != "close":
                setattr(self, method, partial(link.ask, name, method))


class _ToStarter(logging.Handler):
    """Sends each record to the process that started this one."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def emit(self, record: logging.LogRecord) -> None:
        """Send what the record says."""
        try:
            trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else None
            self._link.send("log", record.name, record.levelno, record.getMessage(), trace)
        except Exception:  # as every handler does: what cannot be logged stops nothing
            self.handleError(record)


def _trace_of(headers: Mapping[str, str]) -> AbstractContextManager[None]:
    """The trace of a call. Imported by whoever has one: that takes a third of the time in which a process starts."""
    if not headers:
        return nullcontext()
    from phasegate import telemetry

    return telemetry.incoming(headers)


def _plain(value: Any) -> Any:
    """Views and generators as what can be sent."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Iterable) and not isinstance(value, Sequence) else value


def _kill() -> None:
    """End this process, and with it whatever a worker has started from it."""
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Serve the connection whose descriptor is the first argument; the second names the worker, for lists of
    processes."""
    connection = Connection(int(sys.argv[1]))
    os.set_inheritable(connection.fileno(), False)
    # A process that the worker forks must neither use the connection nor hold it open.
    os.register_at_fork(after_in_child=connection.close)
    faulthandler.enable()
    # A service manager tells every process to end; when this one does is for the process that started it to say.
    signal.signal(signal.SIGTERM, lambda *_: None)
    for stream in (sys.stdout, sys.stderr):
        # Nobody has replaced it yet: the process has just begun.
        cast(io.TextIOWrapper, stream).reconfigure(line_buffering=True, errors="backslashreplace")
    link = Link(connection)
    # Not the main thread, as in the process that drives a run: what a worker may do is the same in both.
    threading.Thread(target=link.work, name="phasegate-call", daemon=True).start()
    link.read()


if __name__ == "__main__":
    main()
