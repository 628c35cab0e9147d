"""A worker behind HTTP is sent a request, waited for no longer than its deadline, and answers with status and JSON
body.
"""

import json
import re
import time
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, ReadTimeoutError

from phasegate import telemetry
from phasegate.adapters.gcp.http.clocked import ClockedAdapter
from phasegate.domain.decisions.answers import Several
from phasegate.domain.errors import InputError, NoAnswer, TransientError
from phasegate.domain.protocol.worker import NEWER_FIELDS, ErrorClass, Said, read_said
from phasegate.domain.redaction import REDACTED

CONNECT_SECONDS = 10.0
PREPARE_SECONDS = 300.0
"""Making tables and loading reference data takes a while; a function answers within 60 minutes (Cloud Run quotas)."""

HEALTH_SECONDS = 300.0
"""For so long what ``/health`` says of the protocol is believed: a newer worker is noticed within it."""

MAX_ANSWER_BYTES = 1_000_000
"""An answer holds results, not rows."""

MAX_CONNECTIONS = 100
"""Open to one worker at once: a runner instance takes no more requests (Cloud Run's concurrency is 80)."""

_BUFFER = 64 * 1024
_EXCERPT = 500
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Token = Callable[[str], str]
"""An identity token for an audience (``IdentityTokens``); raises TransientError."""


_OF_A_FRONT_END = frozenset({502, 504})
"""Statuses with which a front end gives a request up while the container may go on with it."""


class HttpWorker:
    """An HTTP worker is one processing service. Thread-safe. Each request has a connection of its own: one that is kept
    may be closed by the other side just when it is used again, and then nobody knows whether the worker has the
    request.

    url: ``https://service`` (or ``http://``, never with a token unless on this machine), to which the paths of the
    pipeline file are appended; it is also the audience of the token. token: None where the service takes requests from
    anybody who reaches it. Raises InputError for a URL that cannot be used.
    """

    def __init__(self, url: str, *, token: Token | None = None) -> None:
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            raise InputError(f"worker URL {url}: {error}; give https://host or http://host") from error
        if parts.username or parts.password:
            raise InputError(f"worker URL of {parts.hostname}: leave out user and password, messages would show them")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise InputError(f"worker URL {url}: give https://host or http://host, with no query and no fragment")
        if token and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise InputError(f"worker URL {url}: an identity token is sent over https only")
        self.url = url.rstrip("/")
        self._token = token
        self._minor, self._minor_until = 0, 0.0
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, ClockedAdapter(pool_connections=1, pool_maxsize=MAX_CONNECTIONS))

    def prepare(self) -> None:
        """Ask the worker to set up its tables; a worker without ``/prepare`` (404) needs none.

        Raises TransientError when a later try may help, else InputError.
        """
        status, body = self._post("/prepare", {}, PREPARE_SECONDS)
        if status == 404 or 200 <= status < 300:
            return
        problem = f"{self.url}/prepare answered {status}: {body.get('message', '')}"
        if status >= 500 or status == 429:
            raise TransientError(f"{problem}; try again")
        raise InputError(f"{problem}; the worker must be reachable and able to make its tables before a run starts")

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Send one request; its ``deadline`` bounds the wait. Redirects are not followed.

        An answer that is no JSON object becomes ``{"message": its first 500 characters}``; a ``Retry-After`` becomes
        ``retry_after_seconds`` in the body; an answer above 1 MB is a 502 of class ``bug``. Raises TransientError when
        it was not reached, NoAnswer when it was and may go on: reset, out of time, a front end's 502 or 504.
        """
        seconds = (datetime.fromisoformat(body["deadline"]) - datetime.now(UTC)).total_seconds()
        if seconds <= 0:
            raise TransientError(f"{self.url}{path} was not called: the deadline {body['deadline']} has passed")
        return self._post(path, self._as_understood(body), seconds)

    def made_with(self) -> Said:
        """See the port: what ``/health`` says. Raises TransientError where it cannot be asked; a service without it
        (404, 405) says nothing."""
        try:
            status, body = self._health()
        except (requests.RequestException, HTTPError, TimeoutError) as error:
            raise TransientError(f"{self.url}/health could not be asked: {_reason(error)}") from error
        if status not in (200, 404, 405):
            raise TransientError(f"{self.url}/health answered {status}")
        return read_said(body.get("made_with")) if status == 200 else {}

    def _as_understood(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The request without the fields that the worker's protocol does not have: it would refuse them."""
        newer = NEWER_FIELDS.keys() & body.keys()
        if not newer or (minor := self._protocol_minor()) >= max(NEWER_FIELDS[name] for name in newer):
            return body
        return {name: value for name, value in body.items() if NEWER_FIELDS.get(name, 0) <= minor}

    def _protocol_minor(self) -> int:
        """The minor version of the protocol that ``/health`` names, asked every few minutes; 0 where it names none."""
        if self._minor_until < time.monotonic():
            self._minor, self._minor_until = self._asked_minor(), time.monotonic() + HEALTH_SECONDS
        return self._minor

    def _asked_minor(self) -> int:
        try:
            status, body = self._health()
        except (requests.RequestException, HTTPError, TransientError, TimeoutError):
            return 0
        found = re.fullmatch(r"1\.(\d{1,4})", str(body.get("protocol")))
        return int(found[1]) if found and status == 200 else 0

    def _health(self) -> tuple[int, dict[str, Any]]:
        """Status and body of ``/health``; the body is empty where it cannot be read. Raises what requests does, and
        TimeoutError."""
        url, ends = f"{self.url}/health", time.monotonic() + CONNECT_SECONDS
        headers = {"Connection": "close", "Accept-Encoding": "identity"}
        with self._session.get(
            url,
            headers=headers,
            auth=self._authorize,
            timeout=(CONNECT_SECONDS, CONNECT_SECONDS),
            allow_redirects=False,
            stream=True,
        ) as answer:
            content = _decoded(_read(answer, ends), answer)
        return answer.status_code, {} if isinstance(content, str) else _understood(content, answer)

    def _post(self, path: str, body: Mapping[str, Any], seconds: float) -> tuple[int, dict[str, Any]]:
        url = self.url + path
        ends = time.monotonic() + seconds
        try:
            with (
                telemetry.calling(f"POST {path}"),
                self._session.post(
                    url,
                    data=json.dumps(body),
                    headers={
                        "Content-Type": "application/json",
                        "Connection": "close",
                        "Accept-Encoding": "identity",
                        **telemetry.outgoing(),
                    },
                    # Given even without a token, so that no .netrc of the machine is sent instead.
                    auth=self._authorize,
                    timeout=(min(CONNECT_SECONDS, seconds), seconds),
                    allow_redirects=False,
                    stream=True,
                ) as answer,
            ):
                content = _decoded(_read(answer, ends), answer)
                sent = answer.request.headers.get("Authorization", "").removeprefix("Bearer ")
        except (requests.Timeout, TimeoutError, ReadTimeoutError) as error:
            kind = TransientError if _was_not_sent(error) else NoAnswer
            raise kind(f"{url} gave no answer within {seconds:.0f} s: {_reason(error)}") from error
        except (requests.RequestException, HTTPError) as error:
            kind = TransientError if _was_not_sent(error) else NoAnswer
            raise kind(f"{url} could not be asked: {_reason(error)}") from error
        if isinstance(content, str):
            message = f"{url} answered {answer.status_code} {content}"
            return 502, {"error_class": ErrorClass.BUG.value, "message": message}
        if sent:  # A service that fails may show the whole request that it was sent.
            content = content.replace(sent.encode(), REDACTED.encode())
        understood = _understood(content, answer)
        if answer.status_code in _OF_A_FRONT_END and "error_class" not in understood:
            raise NoAnswer(f"{url}: {answer.status_code}, {understood.get('message', 'without a word of the worker')}")
        return answer.status_code, understood

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token(self.url)}"
        return request


