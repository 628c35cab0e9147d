"""The Cloud Tasks server speaks REST as well, for the ``gcloud tasks`` command."""

import asyncio
import json
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import grpc
from google.protobuf.json_format import MessageToJson, ParseDict, ParseError

from phasegate.stack.cloud_tasks_api import CloudTasksApi, Method
from phasegate.stack.cloud_tasks_limits import CallRefused, invalid

Fields = dict[str, Any]

_LOCATION, _QUEUE, _TASK = r"projects/[^/]+/locations/[^/]+", r"/queues/[^/:]+", r"/tasks/[^/:]+"

ROUTES = (
    ("GET", rf"({_LOCATION})/queues", "ListQueues", "parent", None),
    ("POST", rf"({_LOCATION})/queues", "CreateQueue", "parent", "queue"),
    ("GET", rf"({_LOCATION}{_QUEUE})", "GetQueue", "name", None),
    ("PATCH", rf"({_LOCATION}{_QUEUE})", "UpdateQueue", "queue.name", "queue"),
    ("DELETE", rf"({_LOCATION}{_QUEUE})", "DeleteQueue", "name", None),
    ("POST", rf"({_LOCATION}{_QUEUE}):purge", "PurgeQueue", "name", None),
    ("POST", rf"({_LOCATION}{_QUEUE}):pause", "PauseQueue", "name", None),
    ("POST", rf"({_LOCATION}{_QUEUE}):resume", "ResumeQueue", "name", None),
    ("GET", rf"({_LOCATION}{_QUEUE})/tasks", "ListTasks", "parent", None),
    ("POST", rf"({_LOCATION}{_QUEUE})/tasks", "CreateTask", "parent", "*"),
    ("GET", rf"({_LOCATION}{_QUEUE}{_TASK})", "GetTask", "name", None),
    ("DELETE", rf"({_LOCATION}{_QUEUE}{_TASK})", "DeleteTask", "name", None),
    ("POST", rf"({_LOCATION}{_QUEUE}{_TASK}):run", "RunTask", "name", "*"),
)
"""The annotations of cloudtasks.proto: HTTP method, path after ``/v2/``, the API's method, the field of its request
that the path's resource fills, and the one that the body fills (``*``: the body is the request)."""

_STATUS = {
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
}


def request_of(verb: str, target: str, body: bytes) -> tuple[str, Fields]:
    """Return the API's method and the JSON of its request. Raises CallRefused for what is no part of the API."""
    url = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(url.query).items() if name != "alt"}
    try:
        fields = json.loads(body or b"{}")
    except ValueError as error:
        raise invalid(f"the request is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise invalid("the request is not a JSON object")
    for method, pattern, name, resource, content in ROUTES:
        found = re.fullmatch(rf"/v2/{pattern}", unquote(url.path))
        if found and method == verb:
            request = {**query, **(fields if content == "*" else {})}
            holder = request.setdefault(content, fields) if content == "queue" else request
            (holder if "." in resource else request)[resource.rpartition(".")[2]] = found[1]
            return name, request
    raise CallRefused(grpc.StatusCode.NOT_FOUND, f"{verb} {url.path} is not part of the API v2 that this server speaks")


def serve_rest(api: CloudTasksApi, loop: asyncio.AbstractEventLoop, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server for REST calls, each handled in the event loop; the caller starts and closes it."""

    async def run(method: Method, fields: Fields) -> str:
        request = method.request()
        try:
            ParseDict(fields, method.request.pb(request), ignore_unknown_fields=True)
        except ParseError as error:
            raise invalid(str(error)) from error
        answer = method.call(request)
        return "{}" if method.answer is None else MessageToJson(method.answer.pb(answer))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, text = HTTPStatus.OK, ""
            try:
                name, fields = request_of(self.command, self.path, body)
                text = asyncio.run_coroutine_threadsafe(run(api.methods[name], fields), loop).result()
            except CallRefused as refused:
                status = _STATUS[refused.code]
                text = json.dumps({"error": {"code": status, "message": refused.message, "status": refused.code.name}})
            content = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - names that the base class looks for

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the caller is told what went wrong."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    return server
