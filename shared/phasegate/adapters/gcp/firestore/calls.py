"""Every call of Firestore is tried for the same time, and its errors mean the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from google.api_core.exceptions import (
    GoogleAPICallError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RetryError,
    Unauthenticated,
)
from google.protobuf.timestamp_pb2 import Timestamp

from phasegate.adapters.gcp.retries import retry_within
from phasegate.domain.errors import HaltError, TransientError

CALL: dict[str, Any] = {
    "retry": retry_within(30.0),
    "timeout": 15.0,
}
"""For every call: one try takes at most 15 s, and no further one, with jitter, begins after half a minute."""


@contextmanager
def errors_explained() -> Iterator[None]:
    """Raises HaltError where a person has to grant something, TransientError for whatever else Firestore refuses."""
    try:
        yield
    except (PermissionDenied, Unauthenticated) as error:
        raise HaltError(f"Firestore refuses this identity: {error.message}; grant it roles/datastore.user") from error
    except (InvalidArgument, NotFound) as error:
        raise HaltError(f"Firestore refuses this for good: {error.message}; see its database and the run") from error
    except (GoogleAPICallError, RetryError) as error:
        raise TransientError(f"Firestore could not be read or written: {error}") from error


def timestamp(nanoseconds: int) -> Timestamp:
    """Return an update time for a precondition, from nanoseconds since 1970."""
    seconds, nanos = divmod(nanoseconds, 1_000_000_000)
    return Timestamp(seconds=seconds, nanos=nanos)
