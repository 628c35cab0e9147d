"""Telemetry is logs and traces: what a line of the log belongs to, and the trace that ties the handlers of one task
together.

A trace travels as the W3C header ``traceparent``: in HTTP requests, in Cloud Tasks headers, in Pub/Sub attributes.
Without ``configure`` (embedded mode, tests) nothing is written.
"""

from phasegate.telemetry.context import bind, current_trace, outgoing
from phasegate.telemetry.logs import configure_logs
from phasegate.telemetry.spans import calling, configure_spans, incoming

__all__ = ["bind", "calling", "configure", "current_trace", "incoming", "outgoing"]


def configure(service: str) -> None:
    """Set up logs and, where the environment asks for them, spans. Called once by every function and service.

    service: the name that stands on each line and span. Raises InputError for an unknown ``OTEL_TRACES_EXPORTER``.
    """
    configure_logs(service)
    configure_spans(service)
