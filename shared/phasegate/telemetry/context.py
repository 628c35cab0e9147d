"""The context of the present piece of work is its trace, and the fields that its log lines carry.

The trace lies in OpenTelemetry's own context and travels by its propagator; the fields are context variables of
structlog.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import bind_contextvars, reset_contextvars
from structlog.contextvars import get_contextvars as fields

__all__ = ["Headers", "bind", "current_trace", "fields", "new_trace", "outgoing", "read_fields", "trace_in", "within"]

TRACEPARENT = "traceparent"

_WIRE = TraceContextTextMapPropagator()


_has_readers = False
"""Whether log lines or spans are made of the fields; in embedded mode nothing is, and a task costs that much less."""


def read_fields() -> None:
    """Have ``bind`` keep fields from now on."""
    global _has_readers
    _has_readers = True


def bind(**bound: object) -> AbstractContextManager[None]:
    """Put these fields (``run_id``, ``date``, ``phase``, ``processor``, ``attempt``) on every log line within."""
    return _bound(bound) if _has_readers else _NOTHING


_NOTHING = nullcontext()


@contextmanager
def _bound(bound: Mapping[str, object]) -> Iterator[None]:
    tokens = bind_contextvars(**bound)
    try:
        yield
    finally:
        reset_contextvars(**tokens)


class Headers(Protocol):
    """Headers belong to a request, or are attributes of a message: a mapping, or the header types of HTTP libraries."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Give the pairs of name and value."""


def outgoing() -> dict[str, str]:
    """Return the headers (or message attributes) that carry the trace on; empty when there is none."""
    carrier: dict[str, str] = {}
    _WIRE.inject(carrier)
    return carrier


def current_trace() -> str:
    """Return the ``traceparent`` of the present piece of work; empty when it belongs to no trace."""
    return outgoing().get(TRACEPARENT, "") if get_current_span().get_span_context().is_valid else ""


def trace_and_span() -> tuple[str, str] | None:
    """Return trace id and span id of the present piece of work, in hexadecimal; None when it belongs to no trace."""
    span = get_current_span().get_span_context()
    return (f"{span.trace_id:032x}", f"{span.span_id:016x}") if span.is_valid else None


def trace_in(headers: Headers) -> Context | None:
    """Return the trace that these headers carry, whatever their case; None when there is none or it is malformed."""
    found = _WIRE.extract({name.lower(): value for name, value in headers.items()}, Context())
    return found if get_current_span(found).get_span_context().is_valid else None


def new_trace() -> Context:
    """Begin a trace here. Its flags say that nobody has recorded a span of it."""
    begun = SpanContext(1 + secrets.randbits(127), 1 + secrets.randbits(63), is_remote=False, trace_flags=TraceFlags(0))
    return set_span_in_context(NonRecordingSpan(begun), Context())


@contextmanager
def within(trace: Context) -> Iterator[None]:
    """Let the work in here belong to a trace."""
    token = otel.attach(trace)
    try:
        yield
    finally:
        otel.detach(token)
