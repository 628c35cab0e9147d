"""The worker's side of the protocol: what a processing service of one's own needs to take part in a backfill.

``WorkerService`` answers requests, ``check_fence`` keeps late writers off, ``heartbeat`` and ``completed_event`` are
for work that outlasts a request, ``has_passed`` for work in steps; ``lease`` keeps the other writer of a table, which
is no worker, and the backfill apart. docs/workers.md shows each.
"""

from shared.worker.events import completed_event, heartbeat
from shared.worker.fence import check_fence
from shared.worker.leases import lease
from shared.worker.ranges import RangeRequest
from shared.worker.service import Accepted, WorkerService, has_passed

__all__ = [
    "Accepted",
    "RangeRequest",
    "WorkerService",
    "check_fence",
    "completed_event",
    "has_passed",
    "heartbeat",
    "lease",
]
