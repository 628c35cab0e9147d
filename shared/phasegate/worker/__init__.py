"""The worker's side of the protocol is what a processing service of one's own needs to take part in a backfill.

``WorkerService`` answers requests, ``hash_of_statement`` names what rows are made with, ``check_fence`` keeps late
writers off, ``heartbeat`` and ``completed_event`` are for work that outlasts a request, ``has_passed`` for work in
steps; ``lease`` keeps the other writer of a table, which is no worker, and the backfill apart. docs/workers.md shows
each.
"""

from phasegate.domain.errors import WouldEmpty
from phasegate.domain.protocol.worker import ErrorClass, ProcessorResult, ResultStatus, Said, WorkerRequest
from phasegate.worker.batches import BatchRequest, RequestedDate
from phasegate.worker.events import completed_event, heartbeat
from phasegate.worker.fence import check_fence
from phasegate.worker.leases import lease
from phasegate.worker.ranges import RangeRequest
from phasegate.worker.service import Accepted, WorkerService, has_passed, kept_rows
from phasegate.worker.statement import hash_of_statement

__all__ = [
    "Accepted",
    "BatchRequest",
    "ErrorClass",
    "ProcessorResult",
    "RangeRequest",
    "RequestedDate",
    "ResultStatus",
    "Said",
    "WorkerRequest",
    "WorkerService",
    "WouldEmpty",
    "check_fence",
    "completed_event",
    "has_passed",
    "hash_of_statement",
    "heartbeat",
    "kept_rows",
    "lease",
]
