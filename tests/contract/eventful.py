"""A small run over Firestore in which everything that a document may hold comes about."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import TransientError
from phasegate.domain.protocol.names import COMPLETIONS
from phasegate.domain.state.run import DesiredState, RunStatus
from phasegate.ports import ClaimRequest
from phasegate.report.verifier import verify_run
from phasegate.report.verify.compose import VerifierInputs
from phasegate.services.operating import operators
from phasegate.services.operating.decisions import approve, waive
from phasegate.telemetry import note_read
from tests.catalogue.cloud import CloudWorld

LOST, PAUSING = "fetch/b", "shape/left"
"""Whose completion is lost, and during whose claim a person pauses the run."""

Document = dict[str, Any]


def shared_with_live(document: Document) -> None:
    """Another system writes ``raw.b`` too, two dates that fail alike circuit breaker it, a person lets ``final``
    go, and dates are fetched together."""
    document["workers"]["world"]["batches"] = "list"
    document["phases"][0]["dispatch"]["batch"] = {"dates": 2}
    document["phases"][3]["gates"].append({"check": "approval"})
    document["phases"][1].setdefault("failure", {})["brake"] = 2
    document["phases"][1]["processors"][1]["output"]["other_writer"] = "the live pipeline"


class EventfulRun:
    """The run ``r`` over the second and third date of the world. ``documents``: all that was seen, by kind.

    A worker fails, one is refused, for all dates of a call and for one, one fails on every date, and one lies, a table
    has another writer, a completion is lost, a table cannot be asked for a moment, what the run reads from outside is
    missing, a person pauses, sets a limit, waives a check, lets a phase go and asks for a retry, and an event is
    malformed.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.documents: dict[str, list[Document]] = {}
        self._once: set[str] = set()
        with CloudWorld(folder, patch, dates=3, change=shared_with_live) as self.cloud:
            self._spoil(patch)
            self.cloud.begin(Selection(dates=tuple(self.cloud.days[1:])))
            limits = {"fetch": 2}
            self.cloud.state.change_run("r", lambda run: run.model_copy(update={"active_dates": limits}))
            malformed = f'{{"run_id": "r", "processor": "p9_nobody", "message": "{"x" * 2000}"}}'
            self.cloud.backend.events.publish(COMPLETIONS, [malformed])
            self._drive()
            clock = self.cloud.world.clock
            self._decide()
            operators.retry(
                self.cloud.state, clock, "r", dates=(), phase=None, processor=None, signature=None, why="once more"
            )
            self._drive()
            ground = VerifierInputs(self.cloud.state, self.cloud.warehouse, self.cloud.objects, is_cloud=True)
            verify_run(ground, self.cloud.objects, clock, "r")
            self._see_all()
            self.cloud.state.forget_run("r", clock.now())
            self._see("forgotten/{run}", self._documents("forgotten"))
            self.collections |= {found.id for found in self.cloud.state._client.collections()}

    def _decide(self) -> None:
        """A person lets a phase go, and a check pass if it should block."""
        state, clock = self.cloud.state, self.cloud.world.clock
        approve(state, clock, "r", "final", by="ann", why="looked at the tables")
        scope: dict[str, Any] = {"dates": self.cloud.days[1:2], "check": "rows", "phase": "raw", "processor": "b"}
        waive(state, clock, "r", until="2026-02-01", by="ann", why="the source has no more", **scope)

    def _spoil(self, patch: pytest.MonkeyPatch) -> None:
        cloud = self.cloud
        acts = {"raw__a__1": ["fail:transient"], "raw__b__1": ["lie", "fail:bug"], "raw__b__2": ["fail:bug"]}
        cloud.world.misbehave(**acts, fetch__a__1=["status:403", "status:403"])
        publish, ask, claim = cloud.publisher.publish, cloud.warehouse.ask, cloud.state.claim

        def losing(path: str, data: bytes, **more: object) -> Any:
            phase, processor = LOST.split("/")
            if f'"phase":"{phase}","processor":"{processor}"'.encode() in data and self._first("lost"):
                data = b"{}"
            return publish(path, data, **more)

        def failing(questions: Any) -> Any:
            is_away = any("raw.a" in sql for sql, _ in questions) and self._first("away")
            if is_away:
                return [TransientError("quota exceeded")] * len(questions)
            for _ in questions:
                note_read(10_000_000)
            return ask(questions)

        def pausing(run_id: str, requests: list[ClaimRequest], now: Any) -> Any:
            claims = claim(run_id, requests, now)
            if any(request.key.ref == PAUSING for request in requests) and self._first("paused"):
                operators.pause(cloud.state, run_id)
            return claims

        patch.setattr(cloud.publisher, "publish", losing)
        patch.setattr(cloud.warehouse, "ask", failing)
        patch.setattr(cloud.state, "claim", pausing)

    def _first(self, what: str) -> bool:
        is_first = what not in self._once
        self._once.add(what)
        return is_first

    def _drive(self) -> None:
        found = self.cloud.drive(timedelta(minutes=20), stop=self._after_a_turn)
        assert found.status in (
            RunStatus.COMPLETED,
            RunStatus.COMPLETED_WITH_FAILURES,
            RunStatus.WAITING,
        ), found.status

    def _after_a_turn(self) -> bool:
        state = self.cloud.state
        if state.run("r").desired_state is DesiredState.PAUSED:
            operators.resume(state, "r")
            self.cloud.services.sweep("r")
        self._see("runs/{run}/board/0", self._documents("runs/r/board"))
        return False

    def _see_all(self) -> None:
        self._see("runs/{run}", self._documents("runs"))
        for kind in (
            "plan/{part}",
            "dates/{date}",
            "attempts/{attempt}",
            "heals/{heal}",
            "reads/0",
            "reports/{report}",
        ):
            self._see(f"runs/{{run}}/{kind}", self._documents(f"runs/r/{kind.partition('/')[0]}"))
        self._see("quarantine/{id}", self._documents("quarantine"))
        self._see("leases/{lease}", self._documents("leases"))
        client = self.cloud.state._client
        self.collections = {found.id for found in client.collections()}
        self.collections |= {found.id for found in client.document("runs/r").collections()}

    def _documents(self, collection: str) -> Iterator[Document]:
        for found in self.cloud.state._client.collection(collection).get():
            yield found.to_dict() or {}

    def _see(self, kind: str, documents: Iterator[Document]) -> None:
        self.documents.setdefault(kind, []).extend(documents)
