"""Keeps what could not be applied: never counted, always visible."""

import hashlib
import logging

from shared.ports import QuarantineRecord
from shared.services.backend import Backend

EVENT_KEPT = 100_000
"""Characters of an event that are kept: a document holds at most 1 MiB (Firestore quotas)."""

_log = logging.getLogger(__name__)


def set_aside(backend: Backend, message: str, run_id: str | None, reason: str) -> str:
    """Keep an event with the reason, and return its id; the same event with the same reason is kept once.

    run_id: whose it is; None: of no known run.
    """
    digest = hashlib.sha256(f"{reason}\x1f{message}".encode()).hexdigest()[:32]
    backend.state.quarantine([QuarantineRecord(digest, run_id, reason, message[:EVENT_KEPT], backend.clock.now())])
    _log.warning("set aside as %s: %s", digest, reason)
    return digest
