"""A worker behind HTTP as the runner sees it, against real servers on the loopback interface."""

import base64
import gzip
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, Response, request
from werkzeug.serving import make_server

from phasegate import telemetry
from phasegate.adapters.gcp.http.identity import IdentityTokens
from phasegate.adapters.gcp.http.worker import MAX_ANSWER_BYTES, HttpWorker
from phasegate.domain.decisions.answers import Refused, understand, understand_batch
from phasegate.domain.errors import InputError, NoAnswer, TransientError
from phasegate.domain.plan import compile_plan
from phasegate.domain.protocol.worker import ErrorClass, ProcessorResult, ResultStatus
from tests.unit.builders import plan

ROOT = Path(__file__).parents[2]
BODY: dict[str, Any] = {"run_id": "r", "date": "2024-01-15", "deadline": "2100-01-01T00:00:00Z"}
TASK = next(iter(compile_plan(plan()).by_ref.values()))

Answer = Callable[[], Response | tuple[Any, ...] | dict[str, Any] | str]


class Service:
    """A worker's HTTP side: ``answer`` says what it gives back, ``seen`` what it got."""

    def __init__(self) -> None:
        self.answer: Answer = lambda: {"results": {}}
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        app = Flask("service")

        @app.route("/", defaults={"path": ""}, methods=["GET"])
        @app.route("/<path:path>", methods=["GET", "POST"])
        def take(path: str) -> Any:
            self.seen.append((f"/{path}", dict(request.headers), request.get_data()))
            return self.answer()

        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


def classified(answer: tuple[int, Mapping[str, Any]]) -> tuple[ErrorClass | None, str]:
    """What the runner makes of an answer."""
    result = understand(*answer, TASK)
    return result.error_class, result.message


def test_a_request_arrives_as_json_and_its_answer_comes_back(service: Service) -> None:
    results = {TASK.processor: {"status": "success", "rows": 16, "message": "", "error_class": None}}
    service.answer = lambda: {"results": results}
    answer = HttpWorker(service.url + "/").handle("/process", BODY)
    assert answer == (200, {"results": results})
    ((path, headers, body),) = service.seen
    assert (path, headers["Content-Type"], json.loads(body)) == ("/process", "application/json", BODY)
    assert headers["Connection"] == "close"
    assert understand(*answer, TASK) == ProcessorResult(status=ResultStatus.SUCCESS, rows=16)


def test_of_two_results_for_one_date_neither_is_lost(service: Service) -> None:
    done = {TASK.processor: {"status": "success"}}
    text = f'{{"dates": {{"2024-01-15": {json.dumps({"results": done})}, "2024-01-15": {{"results": {{}}}}}}}}'
    service.answer = lambda: Response(text, mimetype="application/json")
    answer = HttpWorker(service.url).handle("/process", BODY)
    found = understand_batch(*answer, TASK, [date(2024, 1, 15), date(2024, 1, 16)])
    assert isinstance(found, Mapping)
    assert found[date(2024, 1, 15)].message == "the worker's answer has 2 results for 2024-01-15 (in dates)"


@pytest.mark.parametrize(
    ("health", "is_sent"),
    [
        ({"protocol": "1.1"}, True),
        ({"protocol": "1.12"}, True),
        ({"protocol": "1.0"}, False),
        ({"protocol": "2.0"}, False),
        ({"service": "one that knows no protocol"}, False),
        ("no JSON", False),
        (("not there", 404), False),
    ],
)
def test_a_newer_field_is_sent_only_where_the_worker_names_its_protocol(
    service: Service, health: Any, is_sent: bool
) -> None:
    service.answer = lambda: health if request.path == "/health" else {"results": {}}
    worker = HttpWorker(service.url)
    for _ in range(2):
        worker.handle("/load", {**BODY, "may_be_empty": True})
        worker.handle("/load", BODY)
    paths = [path for path, _, _ in service.seen]
    assert paths == ["/health", "/load", "/load", "/load", "/load"], "asked once, and when it matters"
    sent = [json.loads(content) for path, _, content in service.seen if path == "/load"]
    assert [body.get("may_be_empty") for body in sent] == [True if is_sent else None, None] * 2
    assert all({**body, "may_be_empty": 0} == {**BODY, "may_be_empty": 0} for body in sent), "nothing else is changed"


