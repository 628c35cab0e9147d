"""The Cloud Tasks queues must be there, running, and have the limits of the pipeline."""

from collections.abc import Iterator
from functools import partial

from google.cloud.tasks_v2.types import Queue as Made

from phasegate.adapters.gcp.clients import TASKS_EMULATOR, tasks_client
from phasegate.adapters.gcp.layout import MAX_ATTEMPTS, MAX_DOUBLINGS, Layout, Queue
from phasegate.adapters.gcp.preflight.examine import (
    PATIENCE_SECONDS,
    differences,
    emulated,
    examine,
    is_emulated,
    seconds,
)
from phasegate.adapters.gcp.retries import retry_within
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.operations.preflight import PreflightLine

CREATE = "cloudtasks.tasks.create"


def inspect_queues(settings: CloudSettings, layout: Layout) -> list[PreflightLine]:
    """Return a line per queue, and one for the right to put tasks on them."""
    parent = f"projects/{settings.project}/locations/{settings.region}/queues"
    lines: list[PreflightLine] = []
    for queue in layout.queues:
        path = f"{parent}/{queue.id}"
        lines += examine("queue", queue.id, "roles/cloudtasks.viewer", partial(_wrong, queue, path))
    if is_emulated(TASKS_EMULATOR):
        return [*lines, emulated("permission", CREATE)]
    path = f"{parent}/{layout.queues[0].id}"
    return [*lines, *examine("permission", CREATE, "roles/cloudtasks.viewer", lambda: _not_allowed(path))]


def _wrong(queue: Queue, path: str) -> Iterator[tuple[str, str]]:
    made: Made = tasks_client().get_queue(name=path, retry=retry_within(PATIENCE_SECONDS), timeout=PATIENCE_SECONDS)
    if made.state is not Made.State.RUNNING:
        yield f"is {made.state.name.lower()}", f"nothing is delivered: gcloud tasks queues resume {queue.id}"
    spec, limits, retry = queue.spec, made.rate_limits, made.retry_config
    yield from differences(
        [
            ("deliveries a second", limits.max_dispatches_per_second, spec.max_per_second),
            ("deliveries at once", limits.max_concurrent_dispatches, spec.max_concurrent),
            ("attempts of a delivery", retry.max_attempts, MAX_ATTEMPTS),
            ("first backoff in seconds", seconds(retry.min_backoff), spec.min_backoff_seconds),
            ("longest backoff in seconds", seconds(retry.max_backoff), spec.max_backoff_seconds),
            ("doublings of the backoff", retry.max_doublings, MAX_DOUBLINGS),
        ]
    )


def _not_allowed(path: str) -> Iterator[tuple[str, str]]:
    allowed = tasks_client().test_iam_permissions(resource=path, permissions=[CREATE], timeout=PATIENCE_SECONDS)
    if CREATE not in allowed.permissions:
        yield "is not granted to who starts the run", "grant roles/cloudtasks.enqueuer"
