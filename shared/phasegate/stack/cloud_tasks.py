"""This is a Cloud Tasks server for one machine: ``python -m phasegate.stack.cloud_tasks --port N``, and what ``--help``
lists.

It speaks Google's API v2 to Google's own client (gRPC) and to the ``gcloud tasks`` command (REST; the port is printed),
over the embedded backend's queues, so that rates, names, schedule times and backoff are written once. Unlike Google's:

- nothing is authenticated, and a task's ``oidc_token`` is accepted but no token is made: handlers see no Authorization;
- a throttled handler (429, 503) slows down its own task, not the whole queue, and a queue does not ramp up slowly;
- a purge and a deletion take effect at once, and a deleted queue's name can be used again at once;
- App Engine targets, queue-level targets, retry settings of single tasks, batches, filters and IAM are refused
  with UNIMPLEMENTED;
- at most ``cloud_tasks_courier.AT_ONCE`` deliveries are under way over all queues, and a queue at the highest rate,
  500 a second, is not slowed down;
- used names are remembered for a day, and longer while the server runs.

Without ``--state`` everything lives in memory; with it, queues, tasks and used names outlive the process.
"""

import argparse
import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty

from phasegate.adapters.embedded.clock import SystemClock
from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.tasks import SqliteTasks
from phasegate.domain.errors import PhasegateError
from phasegate.stack.cloud_tasks_api import RUN_ID, CloudTasksApi, Method
from phasegate.stack.cloud_tasks_courier import Courier
from phasegate.stack.cloud_tasks_limits import CallRefused
from phasegate.stack.cloud_tasks_records import Queues
from phasegate.stack.cloud_tasks_rest import serve_rest
from phasegate.stack.emulators import HOST

SERVICE = "google.cloud.tasks.v2.CloudTasks"
IN_MEMORY = Path(":memory:")


def _handler(method: Method) -> "grpc.RpcMethodHandler[Any, Any]":
    async def handle(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            answer = method.call(request)
        except CallRefused as refused:
            await context.abort(refused.code, refused.message)
        return Empty() if method.answer is None else answer

    serialize: Callable[[Any], bytes] = method.answer.serialize if method.answer else Empty.SerializeToString
    return grpc.unary_unary_rpc_method_handler(handle, method.request.deserialize, serialize)


def grpc_server(api: CloudTasksApi, port: int) -> grpc.aio.Server:
    """Return a gRPC server with all methods of the API, not started yet. Raises RuntimeError when the port is taken."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handlers = {name: _handler(method) for name, method in api.methods.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"{HOST}:{port}")
    return server


async def serve(port: int, rest_port: int, database: Database) -> None:
    """Serve until SIGTERM or SIGINT."""
    loop, clock, stopped = asyncio.get_running_loop(), SystemClock(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    tasks = SqliteTasks(database, clock, {}, RUN_ID)
    queues = Queues(database, tasks)
    courier = Courier(tasks, queues, clock)
    api = CloudTasksApi(tasks, queues, courier, clock)
    rest = serve_rest(api, loop, HOST, rest_port)
    server = grpc_server(api, port)
    await server.start()
    threading.Thread(target=rest.serve_forever, name="rest", daemon=True).start()
    sys.stdout.write(f"Cloud Tasks: gRPC {HOST}:{port}, REST http://{HOST}:{rest.server_port}/\n")
    sys.stdout.flush()
    driving = asyncio.create_task(courier.drive())
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({driving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if driving.done():
        driving.result()  # raises what the delivering side died of: a full disk
    driving.cancel()
    stopping.cancel()
    rest.shutdown()
    await server.stop(grace=1)


def main() -> int:
    """Run the command. Returns the exit status: 2 when the port is taken or the state file cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m phasegate.stack.cloud_tasks", description="A local Cloud Tasks.")
    parser.add_argument("--port", type=int, required=True, help="gRPC, for Google's client")
    parser.add_argument("--rest-port", type=int, default=0, help="REST, for gcloud (default: any free one)")
    parser.add_argument("--state", type=Path, default=IN_MEMORY, help="keep queues and tasks in this file")
    options = parser.parse_args()
    try:
        database = Database(options.state)
        asyncio.run(serve(options.port, options.rest_port, database))
        database.close()
    except (PhasegateError, OSError, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
