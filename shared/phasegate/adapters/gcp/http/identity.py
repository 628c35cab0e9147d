"""A service on Cloud Run proves to another one who it is with an identity token."""

from threading import Lock
from typing import TYPE_CHECKING

from phasegate.domain.errors import TransientError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials


class IdentityTokens:
    """The tokens are those of the service account that this process runs as, one per audience, fetched anew shortly
    before they end.

    A token holds an hour; google-auth counts it as stale 3 minutes and 45 seconds before that. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._credentials: dict[str, Credentials] = {}

    def __call__(self, audience: str) -> str:
        """Return a token for the service at this URL. Raises TransientError, saying what is missing."""
        from google.auth.credentials import TokenState
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request
        from google.oauth2.id_token import fetch_id_token_credentials

        with self._lock:
            try:
                request = Request()
                if audience not in self._credentials:
                    found = fetch_id_token_credentials(audience, request)
                    self._credentials[audience] = found
                credentials = self._credentials[audience]
                if credentials.token_state is not TokenState.FRESH:
                    credentials.refresh(request)
            except (GoogleAuthError, ValueError) as error:
                problem = f"no identity token for {audience}: {type(error).__name__}: {error}"
                raise TransientError(f"{problem}; run as a service account, or unset PHASEGATE_INVOKER") from error
            return str(credentials.token)