SAID = {"/process": {TASK.processor: "1.0"}}


@pytest.mark.parametrize(
    ("health", "said"),
    [
        ({"version": "1", "made_with": SAID}, SAID),
        ({"version": "1"}, {}),
        ({"made_with": "1.0"}, {}),
        ("no JSON", {}),
        (("not there", 404), {}),
        (({"made_with": SAID}, 405), {}),
    ],
)
def test_what_rows_would_be_made_with_is_told_by_health(service: Service, health: Any, said: Any) -> None:
    service.answer = lambda: health
    assert HttpWorker(service.url).made_with() == said
    assert [path for path, _, _ in service.seen] == ["/health"]


def test_what_cannot_be_asked_is_said(service: Service) -> None:
    service.answer = lambda: ("no right", 403)
    with pytest.raises(TransientError, match="/health answered 403"):
        HttpWorker(service.url).made_with()
    with pytest.raises(TransientError, match=r"http://127\.0\.0\.1:9/health could not be asked"):
        HttpWorker("http://127.0.0.1:9").made_with()


def test_what_the_rows_of_an_answer_were_made_with_is_understood(service: Service) -> None:
    result = {"status": "empty", "error_class": "expected_empty", "made_with": "1.0"}
    service.answer = lambda: {"results": {TASK.processor: result}}
    assert understand(*HttpWorker(service.url).handle("/process", BODY), TASK).made_with == "1.0"


def test_a_200_with_a_failed_processor_inside_is_a_failure(service: Service) -> None:
    failed = {"status": "failed", "rows": 0, "message": "no rows yet", "error_class": "not_yet"}
    service.answer = lambda: {"results": {TASK.processor: failed}}
    assert classified(HttpWorker(service.url).handle("/p", BODY)) == (ErrorClass.NOT_YET, "no rows yet")


def test_a_202_comes_back_as_it_is(service: Service) -> None:
    service.answer = lambda: ({"message": "later"}, 202)
    assert HttpWorker(service.url).handle("/p", BODY) == (202, {"message": "later"})


@pytest.mark.parametrize(
    ("status", "body", "error_class"),
    [
        (409, {"message": "fence 8"}, ErrorClass.TRANSIENT),
        (422, {"message": "no such field"}, ErrorClass.BUG),
        (429, {"message": "slowly"}, ErrorClass.THROTTLE),
        (503, {"message": "busy"}, ErrorClass.THROTTLE),
        (503, {"message": "lost", "error_class": "transient"}, ErrorClass.TRANSIENT),
        (500, {"message": "boom"}, ErrorClass.TRANSIENT),
        (500, {"message": "boom", "error_class": "bug"}, ErrorClass.BUG),
        (404, {"message": "where"}, ErrorClass.BUG),
        (403, {"message": "no right"}, ErrorClass.BUG),
        (401, {"message": "who"}, ErrorClass.BUG),
        (408, {"message": "slow"}, ErrorClass.TRANSIENT),
        (204, {}, ErrorClass.BUG),
    ],
)
def test_a_status_becomes_a_class(service: Service, status: int, body: dict[str, Any], error_class: ErrorClass) -> None:
    service.answer = lambda: (body, status)
    found, message = classified(HttpWorker(service.url).handle("/p", BODY))
    assert found is error_class
    assert body.get("message", "HTTP 204") in message


