"""The worker's side of the protocol is what a processing service of one's own needs to take part in a backfill.

``WorkerService`` answers requests, ``check_fence`` keeps late writers off, ``heartbeat`` and ``completed_event`` are
for work that outlasts a request, ``has_passed`` for work in steps; ``lease`` keeps the other writer of a table, which
is no worker, and the backfill apart. docs/workers.md shows each.
"""

from phasegate.domain.errors import WouldEmpty
from phasegate.domain.protocol.worker import ErrorClass, ProcessorResult, ResultStatus, WorkerRequest
from phasegate.worker.events import completed_event, heartbeat
from phasegate.worker.fence import check_fence
from phasegate.worker.leases import lease
from phasegate.worker.ranges import RangeRequest
from phasegate.worker.service import Accepted, WorkerService, has_passed, kept_rows

__all__ = [
    "Accepted",
    "ErrorClass",
    "ProcessorResult",
    "RangeRequest",
    "ResultStatus",
    "WorkerRequest",
    "WorkerService",
    "WouldEmpty",
    "check_fence",
    "completed_event",
    "has_passed",
    "heartbeat",
    "kept_rows",
    "lease",
]