def _was_not_sent(error: Exception) -> bool:
    """Whether there never was a connection: the worker knows nothing of the request."""
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.ConnectTimeout) or isinstance(cause, NewConnectionError | NameResolutionError)


_TOO_LARGE = f"with over {MAX_ANSWER_BYTES:,} bytes: send results only"


def _read(answer: requests.Response, ends: float) -> bytes | str:
    """The content as it was sent; a text says why it is none. Raises TimeoutError when it is not there in time."""
    content = bytearray()
    try:
        # One receive at a time: requests' own reading would wait for a full buffer, however slowly it fills.
        while chunk := answer.raw.read1(_BUFFER, decode_content=False):
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                return _TOO_LARGE
    except ReadTimeoutError as error:
        raise TimeoutError("the answer began and did not end") from error
    if time.monotonic() > ends:
        raise TimeoutError("the answer came too late")
    return bytes(content)


def _decoded(content: bytes | str, answer: requests.Response) -> bytes | str:
    """The content of an answer that is compressed although nobody asked for that; never more than an answer may hold
    is unpacked. A text says why there is none."""
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if isinstance(content, str) or encoding in ("", "identity"):
        return content
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return f"in the encoding {encoding[:_EXCERPT]!r}: send no encoding, or gzip"
    unpacked = bytearray()
    try:
        while content:  # A file of gzip may have several members.
            member = zlib.decompressobj(zlib.MAX_WBITS | 32)
            unpacked += member.decompress(content, MAX_ANSWER_BYTES + 1 - len(unpacked))
            if len(unpacked) > MAX_ANSWER_BYTES:
                return _TOO_LARGE
            if not member.eof:
                return f"in the encoding {encoding}, of which the end is missing"
            content = member.unused_data
    except zlib.error as error:
        return f"in the encoding {encoding}, which cannot be read: {error}"
    return bytes(unpacked)


def _understood(content: bytes, answer: requests.Response) -> dict[str, Any]:
    try:
        body = json.loads(content, object_pairs_hook=_with_doubled_dates)
    except RecursionError:
        body = {"error_class": ErrorClass.BUG.value, "message": "the answer is nested too deep: send results only"}
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {"message": content.decode(errors="replace")[:_EXCERPT]}
    if answer.is_redirect:
        body = {"message": f"a redirect to {answer.headers['Location'][:_EXCERPT]} is not followed: correct the URL"}
    if (seconds := _seconds(answer.headers.get("Retry-After", ""))) is not None:
        body["retry_after_seconds"] = seconds
    return body


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _with_doubled_dates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of the answer. JSON's readers take the last of values under one key: of a date that has two results
    both are kept, so that it is not taken for done."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found and _DATE.fullmatch(name):
            before = found[name]
            found[name] = Several([*(before if isinstance(before, Several) else [before]), value])
        else:
            found[name] = value
    return found


def _seconds(retry_after: str) -> int | None:
    """``Retry-After`` is a number of seconds or a date (RFC 9110, 10.2.3). None for neither."""
    if retry_after.isascii() and retry_after.isdigit():
        return int(retry_after)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0, round((at - datetime.now(UTC)).total_seconds()))


def _reason(error: BaseException) -> str:
    """The innermost cause: requests wraps the wrapping of urllib3."""
    cause = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
    cause = getattr(cause, "reason", None) or cause
    return _reason(cause) if isinstance(cause, BaseException) else f"{type(error).__name__}: {error}"
