"""A worker may have processes of its own, where a deadline kills it and a crash ends nothing else.

Warehouse and objects stay in this process, as only one may open the warehouse. ``worker_process.py`` is what the others
run.
"""

import contextvars
import io
import json
import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NamedTuple

from phasegate import telemetry
from phasegate.adapters.embedded.in_process import bug
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.embedded.worker_process import GRACE_SECONDS
from phasegate.domain import errors
from phasegate.domain.errors import InputError, PhasegateError, TransientError
from phasegate.domain.foreign_text import escaped, told
from phasegate.domain.protocol.worker import Offered, Said, read_offered, read_said
from phasegate.ports import Clock, ObjectStore

START_SECONDS = 300.0
"""Before a run is driven, a worker may be made and prepared for so long, each: as ``/prepare`` may take over HTTP."""

KILLED_WITHIN = timedelta(seconds=5)
"""A call has ended so long after its deadline: its process is killed, and the statement that it waited for, too."""

_MAIN = Path(__file__).with_name("worker_process.py")

_CHUNK = 64 * 1024
_MOST_LEFT = 1024 * 1024

_PLAIN = frozenset(
    {
        ("builtins", "bytearray"),
        ("datetime", "date"),
        ("datetime", "datetime"),
        ("datetime", "time"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("decimal", "Decimal"),
        ("uuid", "UUID"),
        ("phasegate.ports.warehouse", "Partition"),
        ("phasegate.ports.warehouse", "Partitions"),
    }
)
"""Types that a worker may give to warehouse and objects, beside text, numbers, bytes, lists and dictionaries."""


class _Plain(pickle.Unpickler):
    """Reads plain values and refuses all else: no code of a worker runs in this process."""

    def find_class(self, module: str, name: str) -> Any:
        """See the base class."""
        if (module, name) in _PLAIN:
            return super().find_class(module, name)
        raise InputError(
            f"a {module}.{name} cannot leave the worker's process; give text, a number, bytes, a date or time, a "
            "Decimal, a UUID, or lists and dictionaries of these"
        )


def _read(content: bytes) -> Any:
    return _Plain(io.BytesIO(content)).load()


class WorkerSource(NamedTuple):
    """The source of a worker is what each of its processes makes it from."""

    name: str
    """Its name in the pipeline file."""
    factory: str
    """``module:callable``."""
    pipeline_file: Path | None
    """Where the pipeline was read; the factory lies beside it."""
    source: Path | None
    """The source folder."""


class _Process:
    """A process answers one call at a time. A thread here does what it asks of the ports meanwhile, and hears its log
    lines and its output.
    """

    def __init__(
        self, made_from: WorkerSource, is_prepared: bool, warehouse: DuckDbWarehouse, objects: ObjectStore
    ) -> None:
        self._name, self._warehouse = made_from.name, warehouse
        self._ports: Mapping[str, object] = {"warehouse": warehouse, "objects": objects}
        self._sending = threading.Lock()
        self._answers: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self._context = contextvars.copy_context()
        self.is_ready = False
        """Its worker is made."""
        self.has_answered = threading.Event()
        """It has answered something, or has ended."""
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", str(_MAIN), str(theirs.fileno()), self._name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                # Ctrl-C is not for it, and it can be killed with all that its worker started.
                start_new_session=True,
            )
        self._serving = threading.Thread(target=self._serve, name=f"phasegate-worker-{self._name}", daemon=True)
        self._serving.start()
        self.send("make", *made_from, is_prepared, logging.getLogger().level)

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing can be sent to it any more."""
        return not self._serving.is_alive()

    def send(self, *message: Any) -> None:
        """Send a message. Where nobody takes it, ``answer`` tells."""
        self._context = contextvars.copy_context()
        self._send(message)

    def _send(self, message: tuple[Any, ...] | None) -> None:
        with suppress(OSError), self._sending:
            self._connection.send(message)

    def answer(self, seconds: float) -> tuple[Any, ...] | None:
        """Return the answer to what was sent; None: the process has ended. Raises queue.Empty when the time is over."""
        return self._answers.get(timeout=max(0.0, seconds))

    def kill(self) -> str:
        """End it at once, if it has not ended, and the statement that it waits for. Returns how it ended."""
        if self._process.returncode is None:
            # Also what has ended by itself: it may have left processes of its own behind.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        status = self._process.wait()
        while self._serving.is_alive():
            if self._serving.ident is not None:
                self._warehouse.interrupt(self._serving.ident)
            self._serving.join(0.02)
        if status >= 0:
            return f"with status {status}"
        short = ", as the kernel does when memory is short" if status == -signal.SIGKILL else ""
        return f"by {signal.Signals(-status).name}{short}"

    def ask_to_end(self) -> None:
        """Let it end by itself, now that nothing is to be done."""
        self._send(None)

    def end(self, seconds: float) -> None:
        """Return when it has ended, by itself or, so many seconds later, by force."""
        self._serving.join(max(0.0, seconds))
        self.kill()

    def _serve(self) -> None:
        try:
            self._hear()
        finally:
            with self._sending:  # Nobody writes to a descriptor that is another one's by then.
                self._connection.close()
            self._put(None)

    def _hear(self) -> None:
        output = self._process.stdout
        assert output is not None  # noqa: S101 - it is a pipe
        rest = b""
        heard: list[Any] = [self._connection, output]
        with output:
            with suppress(EOFError, OSError):
                while True:
                    for ready in wait(heard):
                        if ready is self._connection:
                            self._take(self._connection.recv_bytes())
                        elif chunk := os.read(output.fileno(), _CHUNK):
                            rest = self._log_output(rest + chunk)
                        else:
                            heard.remove(output)
            # What it wrote last is in the pipe, which others may hold open whom it has started.
            os.set_blocking(output.fileno(), False)
            with suppress(BlockingIOError):
                rest = self._log_output(rest + os.read(output.fileno(), _MOST_LEFT))
        self._log_output(rest + b"\n" if rest else b"")

    def _put(self, answer: tuple[Any, ...] | None) -> None:
        self._answers.put(answer)
        self.has_answered.set()

    def _log_output(self, written: bytes) -> bytes:
        """Log what was printed, a record a line; what is left is the begin of a line."""
        *lines, rest = written.split(b"\n")
        if len(rest) > _CHUNK:
            lines, rest = [*lines, rest], b""
        for line in lines:
            self._log(f"worker.{self._name}", logging.WARNING, escaped(line.decode(errors="replace")), None)
        return rest

    def _take(self, message: bytes) -> None:
        try:
            kind, *content = _read(message)
        except Exception as error:  # A text of a log line is of a type of the worker's own.
            self._log(f"worker.{self._name}", logging.WARNING, f"a log line cannot be read: {told(error)}", None)
            return
        if kind == "ask":
            self._send(self._asked(*content))
        elif kind == "log":
            self._log(*content)
        else:
            self._put((kind, *content))

    def _asked(self, port: str, method: str, content: bytes) -> tuple[str, Any]:
        try:
            given, named = _read(content)
            return "result", getattr(self._ports[port], method)(*given, **named)
        except Exception as error:
            return "raise", _portable(error)

    def _log(self, name: str, level: int, message: str, trace: str | None) -> None:
        """Log a line of the process, with the trace and the fields of the call that it answers."""
        logger = logging.getLogger(name)
        if logger.isEnabledFor(level):
            said = {"name": name, "levelno": level, "levelname": logging.getLevelName(level)}
            record = logging.makeLogRecord({**said, "msg": message, "exc_text": trace})
            self._context.run(logger.handle, record)


class ProcessWorker:
    """This is the ``Worker`` port over processes that each make the worker anew. Thread-safe: a call has a process to
    itself until it has ended; one is started when none is idle, so that there are as many as there were calls at once.

    clock: of the deadlines in requests. Close it when no call is made any more.
    """

    def __init__(self, made_from: WorkerSource, warehouse: DuckDbWarehouse, objects: ObjectStore, clock: Clock) -> None:
        self._made_from, self._warehouse, self._objects, self._clock = made_from, warehouse, objects, clock
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._is_prepared = False

    def make(self) -> None:
        """Start the first process. Raises InputError when the worker cannot be made in it."""
        with self._in_words():
            process = self._lent()
            self._wait_for_start(process, START_SECONDS)
        self._idle.append(process)

    def prepare(self) -> None:
        """See the port. A process that is started later prepares its worker by itself, before its first call."""
        with self._in_words():
            process = self._lent()
            self._wait_for_start(process, START_SECONDS)
            process.send("prepare")
            self._answer(process, START_SECONDS)
        self._idle.append(process)
        self._is_prepared = True

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """See the port. Raises TransientError when the process was killed at the request's deadline, when it ended by
        itself, and when it was still starting at the deadline (it goes on with that, for the next call).
        """
        seconds = (datetime.fromisoformat(body["deadline"]) - self._clock.now()).total_seconds()
        if seconds <= 0:
            raise TransientError(f"the worker was not called: the deadline {body['deadline']} has passed")
        ends = time.monotonic() + seconds
        process = self._lent()
        try:
            self._wait_for_start(process, ends - time.monotonic())
        except InputError as error:
            raise TransientError(f"the worker could not be made anew: {error}") from error
        process.send("call", path, dict(body), telemetry.outgoing())
        _, status, content = self._answer(process, ends - time.monotonic())
        self._idle.append(process)
        try:
            return status, json.loads(content)
        except RecursionError as error:
            return bug(f"the worker's answer is no JSON: {told(error)}")

    def made_with(self) -> Said:
        """See the port."""
        return read_said(self._word("made_with"))

    def offered_batches(self) -> Offered | None:
        """Say what ``InProcessWorker.offered_batches`` says in the worker's process."""
        return read_offered(self._word("offered_batches"))

    def _word(self, method: str) -> object:
        """What a method of the ``InProcessWorker`` in a process returns."""
        with self._in_words():
            process = self._lent()
            self._wait_for_start(process, START_SECONDS)
            process.send("say", method)
            _, content = self._answer(process, START_SECONDS)
        self._idle.append(process)
        return json.loads(content)

    def close(self) -> None:
        """End all processes: what is idle by itself, anything else, and what takes too long, by force."""
        ending = list(self._all)
        for process in ending:
            process.ask_to_end()
        ends = time.monotonic() + GRACE_SECONDS
        for process in ending:
            process.end(ends - time.monotonic())
        self._all.clear()
        self._idle.clear()

    def _lent(self) -> _Process:
        """An idle process, or a new one."""
        while self._idle:
            with suppress(IndexError):  # Another thread was quicker.
                process = self._idle.pop()
                if not process.has_ended:
                    return process
                self._kill(process)
        try:
            process = _Process(self._made_from, self._is_prepared, self._warehouse, self._objects)
        except OSError as error:
            raise _Ended(f"no process can be started for the worker: {error}") from error
        self._all.add(process)
        return process

    def _wait_for_start(self, process: _Process, seconds: float) -> None:
        """Wait until the worker is made. Raises TransientError and what was raised there."""
        if process.is_ready:
            return
        if not process.has_answered.wait(seconds):
            self._idle.append(process)
            raise _Ended(f"the worker's process was not ready within {seconds:.0f} s")
        self._answer(process, seconds)
        process.is_ready = True

    def _answer(self, process: _Process, seconds: float) -> tuple[Any, ...]:
        """What a process answers. Raises _Ended when it was killed for want of an answer, or has ended, and what was
        raised there.
        """
        try:
            answer = process.answer(seconds)
        except queue.Empty:
            self._kill(process)
            raise _Ended("the worker did not answer by its deadline: its process was killed") from None
        if answer is None:
            raise _Ended(f"the worker's process ended {self._kill(process)}")
        if answer[0] != "failed":
            return answer
        if process.is_ready:
            self._idle.append(process)
        else:
            self._kill(process)
        _, kind, text = answer
        error: PhasegateError = getattr(errors, kind)(text)
        raise error

    def _kill(self, process: _Process) -> str:
        """End a process for good; how it ended."""
        self._all.discard(process)
        return process.kill()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """What ends a process before a run is driven is said of the worker, as what it raises there is."""
        try:
            yield
        except _Ended as error:
            raise InputError(f"worker '{self._made_from.name}': {error}") from error


class _Ended(TransientError):
    """A process ended before it had answered."""


def _portable(error: Exception) -> Exception:
    """The error, if it can be sent, else one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - written just now
    except Exception:  # a worker's own error class may do anything when it is written or read
        return TransientError(told(error))
    return error
