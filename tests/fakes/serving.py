"""The user's services over real HTTP and Pub/Sub, as a process of its own beside a local stack.

``python -m tests.fakes.serving PORT FIRST_DAY DAYS ODDITIES``, in the stack's environment; ODDITIES: a JSON list of
[raw name, date, act].

``POST /SERVICE/PATH`` is a request to one of the services, ``POST /push/TOPIC`` a push of Pub/Sub, ``GET /cascade``
tells which dates the live cascade started analytics for.
"""

import base64
import json
import os
import sys
import threading
from collections.abc import Mapping
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from phasegate.adapters.embedded.clock import SystemClock
from phasegate.adapters.gcp.bigquery.warehouse import BigQueryWarehouse
from phasegate.adapters.gcp.clients import bigquery_client, storage_client
from phasegate.adapters.gcp.objects import GcsObjectStore
from phasegate.adapters.gcp.settings import CloudSettings
from tests.fakes.users_services import OWN_TOPICS, RAW_DONE, SCRAPED, Oddities, UsersServices

SOON_SECONDS = 0.5
"""The longest that a message is held back here: what takes a minute of theirs is not waited for."""


class PubSub:
    """Their topics in the stack's emulator."""

    def __init__(self, project: str) -> None:
        self._root = f"http://{os.environ['PUBSUB_EMULATOR_HOST']}/v1/projects/{project}"
        self._project = project

    def publish(self, topic: str, text: str, seconds: float) -> None:
        """Put a message on a topic."""
        body = {"messages": [{"data": base64.b64encode(text.encode()).decode()}]}
        url = f"{self._root}/topics/{topic}:publish"
        timer = threading.Timer(min(seconds, SOON_SECONDS), lambda: requests.post(url, json=body, timeout=10))
        timer.daemon = True
        timer.start()

    def make(self, port: int) -> None:
        """Make their topics, and their own subscriptions, pushed to this process."""
        for topic in OWN_TOPICS:
            requests.put(f"{self._root}/topics/{topic}", json={}, timeout=10)
        for topic in (SCRAPED, RAW_DONE):
            push = {"pushEndpoint": f"http://127.0.0.1:{port}/push/{topic}"}
            body = {"topic": f"projects/{self._project}/topics/{topic}", "ackDeadlineSeconds": 600, "pushConfig": push}
            requests.put(f"{self._root}/subscriptions/users-{topic}", json=body, timeout=10)


def handler(users: UsersServices) -> type[BaseHTTPRequestHandler]:
    """What answers requests and pushes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """The cascade."""
            self._answer(200, {"triggered": users.cascade.triggered, "heard": users.cascade.heard})

        def do_POST(self) -> None:
            """A request, or a push."""
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            first, _, rest = self.path.lstrip("/").partition("/")
            if first == "push":
                users.on_message(rest, base64.b64decode(body["message"]["data"]).decode())
                self._answer(200, {})
            else:
                self._answer(*users.handle(first, f"/{rest}", body))

        def _answer(self, status: int, body: Mapping[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler


def main(port: int, first: date, days: int, acts: list[tuple[str, str, str]]) -> None:
    """Serve until ended."""
    settings = CloudSettings.from_environment()
    warehouse = BigQueryWarehouse(bigquery_client(settings), settings, labels={"service": "users"})
    objects = GcsObjectStore(storage_client(settings), settings.bucket)
    pubsub = PubSub(settings.project)
    oddities = Oddities(raw={(name, date.fromisoformat(day)): [act] for name, day, act in acts})
    users = UsersServices(warehouse, objects, SystemClock(), pubsub.publish, oddities)
    users.prepare([first + timedelta(days=n) for n in range(days)])
    pubsub.make(port)
    ThreadingHTTPServer(("127.0.0.1", port), handler(users)).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), date.fromisoformat(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]))
