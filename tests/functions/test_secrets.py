"""Two tokens are planted, one of them in the form that Google's have: neither is found in anything that stays."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate import telemetry
from phasegate.adapters.gcp.http.worker import HttpWorker
from phasegate.bootstrap import Embedded
from phasegate.domain.errors import InputError
from phasegate.domain.state.run import RunStatus
from phasegate.ports import ObjectStore, Warehouse
from phasegate.report.verifier import verify_run
from phasegate.report.verify.compose import VerifierInputs
from tests.contract.test_http_worker import Service
from tests.world import World, WorldWorker

OPAQUE = "planted-0123456789-abcdefghijklmnop"
LIKE_GOOGLES = "eyJhbGciOiJSUzI1NiJ9.eyJwbGFudGVkIjoidHJ1ZSJ9.cGxhbnRlZA"

SHOWN = {
    "a": (500, "application/json", '{{"message": "failed; request headers: Authorization: Bearer {0}"}}'),
    "b": (401, "text/html", "<html><pre>Authorization: Bearer {0}\nCookie: token={1}</pre></html>"),
}
"""What the worker says of each processor: {0} is the token that it was sent, {1} another one."""


class Leaky(WorldWorker):
    """The world's worker; what it fetches it asks of a service that shows the whole request when it fails."""

    url = ""

    def __init__(self, source: Path, warehouse: Warehouse, objects: ObjectStore) -> None:
        super().__init__(source, warehouse, objects)
        self._service = HttpWorker(self.url, token=lambda audience: OPAQUE)

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """See the worker."""
        if body["phase"] != "fetch":
            return super().handle(path, body)
        deadline = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()
        return self._service.handle(f"/{body['processor']}", {**body, "deadline": deadline})


def build(source: Path, warehouse: Warehouse, objects: ObjectStore) -> Leaky:
    """The factory that the pipeline below names."""
    return Leaky(source, warehouse, objects)


def everything_kept(world: World, embedded: Embedded) -> str:
    """The text of state, history, objects and reports."""
    tables = [name for (name,) in embedded.database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    state = [embedded.database.execute(f"SELECT * FROM {table}").fetchall() for table in tables]
    history = list(embedded.warehouse.query("SELECT * FROM `ref.history`"))
    files = [p.read_text(errors="replace") for p in world.home.root.rglob("*") if p.suffix in {".json", ".md", ".html"}]
    return "\n".join(map(str, [state, history, *files]))


def test_a_token_that_a_worker_shows_is_in_no_state_log_or_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    service = Service()
    monkeypatch.setattr(Leaky, "url", service.url)
    handlers = logging.getLogger().handlers[:]
    telemetry.configure("runner")
    try:
        world = World(tmp_path, dates=2, change=lambda d: d["workers"]["world"].update(factory=f"{__name__}:build"))

        def answer() -> Any:
            path, headers, _ = service.seen[-1]
            status, kind, text = SHOWN[path.strip("/")]
            sent = headers["Authorization"].removeprefix("Bearer ")
            return text.format(sent, LIKE_GOOGLES), status, {"Content-Type": kind}

        service.answer = answer
        with world.open() as embedded:
            world.begin(embedded)
            board = embedded.drive("r")
            assert board.status is RunStatus.COMPLETED_WITH_FAILURES
            backend = embedded.engine("r")._handlers.backend  # type: ignore[attr-defined]
            listener = embedded.engine("r")._handlers  # type: ignore[attr-defined]
            listener.listen([json.dumps({"run_id": "r", "message": f"Bearer {LIKE_GOOGLES}"})])
            ground = VerifierInputs(backend.state, backend.warehouse, backend.objects, is_cloud=False)
            verify_run(ground, backend.objects, backend.clock, "r")
            logging.getLogger("a.library").warning("sent Authorization: Bearer %s", LIKE_GOOGLES)
            kept = everything_kept(world, embedded)
        logged = capsys.readouterr().out
        assert OPAQUE in {headers["Authorization"].removeprefix("Bearer ") for _, headers, _ in service.seen}
        assert "request headers" in kept and "request headers" in logged, "the rest of the message is there"
        assert "a.library" in logged
        for token in (OPAQUE, LIKE_GOOGLES):
            assert (token in kept, token in logged) == (False, False)
    finally:
        service.close()
        logging.getLogger().handlers[:] = handlers


def test_a_worker_url_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(InputError) as refused:
        HttpWorker(f"https://user:{OPAQUE}@worker.example")
    assert OPAQUE not in str(refused.value)
