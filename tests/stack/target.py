"""The other end of a delivery: a Cloud Tasks server, and an HTTP server that answers as a test says."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import grpc
from google.cloud.tasks_v2 import CloudTasksClient
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from phasegate.stack.emulators import CLOUD_TASKS, HOST, Server, free_port, start_emulator

PATIENCE_SECONDS = 25.0
"""How long a test waits for what must come; what may not come is never waited for."""

Found = TypeVar("Found")


def until(look: Callable[[], Found]) -> Found:
    """What ``look`` returns as soon as it is true."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.005)
    return found


@dataclass(frozen=True)
class Delivery:
    """One request as it came."""

    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Answer:
    """What a request is answered. status None: the connection breaks after the work is done.

    after: the answer waits for it.
    """

    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    after: threading.Event | None = None


class Target:
    """A handler of tasks. ``answers`` of a path are given one by one, then ``usual`` (200 unless set)."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._came: dict[str, list[Delivery]] = {}
        self._busy: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self.answers: dict[str, deque[Answer]] = {}
        self.usual: dict[str, Answer] = {}

    def url(self, path: str) -> str:
        """Where a task of the path is to be sent."""
        return f"http://{HOST}:{self._server.server_port}/{path}"

    def will_answer(self, path: str, *answers: Answer | int) -> None:
        """The next answers of a path."""
        self.answers[path] = deque(Answer(a) if isinstance(a, int) else a for a in answers)

    def came(self, path: str) -> list[Delivery]:
        """What has come so far."""
        return list(self._came.get(path, []))

    def wait_for(self, path: str, count: int = 1) -> list[Delivery]:
        """What has come, when it is so many."""
        return until(lambda: found if len(found := self.came(path)) >= count else [])

    def enter(self, path: str, delivery: Delivery) -> Answer:
        """A request came: how it is to be answered."""
        with self._lock:
            self._busy[path] += 1
            self.peak[path] = max(self.peak[path], self._busy[path])
            self._came.setdefault(path, []).append(delivery)
            waiting = self.answers.get(path)
            return waiting.popleft() if waiting else self.usual.get(path, Answer())

    def leave(self, path: str) -> None:
        """The request is about to be answered."""
        with self._lock:
            self._busy[path] -= 1


@contextmanager
def serving() -> Iterator[Target]:
    """A target while it is needed."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            path = self.path.lstrip("/")
            answer = target.enter(path, Delivery(dict(self.headers.items()), body))
            if answer.after is not None:
                answer.after.wait(PATIENCE_SECONDS)
            target.leave(path)
            if answer.status is None:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        do_POST = _handle  # noqa: N815 - the name that the base class looks for

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except (ConnectionResetError, BrokenPipeError):
                """The sender did not wait for the answer."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    target = Target(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield target
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class TasksServer:
    """A Cloud Tasks server and its ports."""

    process: Server
    rest_port: int

    @contextmanager
    def client(self) -> Iterator[CloudTasksClient]:
        """Google's own client."""
        with grpc.insecure_channel(f"{HOST}:{self.process.port}") as channel:
            yield CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))


@contextmanager
def cloud_tasks(folder: Path) -> Iterator[TasksServer]:
    """A Cloud Tasks server whose state lies in a folder."""
    rest_port = free_port()
    process = start_emulator(CLOUD_TASKS, folder, second_port=rest_port)
    try:
        process.wait_until_ready()
        yield TasksServer(process, rest_port)
    finally:
        process.stop()
