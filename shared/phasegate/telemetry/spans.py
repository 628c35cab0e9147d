"""A span of OpenTelemetry stands for a handler or a worker call; spans are made only where the environment asks for
them.

Nothing of OpenTelemetry's SDK is imported otherwise, and the trace passes through all the same. Which traces are kept
is for OpenTelemetry's own ``OTEL_TRACES_SAMPLER`` to say; by default those whose ``traceparent`` is flagged as sampled.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal

from opentelemetry.context import Context

from phasegate.domain.errors import InputError
from phasegate.telemetry.context import Headers, fields, new_trace, trace_in, within

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

EXPORTER = "OTEL_TRACES_EXPORTER"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

EXPORTED_WITHIN_SECONDS = 2.0
"""A handler ends at most so much later when the collector is away: the exporter gives up, its spans are lost."""

_Kind = Literal["SERVER", "CLIENT"]


class Spans:
    """A maker of spans sends them to the collector that OpenTelemetry's own variables name."""

    def __init__(self, service: str, exporter: "SpanExporter") -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self.service = service
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("phasegate")

    @contextmanager
    def span(self, name: str, kind: _Kind, parent: Context | None = None) -> Iterator[None]:
        """Begin a span below the one of ``parent`` (None: below the present one); work within belongs to it."""
        from opentelemetry.trace import SpanKind

        attributes = {name: str(value) for name, value in fields().items()}
        with self._tracer.start_as_current_span(name, context=parent, kind=SpanKind[kind], attributes=attributes):
            yield

    def flush(self) -> None:
        """Send what is finished: a serverless instance may get no processor time after its answer."""
        self._provider.force_flush()

    def close(self) -> None:
        """Send what is left and end the thread that sends."""
        self._provider.shutdown()


_spans: Spans | None = None


def configure_spans(service: str) -> None:
    """Make spans from now on if the environment asks for them. Raises InputError for an exporter that is not known."""
    global _spans
    exporter = os.environ.get(EXPORTER) or ("otlp" if any(os.environ.get(name) for name in ENDPOINTS) else "none")
    if exporter not in ("otlp", "none"):
        raise InputError(f"{EXPORTER}={exporter}: unknown exporter; use otlp or none")
    if _spans is not None:
        _spans.close()
        _spans = None
    if exporter == "none":
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    _spans = Spans(service, OTLPSpanExporter(timeout=EXPORTED_WITHIN_SECONDS))


@contextmanager
def incoming(headers: Headers) -> Iterator[None]:
    """Handle a request or a message within the trace that it carries, or within a new one when it carries none.

    headers: those of the request, or the attributes of the message. Around a message that came by an HTTP push this
    is entered with the message's attributes: the push has a trace of its own. Where spans are made, this is one.
    """
    came, spans = trace_in(headers), _spans
    if spans is None:
        with within(came or new_trace()):
            yield
        return
    try:
        with spans.span(spans.service, "SERVER", came or Context()):
            yield
    finally:
        spans.flush()


def calling(name: str) -> AbstractContextManager[None]:
    """Call another service: where spans are made this is one, with the bound fields, and ``outgoing`` names it."""
    return nullcontext() if _spans is None else _spans.span(name, "CLIENT")
