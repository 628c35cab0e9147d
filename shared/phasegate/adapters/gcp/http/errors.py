"""An error of Google's HTTP clients (BigQuery, Cloud Storage) says whether to try again, or to mend something first."""

from typing import Any

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError, TransportError

HTTP_ERRORS = (GoogleAuthError, exceptions.GoogleAPIError, OSError)
"""What a call of these clients raises for reasons outside the program; the errors of ``requests`` are OSErrors."""

_TRANSIENT = (
    exceptions.ServerError,
    exceptions.TooManyRequests,
    exceptions.RetryError,
    TransportError,
    OSError,
)

_TRANSIENT_REASONS = frozenset(
    {
        "backendError",
        "badGateway",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "quotaExceeded",
        "rateLimitExceeded",
        "tableUnavailable",
        "userRateLimitExceeded",
    }
)
"""https://cloud.google.com/bigquery/docs/error-messages and …/storage/docs/json_api/v1/status-codes, read 2026."""


def is_transient(error: Exception) -> bool:
    """Whether a later try may mend it: a limit on calls, a failure on Google's side, a broken connection."""
    return isinstance(error, _TRANSIENT) or reason_of(error) in _TRANSIENT_REASONS


def reason_of(error: Exception) -> str:
    """Return the short reason that the service gives (``notFound``); empty when it gives none."""
    return str(_first_detail(error).get("reason", ""))


def message_of(error: Exception) -> str:
    """Return what the service says, on one line, without the request's address."""
    said = _first_detail(error).get("message") or getattr(error, "message", "") or str(error)
    return " ".join(str(said).split())


def _first_detail(error: Exception) -> dict[str, Any]:
    details = getattr(error, "errors", None)
    return details[0] if details and isinstance(details[0], dict) else {}
