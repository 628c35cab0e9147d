"""A service that answers ``GET /health``, as one that is deployed does."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from phasegate import __version__
from phasegate.stack.emulators import HOST


@contextmanager
def answering(
    service: str, version: str = __version__, status: int = 200, batches: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The URL of a service while it is needed. status: of every answer. batches: what it says of them, if anything."""
    says = {"service": service, "version": version} | ({} if batches is None else {"batches": batches})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(says).encode()
            self.send_response(status if self.path == "/health" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
