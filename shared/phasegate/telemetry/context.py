"""What the present piece of work belongs to: its trace, and the fields that its log lines carry."""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

TRACEPARENT = "traceparent"

_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
"""W3C Trace Context, level 1: version, trace id, parent id, flags; a later version may append more."""

_trace: ContextVar[str] = ContextVar("trace", default="")
_fields: ContextVar[dict[str, object] | None] = ContextVar("fields", default=None)


class Headers(Protocol):
    """Headers of a request or attributes of a message: a mapping, or the header types of HTTP libraries."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Pairs of name and value."""


def current_trace() -> str:
    """The ``traceparent`` of the present piece of work; empty when it belongs to no trace."""
    return _trace.get()


def outgoing() -> dict[str, str]:
    """Headers (or message attributes) that carry the trace on; empty when there is none."""
    trace = _trace.get()
    return {TRACEPARENT: trace} if trace else {}


def trace_in(headers: Headers) -> str:
    """The ``traceparent`` among these headers, whatever their case; empty when there is none or it is malformed."""
    for name, value in headers.items():
        if name.lower() == TRACEPARENT and (found := _FORM.fullmatch(value)):
            return f"00-{'-'.join(found.groups())}"
    return ""


def trace_and_span(trace: str) -> tuple[str, str]:
    """The trace id and the span id of a ``traceparent``."""
    _, trace_id, span_id, _ = trace.split("-")
    return trace_id, span_id


def fields() -> Mapping[str, object]:
    """What ``bind`` has bound."""
    return _fields.get() or {}


@contextmanager
def bind(**fields: object) -> Iterator[None]:
    """Put these fields (``run_id``, ``date``, ``phase``, ``processor``, ``attempt``) on every log line within."""
    token = _fields.set({**(_fields.get() or {}), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


@contextmanager
def within(trace: str) -> Iterator[None]:
    """Let the work in here belong to the trace with this ``traceparent``."""
    token = _trace.set(trace)
    try:
        yield
    finally:
        _trace.reset(token)


def new_trace() -> str:
    """The ``traceparent`` of a trace that begins here. Its flags say that nobody has recorded a span of it."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