@pytest.mark.parametrize(
    ("status", "body", "is_refusal"),
    [
        (401, "<html>who are you</html>", True),
        (403, "<html>Your client does not have permission</html>", True),
        (404, "<html>not found</html>", True),
        (404, '{"error_class": "bug", "message": "no path /p: use one of /process"}', False),
        (422, "<html>what</html>", False),
        (405, "<html>how</html>", False),
    ],
)
def test_a_refusal_is_told_from_a_workers_own_word(service: Service, status: int, body: str, is_refusal: bool) -> None:
    service.answer = lambda: (body, status)
    result = understand(*HttpWorker(service.url).handle("/p", BODY), TASK)
    assert result.error_class is ErrorClass.BUG
    assert (result.http_status if isinstance(result, Refused) else None) == (status if is_refusal else None)
    assert (f"HTTP {status}: " in result.message) is is_refusal


@pytest.mark.parametrize("status", [429, 503])
def test_a_throttle_says_when_to_come_back_in_seconds(service: Service, status: int) -> None:
    service.answer = lambda: ({"message": "quota"}, status, {"Retry-After": "120"})
    answer = HttpWorker(service.url).handle("/p", BODY)
    assert answer[1]["retry_after_seconds"] == 120
    assert classified(answer) == (ErrorClass.THROTTLE, "quota (to come back in 120 s)")


def test_a_throttle_says_when_to_come_back_as_a_date(service: Service) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    service.answer = lambda: ("", 503, {"Retry-After": format_datetime(at, usegmt=True)})
    assert 3000 < HttpWorker(service.url).handle("/p", BODY)[1]["retry_after_seconds"] <= 3600
    service.answer = lambda: ("", 503, {"Retry-After": "Wed, 01 Jan 2020 00:00:00 GMT"})
    assert HttpWorker(service.url).handle("/p", BODY)[1]["retry_after_seconds"] == 0


def test_a_retry_after_that_is_neither_is_left_out(service: Service) -> None:
    service.answer = lambda: ("", 503, {"Retry-After": "soon"})
    assert "retry_after_seconds" not in HttpWorker(service.url).handle("/p", BODY)[1]


def test_what_a_service_says_beside_a_result_and_of_others_is_left_aside() -> None:
    ours = {"status": "success", "rows": 16, "seconds": 2.5}
    result = understand(200, {"results": {"other": "done", TASK.processor: ours}}, TASK)
    assert (result.status, result.rows) == (ResultStatus.SUCCESS, 16)
    wrong = understand(200, {"results": {TASK.processor: {"status": "done"}}}, TASK)
    assert wrong.error_class is ErrorClass.BUG
    assert f"not understood: results.{TASK.processor}.status: " in wrong.message


def test_an_answer_that_is_no_json_object_is_shown_by_its_first_500_characters(service: Service) -> None:
    service.answer = lambda: ("<html>" + "x" * 600, 500)
    assert HttpWorker(service.url).handle("/p", BODY) == (500, {"message": "<html>" + "x" * 494})
    service.answer = lambda: Response("[1, 2]", content_type="application/json")
    answer = HttpWorker(service.url).handle("/p", BODY)
    assert answer == (200, {"message": "[1, 2]"})
    error_class, message = classified(answer)
    assert error_class is ErrorClass.BUG
    assert message == f"the worker's answer has no result for '{TASK.processor}' (in results: nothing); it says: [1, 2]"


def test_an_answer_above_one_megabyte_is_refused_as_a_bug(service: Service) -> None:
    service.answer = lambda: "x" * (MAX_ANSWER_BYTES + 1)
    error_class, message = classified(HttpWorker(service.url).handle("/p", BODY))
    assert error_class is ErrorClass.BUG
    assert f"{service.url}/p answered 200 with over 1,000,000 bytes" in message
    service.answer = lambda: json.dumps({"message": "x" * (MAX_ANSWER_BYTES - 100)})
    assert HttpWorker(service.url).handle("/p", BODY)[0] == 200


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_that_is_nested_too_deep_is_a_bug(service: Service, status: int) -> None:
    service.answer = lambda: ("[" * 100_000 + "]" * 100_000, status)
    error_class, message = classified(HttpWorker(service.url).handle("/p", BODY))
    assert error_class is ErrorClass.BUG
    assert "the answer is nested too deep: send results only" in message


