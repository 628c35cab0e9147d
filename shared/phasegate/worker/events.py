"""A worker that answers 202 tells by events that it began, that it goes on, and how it ended.

They go to Phasegate's own topic, ``backfill-completions``; the service publishes them with its own client.
"""

import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

from phasegate import telemetry
from phasegate.domain.messages.completion import Completion
from phasegate.domain.protocol.worker import ProcessorResult, WorkerRequest

HEARTBEAT_SECONDS = 30.0

_LAST_BEAT_SECONDS = 5.0
"""The block's end waits so long for a beat that is being published."""

_log = logging.getLogger(__name__)

Publish = Callable[[str], object]
"""Publishes one message, JSON text, on ``backfill-completions``. What it returns (a future) is not looked at."""


def completed_event(
    request: WorkerRequest, result: ProcessorResult, started_at: datetime, code_version: str = ""
) -> Completion:
    """Make the event that ends the attempt; publish ``.model_dump_json()``. A second one for the same request is the
    same.

    started_at: when the work began, UTC, aware. code_version: of the service, for the history. What ``result`` says
    that its rows were made with travels with it.
    """
    return Completion(
        event_id=_identity(request),
        **_attempt(request),
        kind="completed",
        status=result.status,
        error_class=result.error_class,
        message=result.message[:2000],
        rows=result.rows,
        code_version=code_version,
        started_at=started_at,
        finished_at=datetime.now(UTC),
        trace=telemetry.current_trace(),
    ).with_made_with(result.made_with)


@contextmanager
def heartbeat(request: WorkerRequest, publish: Publish, every_seconds: float = HEARTBEAT_SECONDS) -> Iterator[None]:
    """Say that the work began, and then every so often that it goes on, until the block ends.

    A beat that cannot be published is logged and left out: the work itself does not fail by it.
    """
    started_at, done = datetime.now(UTC), threading.Event()

    def send(kind: Literal["started", "heartbeat"], number: int) -> None:
        event = Completion(
            event_id=f"{_identity(request)}/{kind}/{number}",
            **_attempt(request),
            kind=kind,
            started_at=started_at,
            finished_at=datetime.now(UTC),
            trace=telemetry.current_trace(),
        )
        try:
            publish(event.model_dump_json())
        except Exception:
            _log.warning("%s %d was not published", kind, number, exc_info=True)

    def beat() -> None:
        number = 0
        while not done.wait(every_seconds):
            number += 1
            send("heartbeat", number)

    send("started", 0)
    thread = threading.Thread(target=contextvars.copy_context().run, args=(beat,), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(_LAST_BEAT_SECONDS)


def _identity(request: WorkerRequest) -> str:
    """The same as in the runner's own events, so that either's report of one end is a duplicate of the other's."""
    return "/".join(map(str, _attempt(request).values()))


def _attempt(request: WorkerRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in ("run_id", "date", "phase", "processor", "attempt", "fence")}
