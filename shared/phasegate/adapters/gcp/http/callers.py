"""A function's callers are known by the identity token of their request, whose account must be one of those that may
call.
"""

import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from phasegate.domain.errors import TransientError

REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"
"""What stands for the signature in a token that Cloud Run has verified itself (service-to-service authentication)."""

ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})

Verify = Callable[[str, Sequence[str]], Mapping[str, Any]]
"""The claims of a token for one of the audiences, its signature and its end verified. Raises ValueError for any other,
TransientError where that cannot be found out."""

_log = logging.getLogger(__name__)


class Refused(Exception):
    """A request is refused when its account may not call. ``status`` is HTTP's: 401 nobody is named, 403 somebody else
    is.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Callers:
    """Callers are the accounts that may call one function.

    The first gate is IAM's, on the function. This is the second, for those whom the first lets through besides: owners
    and editors of a project may invoke every service in it.

    accounts: e-mail addresses of service accounts. audiences: the addresses of this function that a token may be made
    for, as they were configured: the ``Host`` of a request is what its sender chose. verify: with the default, by
    Google's certificates.
    """

    def __init__(self, accounts: Collection[str], audiences: Collection[str], verify: Verify | None = None) -> None:
        self._accounts, self._verify = frozenset(accounts), verify or _verified_by_google
        bare = [audience.rstrip("/") for audience in audiences]
        self._audiences = [*bare, *(f"{audience}/" for audience in bare)]

    def require(self, authorization: str) -> None:
        """Examine the ``Authorization`` header of a request.

        Raises Refused, and TransientError where it cannot be found out.
        """
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Refused(401, "an identity token is needed: Authorization: Bearer …")
        try:
            claims = _claims_of(token) if _was_verified_here(token) else self._verify(token, self._audiences)
        except ValueError as error:
            raise Refused(401, f"the identity token is not in order: {error}") from error
        if claims.get("aud") not in self._audiences:
            raise Refused(401, "the identity token is made for another service")
        account = str(claims.get("email", ""))
        if claims.get("iss") not in ISSUERS or claims.get("email_verified") is not True:
            raise Refused(401, "the identity token is not one of Google's, or names no verified account")
        if account not in self._accounts:
            _log.warning("refused a call of %s", account)
            raise Refused(403, f"{account or 'an account without a name'} may not call this function")


def _was_verified_here(token: str) -> bool:
    """Whether Cloud Run let the token through and took its signature: nothing is left to be verified."""
    return "K_SERVICE" in os.environ and token.rpartition(".")[2] == REMOVED


def _claims_of(token: str) -> Mapping[str, Any]:
    """The claims of a token, unverified. Raises ValueError for what is no token."""
    from google.auth.jwt import decode

    header, _, rest = token.partition(".")
    payload = rest.partition(".")[0]
    claims: Mapping[str, Any] = decode(f"{header}.{payload}.", verify=False)
    return claims


def _verified_by_google(token: str, audiences: Sequence[str]) -> Mapping[str, Any]:
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.auth.transport.requests import Request
    from google.oauth2.id_token import verify_oauth2_token

    try:
        claims: Mapping[str, Any] = verify_oauth2_token(token, Request(), list(audiences))
    except TransportError as error:
        raise TransientError(f"Google's certificates are out of reach: {error}") from error
    except GoogleAuthError as error:
        raise ValueError(str(error)) from error
    return claims
