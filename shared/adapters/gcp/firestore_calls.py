"""What every call of Firestore has in common: how long it is tried, and what its errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core.exceptions import GoogleAPICallError, PermissionDenied, RetryError, Unauthenticated
from google.api_core.retry import Retry, if_transient_error
from google.protobuf.timestamp_pb2 import Timestamp

from shared.domain.errors import HaltError, TransientError

RETRY = Retry(predicate=if_transient_error, initial=0.1, maximum=5.0, multiplier=2.0, timeout=30.0)
"""For every call: what Google names transient, with jitter, for at most half a minute."""


@contextmanager
def errors_explained() -> Iterator[None]:
    """Raises HaltError where a person has to grant something, TransientError for whatever else Firestore refuses."""
    try:
        yield
    except (PermissionDenied, Unauthenticated) as error:
        raise HaltError(f"Firestore refuses this identity: {error.message}; grant it roles/datastore.user") from error
    except (GoogleAPICallError, RetryError) as error:
        raise TransientError(f"Firestore could not be read or written: {error}") from error


def timestamp(nanoseconds: int) -> Timestamp:
    """An update time for a precondition, from nanoseconds since 1970."""
    seconds, nanos = divmod(nanoseconds, 1_000_000_000)
    return Timestamp(seconds=seconds, nanos=nanos)
