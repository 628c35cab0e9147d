"""Log lines are JSON on standard output, in the field names that Cloud Logging takes out of them."""

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from phasegate.domain.foreign_text import escaped
from phasegate.domain.redaction import redacted
from phasegate.telemetry.context import fields, read_fields, trace_and_span

if TYPE_CHECKING:
    from structlog.typing import Processor

PROJECT_VARIABLES = ("PHASEGATE_PROJECT", "GOOGLE_CLOUD_PROJECT")

_Line = MutableMapping[str, Any]


class CloudLogHandler(logging.Handler):
    """The handler writes one line per record, on what is standard output at that moment (functions-framework puts its
    own there)."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as one line."""
        try:
            sys.stdout.write(f"{self.format(record)}\n")
            sys.stdout.flush()
        except Exception:
            self.handleError(record)


class OneLine(logging.Formatter):
    """The formatter of a log that people read writes a record as one line, and a stack trace indented below it, so that
    no text of others looks like a record.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write the record, with what does not print escaped."""
        first, *more = super().format(record).split("\n")
        return "\n".join([first, *(f"    {escaped(line)}" for line in more)])

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the standard library's name
        """Write what stands before a stack trace."""
        return escaped(redacted(super().formatMessage(record)))


def configure_logs(service: str) -> None:
    """Send everything that is logged, by structlog or the standard library, to standard output as JSON lines.

    A line has ``severity``, ``message``, ``time``, ``service``, ``logger``, the bound fields, the trace and, for an
    exception, ``stack_trace`` (the name that Error Reporting reads). What looks like a secret is redacted. A second
    call replaces what the first set up.
    """
    import structlog

    read_fields()
    project = next((os.environ[name] for name in PROJECT_VARIABLES if os.environ.get(name)), "")

    def add_context(_logger: object, _method: str, line: _Line) -> _Line:
        line = {"service": service, **fields(), **line}
        if (trace := trace_and_span()) is not None:
            trace_id, span_id = trace
            # On standard output Cloud Logging also takes a bare trace id, and adds the project itself.
            line["logging.googleapis.com/trace"] = f"projects/{project}/traces/{trace_id}" if project else trace_id
            line["logging.googleapis.com/spanId"] = span_id
        return line

    every_line: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
        add_context,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=every_line,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _in_cloud_logging_names,
            _without_secrets,
            structlog.processors.JSONRenderer(default=str),
        ],
    )
    handler = CloudLogHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [h for h in root.handlers if not isinstance(h, CloudLogHandler)] + [handler]
    root.setLevel(logging.INFO)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *every_line,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _in_cloud_logging_names(_logger: object, _method: str, line: _Line) -> _Line:
    """The same line, the names that people read first in front."""
    level, message = str(line.pop("level")).upper(), line.pop("event")
    trace_of_error = line.pop("exception", None)
    named = {"severity": level, "message": message, **line}
    return {**named, "stack_trace": trace_of_error} if trace_of_error else named


def _without_secrets(_logger: object, _method: str, line: _Line) -> _Line:
    return {name: redacted(value) if isinstance(value, str) else value for name, value in line.items()}
