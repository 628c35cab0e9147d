"""A deployment wires the services to Google Cloud: what a function, or the command line against the same project, works
with."""

from collections.abc import Callable
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import Any, cast

from phasegate.adapters.embedded.clock import SystemClock
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.errors import InputError
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.ports import Events, Installation, ObjectStore, State, Tasks, Warehouse, Worker
from phasegate.services.backend import Backend
from phasegate.services.running.conductor import Conductor
from phasegate.services.running.dispatcher import Dispatcher
from phasegate.services.running.external_events import ExternalEventListener
from phasegate.services.running.historian import Historian
from phasegate.services.running.listener import Listener
from phasegate.services.running.reconciler import Reconciler
from phasegate.services.running.runner import Runner
from phasegate.services.running.sweeper import Sweeper

WAKE_BUCKET = timedelta(milliseconds=500)
"""The conductor is woken at most once in this time, however many dates come to rest meanwhile."""


class Deployment:
    """A deployment gives the services over Google Cloud. Each is made when it is first used, and so is each client
    behind it.

    Raises InputError for a setting or a pipeline file that is wrong.
    """

    def __init__(self, settings: CloudSettings) -> None:
        self.settings = settings

    @cached_property
    def pipeline(self) -> Pipeline:
        """Load the deployed pipeline."""
        return load_pipeline(self.pipeline_file)

    @property
    def pipeline_file(self) -> Path:
        """Say where the deployed pipeline file lies. Raises InputError when the environment does not say."""
        if self.settings.pipeline is None:
            raise InputError(
                "PHASEGATE_PIPELINE: is not set; give the path of the deployed pipeline file (docs/stack.md has the "
                "environment of a deployment)"
            )
        return self.settings.pipeline

    @cached_property
    def backend(self) -> Backend:
        """Make the ports."""
        return Backend(
            state=cast(State, _Late(self._state)),
            tasks=cast(Tasks, _Late(self._tasks)),
            events=cast(Events, _Late(self._events)),
            warehouse=cast(Warehouse, _Late(self._warehouse)),
            objects=cast(ObjectStore, _Late(self._objects)),
            workers={name: cast(Worker, _Late(partial(self._worker, name))) for name in self.pipeline.workers},
            clock=SystemClock(),
            wake_bucket=WAKE_BUCKET,
            asks_for_reports=True,
        )

    @cached_property
    def installation(self) -> Installation:
        """Return what a run stands on beside the ports."""
        from phasegate.adapters.gcp.preflight.installation import CloudInstallation

        return CloudInstallation(self.settings)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """See the service."""
        return Dispatcher(self.backend)

    @cached_property
    def reconciler(self) -> Reconciler:
        """See the service."""
        return Reconciler(self.backend, self.dispatcher)

    @cached_property
    def runner(self) -> Runner:
        """See the service."""
        return Runner(self.backend, self.dispatcher)

    @cached_property
    def listener(self) -> Listener:
        """See the service."""
        return Listener(self.backend, self.reconciler)

    @cached_property
    def external_events(self) -> ExternalEventListener:
        """See the service."""
        return ExternalEventListener(self.backend, self.reconciler)

    @cached_property
    def conductor(self) -> Conductor:
        """See the service."""
        return Conductor(self.backend, self.dispatcher, Historian(self.backend))

    @cached_property
    def sweeper(self) -> Sweeper:
        """See the service."""
        return Sweeper(self.backend, self.reconciler, self.dispatcher)

    def _state(self) -> State:
        from phasegate.adapters.gcp.clients import firestore_client
        from phasegate.adapters.gcp.firestore.state import FirestoreState

        return FirestoreState(firestore_client(self.settings))

    def _tasks(self) -> Tasks:
        from phasegate.adapters.gcp.tasks import CloudTasks, delivery_deadlines

        return CloudTasks(self.settings, delivery_deadlines(self.pipeline))

    def _events(self) -> Events:
        from phasegate.adapters.gcp.events import PubSubEvents

        return PubSubEvents(self.settings)

    def _warehouse(self) -> Warehouse:
        from phasegate.adapters.gcp.bigquery.warehouse import BigQueryWarehouse
        from phasegate.adapters.gcp.clients import bigquery_client

        return BigQueryWarehouse(bigquery_client(self.settings), self.settings, labels={"phasegate": "orchestrator"})

    def _objects(self) -> ObjectStore:
        from phasegate.adapters.gcp.clients import storage_client
        from phasegate.adapters.gcp.objects import GcsObjectStore

        return GcsObjectStore(storage_client(self.settings), self.settings.bucket)

    def _worker(self, name: str) -> Worker:
        from phasegate.adapters.gcp.http.identity import IdentityTokens
        from phasegate.adapters.gcp.http.worker import HttpWorker

        url = self.pipeline.workers[name].url
        if url is None:
            raise InputError(f"{self.pipeline_file}: workers.{name}.url: is needed to call it over HTTP, and not there")
        return HttpWorker(url, token=IdentityTokens() if self.settings.invoker else None)


class _Late:
    """A port that is made when it is first used: a function imports and connects to nothing that it does not need."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._made, self._lock = make, None, Lock()

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)
