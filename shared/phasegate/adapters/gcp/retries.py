"""Calls to Google's gRPC services have one retry policy."""

from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type

_MENDED_BY_RETRY = if_exception_type(
    exceptions.ServiceUnavailable,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.TooManyRequests,
    exceptions.Aborted,
    exceptions.Unknown,
)


def retry_within(seconds: float) -> Retry:
    """Return the policy: tried again, with jitter, after waits from 0.1 s that double up to 5 s; no try begins after
    ``seconds``.
    """
    return Retry(predicate=_MENDED_BY_RETRY, initial=0.1, maximum=5.0, multiplier=2.0, timeout=seconds)
