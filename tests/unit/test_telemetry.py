"""Logs and traces: what a line says of itself, and how a trace passes through every handler."""

import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from phasegate import telemetry
from phasegate.domain.errors import InputError
from phasegate.telemetry.logs import CloudLogHandler
from phasegate.telemetry.spans import ENDPOINTS, EXPORTER

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CAME = f"00-{TRACE}-{SPAN}-01"
FRESH = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00")


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Telemetry as a new process finds it, before and after the test."""
    for name in (EXPORTER, *ENDPOINTS, "PHASEGATE_PROJECT", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    for name in (EXPORTER, *ENDPOINTS):
        monkeypatch.delenv(name, raising=False)
    telemetry.spans.configure_spans("off")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_outside_of_any_request_there_is_no_trace() -> None:
    assert telemetry.current_trace() == ""
    assert telemetry.outgoing() == {}


def test_a_trace_that_comes_in_goes_out_unchanged() -> None:
    with telemetry.incoming({"Traceparent": CAME, "Authorization": "Bearer s3cret"}):
        assert telemetry.outgoing() == {"traceparent": CAME}
        assert telemetry.current_trace() == CAME
    assert telemetry.outgoing() == {}


def test_a_request_without_a_trace_begins_one() -> None:
    begun = []
    for _ in range(2):
        with telemetry.incoming({}):
            begun.append(telemetry.current_trace())
    assert all(FRESH.fullmatch(trace) for trace in begun)
    assert begun[0] != begun[1]


def test_the_trace_of_a_message_counts_more_than_that_of_the_push_that_brought_it() -> None:
    with telemetry.incoming({"traceparent": f"00-{'1' * 32}-{'2' * 16}-00"}), telemetry.incoming({"traceparent": CAME}):
        assert telemetry.current_trace() == CAME


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"{CAME}\r\nX-Injected: 1",
    ],
)
def test_a_malformed_trace_is_replaced_and_never_passed_on(malformed: str) -> None:
    with telemetry.incoming({"traceparent": malformed}):
        assert FRESH.fullmatch(telemetry.current_trace())


def test_a_line_has_the_names_that_cloud_logging_reads(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHASEGATE_PROJECT", "demo")
    telemetry.configure("runner")
    with (
        telemetry.incoming({"traceparent": CAME}),
        telemetry.bind(run_id="r", date=date(2024, 1, 15)),
        telemetry.bind(phase="p", processor="a", attempt=2),
    ):
        logging.getLogger("some.module").warning("wrote %d rows", 16, extra={"table": "d.t"})
    logging.getLogger("some.module").info("afterwards")
    within, after = lines(capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", within.pop("time"))
    assert within == {
        "severity": "WARNING",
        "message": "wrote 16 rows",
        "service": "runner",
        "logger": "some.module",
        "run_id": "r",
        "date": "2024-01-15",
        "phase": "p",
        "processor": "a",
        "attempt": 2,
        "table": "d.t",
        "logging.googleapis.com/trace": f"projects/demo/traces/{TRACE}",
        "logging.googleapis.com/spanId": SPAN,
    }
    assert (after["message"], "run_id" in after, "logging.googleapis.com/trace" in after) == (
        "afterwards",
        False,
        False,
    )


def test_without_a_known_project_the_bare_trace_id_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("runner")
    with telemetry.incoming({"traceparent": CAME}):
        logging.getLogger().info("hello")
    assert lines(capsys)[0]["logging.googleapis.com/trace"] == TRACE


def test_structlog_and_the_standard_library_write_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("runner")
    logging.getLogger("m").error("it is %s", "bad", extra={"rows": 1})
    structlog.get_logger("m").error("it is %s", "bad", rows=1)
    ours, theirs = ({k: v for k, v in line.items() if k != "time"} for line in lines(capsys))
    assert ours == theirs


def test_an_exception_is_one_line_with_its_stack_trace(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("runner")
    try:
        raise ValueError("no such table")
    except ValueError:
        logging.getLogger("m").exception("could not look")
    (line,) = lines(capsys)
    assert (line["severity"], line["message"]) == ("ERROR", "could not look")
    assert line["stack_trace"].startswith("Traceback (most recent call last):")
    assert line["stack_trace"].endswith("ValueError: no such table")


def test_configuring_twice_writes_each_line_once_and_keeps_the_handlers_of_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    others = logging.NullHandler()
    logging.getLogger().addHandler(others)
    telemetry.configure("first")
    telemetry.configure("second")
    logging.getLogger("m").info("hello")
    assert [line["service"] for line in lines(capsys)] == ["second"]
    assert others in logging.getLogger().handlers
    assert sum(isinstance(handler, CloudLogHandler) for handler in logging.getLogger().handlers) == 1


def test_without_spans_nothing_of_opentelemetrys_sdk_is_imported() -> None:
    program = (
        "import sys; from phasegate import telemetry; telemetry.configure('s')\n"
        "with telemetry.incoming({}), telemetry.calling('c'): assert telemetry.outgoing()\n"
        "assert not [name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))]"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_exporter_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXPORTER, "zipkin")
    with pytest.raises(InputError, match="OTEL_TRACES_EXPORTER=zipkin: unknown exporter; use otlp or none"):
        telemetry.configure("s")


class Collector:
    """A collector on the loopback interface, which keeps the spans that it was sent."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:  # noqa: N805 - the base class' name; ``self`` is the collector
                request = ExportTraceServiceRequest()
                request.ParseFromString(handler.rfile.read(int(handler.headers["Content-Length"])))
                self.spans += [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
                handler.send_response(200)
                handler.end_headers()

            def log_message(handler, *_: object) -> None:  # noqa: N805
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    made = Collector()
    monkeypatch.setenv(ENDPOINTS[0], made.url)
    yield made
    made.close()


def test_the_spans_of_a_handler_its_call_and_the_next_handler_are_one_chain(collector: Collector) -> None:
    telemetry.configure("runner")
    with telemetry.incoming({"traceparent": CAME}), telemetry.bind(processor="a"), telemetry.calling("nba /process"):
        sent = telemetry.outgoing()
    telemetry.configure("nba")
    with telemetry.incoming(sent):
        pass
    call, handler, worker = collector.spans
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert [handler.name, call.name, worker.name] == ["runner", "nba /process", "nba"]
    assert [handler.kind, call.kind, worker.kind] == [
        Span.SPAN_KIND_SERVER,
        Span.SPAN_KIND_CLIENT,
        Span.SPAN_KIND_SERVER,
    ]
    assert handler.parent_span_id.hex() == SPAN
    assert call.parent_span_id == handler.span_id
    assert worker.parent_span_id == call.span_id
    assert [(a.key, a.value.string_value) for a in call.attributes] == [("processor", "a")]


def test_a_trace_that_nobody_records_makes_no_spans_and_still_passes(collector: Collector) -> None:
    telemetry.configure("runner")
    with telemetry.incoming({"traceparent": f"00-{TRACE}-{SPAN}-00"}):
        assert telemetry.current_trace().startswith(f"00-{TRACE}-")
    assert collector.spans == []