def test_half_a_surrogate_pair_in_an_answer_is_kept_in_words(service: Service) -> None:
    service.answer = lambda: (r'{"message": "half \ud83d of it"}', 500)
    assert classified(HttpWorker(service.url).handle("/p", BODY)) == (ErrorClass.TRANSIENT, r"half \ud83d of it")


def test_a_redirect_is_not_followed_and_is_a_bug(service: Service) -> None:
    service.answer = lambda: ("", 302, {"Location": "/elsewhere"})
    error_class, message = classified(HttpWorker(service.url).handle("/p", BODY))
    assert error_class is ErrorClass.BUG
    assert "a redirect to /elsewhere is not followed" in message
    assert [path for path, _, _ in service.seen] == ["/p"]


def test_the_wait_ends_at_the_deadline(service: Service) -> None:
    end = threading.Event()

    def hang() -> str:
        end.wait(30)
        return ""

    service.answer = hang
    body = BODY | {"deadline": (datetime.now(UTC) + timedelta(milliseconds=300)).isoformat()}
    try:
        with pytest.raises(TransientError, match=rf"{service.url}/p gave no answer within 0 s: ReadTimeout"):
            HttpWorker(service.url).handle("/p", body)
    finally:
        end.set()


def test_an_answer_that_trickles_in_ends_at_the_deadline_too(service: Service) -> None:
    end = threading.Event()

    def trickle() -> Iterator[bytes]:
        while not end.wait(0.05):
            yield b"x"

    service.answer = lambda: Response(trickle())
    body = BODY | {"deadline": (datetime.now(UTC) + timedelta(milliseconds=300)).isoformat()}
    try:
        with pytest.raises(TransientError, match="the answer began and did not end"):
            HttpWorker(service.url).handle("/p", body)
    finally:
        end.set()


ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"results": {}}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SLOW = {
    "the status line": (b"", b"HTTP/1.1 200 " + b"O" * 30, ANSWER.removeprefix(b"HTTP/1.1 200 OK")),
    "a header": (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 30, ANSWER.removeprefix(b"HTTP/1.1 200 OK")),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2, ANSWER),
    "the size of a chunk": (CHUNKED, b"0" * 30, b'f\r\n{"results": {}}\r\n0\r\n\r\n'),
    "the size of the last chunk": (CHUNKED + b'f\r\n{"results": {}}\r\n', b"0" * 30, b"\r\n\r\n"),
    "the body": (b"HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n", b" " * 30, b'{"results": {}}'),
}
"""What comes at once, what comes byte by byte, and what comes then."""


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a service that takes one request and writes its answer by hand."""

    def take(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.recv(65536)
            answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=take, args=(listening,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            thread.join()


@pytest.mark.parametrize("part", SLOW)
def test_the_deadline_binds_for_every_part_of_an_answer_and_a_late_200_is_not_believed(part: str) -> None:
    at_once, bit_by_bit, rest = SLOW[part]
    end = threading.Event()

    def trickle(connection: socket.socket) -> None:
        connection.sendall(at_once)
        for byte in bit_by_bit:
            connection.sendall(bytes((byte,)))
            if end.wait(0.05):
                return
        end.set()
        connection.sendall(rest)

    with answering(trickle) as url:
        body = BODY | {"deadline": (datetime.now(UTC) + timedelta(milliseconds=400)).isoformat()}
        try:
            with pytest.raises(NoAnswer, match="gave no answer within 0 s"):
                HttpWorker(url).handle("/p", body)
            assert not end.is_set(), "it was given up only when the service had sent all"
        finally:
            end.set()


def test_an_answer_that_begins_with_interim_ones_is_understood() -> None:
    with answering(lambda connection: connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + ANSWER)) as url:
        assert HttpWorker(url).handle("/p", BODY) == (200, {"results": {}})


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_answer_that_is_compressed_unasked_is_understood(service: Service, encoding: str) -> None:
    members = (gzip.compress(b'{"results": '), gzip.compress(b"{}}"))
    packed = b"".join(members) if encoding == "gzip" else zlib.compress(b'{"results": {}}')
    service.answer = lambda: Response(packed, headers={"Content-Encoding": encoding})
    assert HttpWorker(service.url).handle("/p", BODY) == (200, {"results": {}})
    assert service.seen[0][1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("times", [1, 2])
def test_the_limit_of_an_answer_holds_while_it_is_unpacked(service: Service, times: int) -> None:
    packed = bytes(200_000_000)
    for _ in range(times):
        packed = gzip.compress(packed)
    service.answer = lambda: Response(packed, headers={"Content-Encoding": ", ".join(["gzip"] * times)})
    worker = HttpWorker(service.url)
    tracemalloc.start()
    try:
        error_class, message = classified(worker.handle("/p", BODY))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error_class is ErrorClass.BUG
    assert f"{service.url}/p answered 200 " in message and "send " in message
    assert peak < 20_000_000


@pytest.mark.parametrize(
    ("encoding", "content", "said"),
    [
        ("br", b"x", "in the encoding 'br': send no encoding, or gzip"),
        ("gzip, gzip", b"x", "in the encoding 'gzip, gzip': send no encoding, or gzip"),
        ("gzip", b"no such thing", "in the encoding gzip, which cannot be read"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-9], "in the encoding gzip, of which the end is missing"),
    ],
)
def test_an_answer_that_cannot_be_unpacked_is_a_bug(service: Service, encoding: str, content: bytes, said: str) -> None:
    service.answer = lambda: Response(content, headers={"Content-Encoding": encoding})
    error_class, message = classified(HttpWorker(service.url).handle("/p", BODY))
    assert error_class is ErrorClass.BUG
    assert said in message


def test_an_answer_that_is_read_after_its_time_as_the_machine_stood_still_is_not_believed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([0.0, 3600.0 * 24 * 365 * 100])
    monkeypatch.setattr("phasegate.adapters.gcp.http.worker.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    with pytest.raises(NoAnswer, match="the answer came too late"):
        HttpWorker(service.url).handle("/p", BODY)


def test_a_deadline_is_measured_on_a_clock_that_nobody_sets(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = itertools.count(time.time(), 86_400.0)
    monkeypatch.setattr(time, "time", lambda: next(moments))
    deadline = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    answer = HttpWorker(service.url).handle("/p", BODY | {"deadline": deadline})
    assert answer == (200, {"results": {}}), "the clock of the machine goes ahead by a day at each look"


def test_after_the_deadline_nothing_is_sent(service: Service) -> None:
    with pytest.raises(TransientError, match=r"/p was not called: the deadline 2020-01-01T00:00:00Z has passed"):
        HttpWorker(service.url).handle("/p", BODY | {"deadline": "2020-01-01T00:00:00Z"})
    assert service.seen == []


def test_a_service_that_is_not_there_is_transient_and_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TransientError, match=rf"{url}/p could not be asked: .*Connection refused"):
            HttpWorker(url).handle("/p", BODY)


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
def test_a_service_that_hangs_up_is_transient_however_far_it_got(begun: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            connection, _ = listening.accept()
            while b"2100-01-01" not in connection.recv(65536):
                pass
            connection.sendall(begun)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(TransientError, match="could not be asked: "):
            HttpWorker(f"http://127.0.0.1:{listening.getsockname()[1]}").handle("/p", BODY)
        thread.join()


def test_the_trace_goes_with_the_request_and_cookies_do_not(service: Service) -> None:
    service.answer = lambda: ({"results": {}}, 200, {"Set-Cookie": "session=1"})
    worker = HttpWorker(service.url)
    trace = f"00-{'a' * 32}-{'b' * 16}-00"
    with telemetry.incoming({"traceparent": trace}):
        worker.handle("/p", BODY)
    worker.handle("/p", BODY)
    (_, with_trace, _), (_, without, _) = service.seen
    assert with_trace["Traceparent"] == trace
    assert "Traceparent" not in without
    assert "Cookie" not in without


def test_a_token_is_asked_for_the_service_and_sent_as_bearer(service: Service) -> None:
    HttpWorker(service.url + "/", token=lambda audience: f"token-for-{audience}").handle("/p", BODY)
    assert service.seen[0][1]["Authorization"] == f"Bearer token-for-{service.url}"


def test_without_a_token_no_netrc_of_the_machine_is_sent(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    HttpWorker(service.url).handle("/p", BODY)
    assert "Authorization" not in service.seen[0][1]


def test_many_threads_share_one_worker(service: Service) -> None:
    service.answer = lambda: {"message": request.get_json()["run_id"]}
    worker = HttpWorker(service.url)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: worker.handle("/p", BODY | {"run_id": str(n)}), range(40)))
    assert answers == [(200, {"message": str(n)}) for n in range(40)]


def test_preparing_asks_the_worker_and_a_worker_without_it_needs_none(service: Service) -> None:
    HttpWorker(service.url).prepare()
    service.answer = lambda: ("", 404)
    HttpWorker(service.url).prepare()
    assert [path for path, _, _ in service.seen] == ["/prepare", "/prepare"]


@pytest.mark.parametrize(
    ("status", "error"), [(503, TransientError), (500, TransientError), (403, InputError), (302, InputError)]
)
def test_a_worker_that_cannot_prepare_stops_the_start_and_says_why(
    service: Service, status: int, error: type[Exception]
) -> None:
    service.answer = lambda: ({"message": "no dataset"}, status)
    with pytest.raises(error, match=rf"{service.url}/prepare answered {status}: no dataset"):
        HttpWorker(service.url).prepare()


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("ftp://host", "give https://host or http://host"),
        ("file:///etc/passwd", "give https://host or http://host"),
        ("nba-worker", "give https://host or http://host"),
        ("https://host/?a=1", "no query"),
        ("https://host:port", "give https://host or http://host"),
        ("https://somebody:s3cret@host", "leave out user and password"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as refused:
        HttpWorker(url)
    assert "s3cret" not in str(refused.value)


def test_a_token_is_never_sent_over_plain_http() -> None:
    with pytest.raises(InputError, match="an identity token is sent over https only"):
        HttpWorker("http://worker.example", token=lambda _: "t")


def jwt(lifetime: timedelta) -> str:
    claims = {"exp": int((datetime.now(UTC) + lifetime).timestamp())}
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*coded, "c2ln"])


@pytest.mark.parametrize(("lifetime", "fetched"), [(timedelta(hours=1), 1), (timedelta(minutes=3), 2)])
def test_an_identity_token_is_fetched_again_only_shortly_before_it_ends(
    service: Service, lifetime: timedelta, fetched: int
) -> None:
    """In a process of its own: google-auth reads at import where the metadata server is."""
    account = {"email": "runner@demo.iam.gserviceaccount.com", "aliases": [], "scopes": []}
    service.answer = lambda: Response(
        jwt(lifetime) if request.path.endswith("/identity") else json.dumps(account),
        headers={"Metadata-Flavor": "Google"},
        content_type="application/text" if request.path.endswith("/identity") else "application/json",
    )
    host = service.url.removeprefix("http://")
    program = (
        "from phasegate.adapters.gcp.http.identity import IdentityTokens\n"
        "tokens = IdentityTokens()\n"
        "assert tokens('https://a.example').count('.') == 2\n"
        "tokens('https://a.example')"
    )
    environment = {**os.environ, "GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}
    environment.pop("GOOGLE_APPLICATION_CREDENTIALS", None)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len([path for path, _, _ in service.seen if path.endswith("/identity")]) == fetched


def test_without_any_identity_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/not/there.json")
    worker = HttpWorker("https://worker.example", token=IdentityTokens())
    with pytest.raises(TransientError, match=r"no identity token for https://worker\.example: .*PHASEGATE_INVOKER"):
        worker.handle("/p", BODY)
