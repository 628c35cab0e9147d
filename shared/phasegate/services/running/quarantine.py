"""The quarantine keeps what could not be applied: never counted, always visible."""

import hashlib
import json
import logging

from phasegate.domain.foreign_text import escaped, escaped_lines, kept
from phasegate.domain.redaction import redacted
from phasegate.ports import QuarantineRecord
from phasegate.services.backend import Backend

EVENT_KEPT = 100_000
"""Characters of an event that are kept: a document holds at most 1 MiB (Firestore quotas)."""

REASON_KEPT = 1_000
"""Characters of the reason, which may quote what somebody sent."""

_log = logging.getLogger(__name__)


def set_aside(backend: Backend, message: str, run_id: str | None, reason: str) -> str:
    """Keep an event, redacted, with the reason, and return its id; the same event with the same reason is kept once.

    run_id: whose it is; None: of no known run.
    """
    message, reason = escaped_lines(redacted(message))[:EVENT_KEPT], kept(reason, REASON_KEPT)
    digest = hashlib.sha256(f"{reason}\x1f{message}".encode()).hexdigest()[:32]
    whose = None if run_id is None else escaped(run_id)[:REASON_KEPT]
    backend.state.quarantine([QuarantineRecord(digest, whose, reason, message, backend.clock.now())])
    _log.warning("set aside as %s: %s", digest, reason)
    return digest


def claimed_run(message: str) -> str | None:
    """Return the run that a message says it belongs to, so that it is shown there; None when it names none."""
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return None
    run_id = value.get("run_id") if isinstance(value, dict) else None
    return run_id if isinstance(run_id, str) else None
