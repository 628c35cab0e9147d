"""A request over HTTP has one clock: connecting, status line, headers, interim answers, chunk sizes and body together.

The timeouts of sockets, and so of requests and urllib3, are for one receive each. A service that sends a byte now and
then would hold a request for as long as it likes.
"""

import http.client
import io
import socket
import time
from collections.abc import Mapping
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection


class ClockedAdapter(HTTPAdapter):
    """This adapter reads ``timeout=(connect, whole)`` so: seconds for the connection, and seconds for the whole
    exchange, until the last byte of the body was read.
    """

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request; raises ``requests.Timeout`` when its time is over."""
        connect, whole = timeout
        clocked: Any = urllib3.Timeout(total=whole, connect=connect)
        return super().send(request, stream, clocked, verify, cert, proxies)

    def get_connection_with_tls_context(self, *given: Any, **named: Any) -> Any:
        """Return the pool for a request, direct or by a proxy; its connections watch the clock."""
        pool: Any = super().get_connection_with_tls_context(*given, **named)
        pool.ConnectionCls = _HttpsConnection if isinstance(pool, urllib3.HTTPSConnectionPool) else _HttpConnection
        return pool


class _Receiver(io.RawIOBase):
    """What comes from a socket, until a moment of the monotonic clock."""

    def __init__(self, connection: socket.socket, ends: float) -> None:
        self._socket, self._ends = connection, ends
        # The socket stays open for as long as this file of its own does.
        self._received = connection.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        return self._received.readinto(buffer)

    def close(self) -> None:
        self._received.close()
        super().close()


class _Clocked:
    """A socket, as ``http.client`` uses one to read a response; its timeout is what is left of the exchange's time."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def makefile(self, _mode: str) -> io.BufferedReader:
        left = self._socket.gettimeout()
        ends = float("inf") if left is None else time.monotonic() + left
        return io.BufferedReader(_Receiver(self._socket, ends))


class _Response(http.client.HTTPResponse):
    def __init__(self, connection: socket.socket, *given: Any, **named: Any) -> None:
        clocked: Any = _Clocked(connection)
        super().__init__(clocked, *given, **named)


class _HttpConnection(HTTPConnection):
    response_class = _Response


class _HttpsConnection(HTTPSConnection):
    response_class = _Response
