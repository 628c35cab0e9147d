"""Leases lie in Firestore as ``leases/{table}~{date}``, and belong to no run."""

import logging
import uuid
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import AlreadyExists, FailedPrecondition, NotFound

from phasegate.adapters.gcp.firestore.calls import CALL, errors_explained, timestamp
from phasegate.adapters.gcp.firestore.documents import fence_of, plain
from phasegate.adapters.state_codec import Document
from phasegate.domain.errors import TransientError
from phasegate.domain.state.lease import Held, Lease, check_holder, is_held

if TYPE_CHECKING:
    from google.cloud.firestore import Client, DocumentReference, DocumentSnapshot

TRIES = 3
"""Who loses a race finds the winner at the next read; only a winner who has given it back already costs another."""

_log = logging.getLogger(__name__)


class FirestoreLeases:
    """This is the ``Leases`` port over Firestore. Thread-safe. Costs a read and a write to take, a write to give back.

    The document stays when the lease is given back. Its update time is the fence: it rises with every change and can be
    compared with that of any other document (Firestore API, ``Document.update_time``), also with a claim's. A write
    that changes nothing would leave it as it is: ``taking``, new each time, makes every taking a change, and
    lets a taking whose answer was lost on the way be recognised.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client

    def take(self, table: str, day: date, holder: str, until: datetime, now: datetime) -> Lease | Held:
        """See the port."""
        check_holder(holder, until, now)
        reference, taking = self._document(table, day), uuid.uuid4().hex
        document = {
            "table": table,
            "date": day.isoformat(),
            "holder": holder,
            "until": until,
            "taken_at": now,
            "taking": taking,
        }
        with errors_explained():
            for _ in range(TRIES):
                found = reference.get(**CALL)
                there = plain(found.to_dict() or {})
                if found.exists and is_held(there["holder"], there["until"], now):
                    return Held(table, day, there["holder"], there["until"])
                try:
                    changed = self._write(reference, found, document)
                except (AlreadyExists, FailedPrecondition):
                    # Perhaps by this very call, whose first answer was lost on the way.
                    again = reference.get(**CALL)
                    if not again.exists or again.get("taking") != taking:
                        continue
                    changed = again.update_time
                return Lease(table, day, holder, fence_of(changed), until, taking)
        raise TransientError(f"the lease on {table} of {day} is taken and given back all the time; try again")

    def _write(self, reference: "DocumentReference", found: "DocumentSnapshot[Any]", document: Document) -> datetime:
        if not found.exists:
            written = reference.create(document, **CALL)
        else:
            unchanged = self._client.write_option(last_update_time=found.update_time)
            written = reference.update(document, option=unchanged, **CALL)
        return written.update_time  # type: ignore[return-value]  # typed as protobuf's

    def extend(self, table: str, day: date, holder: str, until: datetime) -> bool:
        """See the port. ``taking`` stays: it is the same taking, whose end the update time does not tell any more."""
        reference = self._document(table, day)
        with errors_explained():
            for _ in range(TRIES):
                found = reference.get(**CALL)
                if not found.exists or found.get("holder") != holder:
                    return False
                unchanged = self._client.write_option(last_update_time=found.update_time)
                try:
                    reference.update({"until": until}, option=unchanged, **CALL)
                except (FailedPrecondition, NotFound):
                    continue
                return True
        return False

    def give_back(self, lease: Lease) -> None:
        """See the port. One write: the fence says which taking it ends, or ``taking`` when that was prolonged."""
        reference = self._document(lease.table, lease.day)
        unchanged = self._client.write_option(last_update_time=timestamp(lease.fence * 1000))
        try:
            with errors_explained():
                for _ in range(TRIES):
                    try:
                        reference.update({"holder": ""}, option=unchanged, **CALL)
                    except (FailedPrecondition, NotFound):
                        found = reference.get(**CALL)
                        if not found.exists or found.get("taking") != lease.taking or not found.get("holder"):
                            return
                        unchanged = self._client.write_option(last_update_time=found.update_time)
                    else:
                        return
        except TransientError as error:
            _log.warning("the lease on %s of %s runs out at %s: %s", lease.table, lease.day, lease.until, error)

    def _document(self, table: str, day: date) -> "DocumentReference":
        found: DocumentReference = self._client.collection("leases").document(f"{table}~{day}")
        return found
