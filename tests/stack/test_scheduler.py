"""The process that stands in for Cloud Scheduler."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 20.0


class Sweeper(ThreadingHTTPServer):
    """Takes calls; answers each with the next of ``answers``, or 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: SimpleQueue[bytes] = SimpleQueue()
        self.answers: SimpleQueue[int] = SimpleQueue()


class _Handler(BaseHTTPRequestHandler):
    server: Sweeper

    def do_POST(self) -> None:
        self.server.calls.put(self.rfile.read(int(self.headers["Content-Length"])))
        status = 200 if self.server.answers.empty() else self.server.answers.get()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"as told")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def sweeper() -> Iterator[Sweeper]:
    with Sweeper() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def schedule(sweeper: Sweeper) -> Iterator[subprocess.Popen[str]]:
    url = f"http://127.0.0.1:{sweeper.server_port}/"
    command = [sys.executable, "-m", "phasegate.stack.scheduler", "--url", url, "--every", "0.05"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_the_sweeper_is_called_again_and_again_until_the_schedule_is_ended(
    sweeper: Sweeper, schedule: subprocess.Popen[str]
) -> None:
    assert [sweeper.calls.get(timeout=PATIENCE_SECONDS) for _ in range(3)] == [b"{}"] * 3
    schedule.terminate()
    assert schedule.wait(PATIENCE_SECONDS) == 0


def test_a_call_that_fails_is_written_down_and_the_next_is_made(
    sweeper: Sweeper, schedule: subprocess.Popen[str]
) -> None:
    sweeper.answers.put(503)
    assert [sweeper.calls.get(timeout=PATIENCE_SECONDS) for _ in range(2)] == [b"{}"] * 2
    schedule.terminate()
    assert "answered 503: as told" in schedule.communicate(timeout=PATIENCE_SECONDS)[1]
