"""Pub/Sub at its worst: every push comes three times, in no order."""

import queue
import random
import threading
import time

import requests
from flask import Flask, request
from werkzeug.serving import make_server


class Scrambler:
    """Stands between Pub/Sub and the listener: takes every push, passes each on three times, in an order of its own."""

    def __init__(self, target: str, seed: int) -> None:
        self._target, self._random = target, random.Random(seed)
        self._waiting: queue.SimpleQueue[tuple[str, bytes, dict[str, str]] | None] = queue.SimpleQueue()
        self.taken = self.delivered = 0
        app = Flask("scrambler")
        app.add_url_rule("/<path:path>", view_func=self._take, methods=["POST"])
        app.add_url_rule("/<path:path>", view_func=self._ask, methods=["GET"], endpoint="ask")
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._pump = threading.Thread(target=self._pass_on)

    def _take(self, path: str) -> tuple[str, int]:
        self.taken += 1
        self._waiting.put((path, request.get_data(), {"Content-Type": request.headers["Content-Type"]}))
        return "", 204

    def _ask(self, path: str) -> tuple[str, int]:
        """Preflight asks whether it is the function that should be there."""
        answer = requests.get(f"{self._target}/{path}", timeout=60)
        return answer.text, answer.status_code

    def _pass_on(self) -> None:
        held: list[tuple[str, bytes, dict[str, str]]] = []
        is_open = True
        while is_open or held:
            try:
                while is_open and len(held) < 12:
                    taken = self._waiting.get(timeout=0.2)
                    is_open = taken is not None
                    held += [taken] * 3 if taken else []
            except queue.Empty:
                pass
            if held:
                message = held.pop(self._random.randrange(len(held)))
                if self._is_delivered(*message):
                    self.delivered += 1
                else:
                    held.append(message)
                    time.sleep(0.05)

    def _is_delivered(self, path: str, body: bytes, headers: dict[str, str]) -> bool:
        """Pass one on, as Pub/Sub does: not while nobody answers, or the answer is that something is wrong there."""
        try:
            answer = requests.post(f"{self._target}/{path}", data=body, headers=headers, timeout=60)
        except requests.ConnectionError:
            return False
        assert answer.status_code < 300 or answer.status_code >= 500, answer.text
        return answer.status_code < 300

    def __enter__(self) -> "Scrambler":
        """Begin."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._pump.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Pass on what is held, and end."""
        self._waiting.put(None)
        self._pump.join()
        self._server.shutdown()
