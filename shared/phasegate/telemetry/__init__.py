"""Telemetry is logs, traces and counts: what a line of the log belongs to, the trace that ties the handlers of one task
together, and what a piece of work read, and how long it took.

A trace travels as the W3C header ``traceparent``: in HTTP requests, in Cloud Tasks headers, in Pub/Sub attributes.
Without ``configure`` (embedded mode, tests) nothing is written.
"""

from phasegate.telemetry.context import bind, current_trace, outgoing
from phasegate.telemetry.logs import configure_logs
from phasegate.telemetry.reads import counting_reads, note_read
from phasegate.telemetry.seconds import StopWatch, proving, timing_proofs
from phasegate.telemetry.spans import calling, configure_spans, incoming

__all__ = [
    "StopWatch",
    "bind",
    "calling",
    "configure",
    "counting_reads",
    "current_trace",
    "incoming",
    "note_read",
    "outgoing",
    "proving",
    "timing_proofs",
]


def configure(service: str) -> None:
    """Set up logs and, where the environment asks for them, spans. Called once by every function and service.

    service: the name that stands on each line and span. Raises InputError for an unknown ``OTEL_TRACES_EXPORTER``.
    """
    configure_logs(service)
    configure_spans(service)
