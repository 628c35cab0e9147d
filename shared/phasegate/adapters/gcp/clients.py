"""Google's clients are made once per process, when they are first used; against emulators they need no credentials."""

import os
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from phasegate.adapters.gcp.settings import CloudSettings

if TYPE_CHECKING:
    from google.cloud.bigquery import Client as BigQueryClient
    from google.cloud.firestore import Client as FirestoreClient
    from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
    from google.cloud.storage import Client as StorageClient
    from google.cloud.tasks_v2 import CloudTasksClient

TASKS_EMULATOR = "CLOUD_TASKS_EMULATOR_HOST"
BIGQUERY_EMULATOR = "BIGQUERY_EMULATOR_HOST"
"""``host:port`` of stand-ins for which Google's clients know no variable of their own."""


CONNECTIONS = 64
"""Connections that a client of an HTTP API keeps open."""

HttpClient = TypeVar("HttpClient")


@lru_cache(maxsize=4)
def firestore_client(settings: CloudSettings) -> "FirestoreClient":
    """Return a client of Firestore; it reads ``FIRESTORE_EMULATOR_HOST`` itself."""
    from google.cloud.firestore import Client

    return Client(project=settings.project, database=settings.database)


@lru_cache(maxsize=1)
def tasks_client() -> "CloudTasksClient":
    """Return a client of Cloud Tasks, or of its stand-in named by ``CLOUD_TASKS_EMULATOR_HOST``."""
    from google.cloud.tasks_v2 import CloudTasksClient

    host = os.environ.get(TASKS_EMULATOR)
    if not host:
        return CloudTasksClient()
    import grpc
    from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

    return CloudTasksClient(transport=CloudTasksGrpcTransport(channel=grpc.insecure_channel(host)))


@lru_cache(maxsize=1)
def publisher() -> "PublisherClient":
    """Return a client of Pub/Sub's topics, which reads ``PUBSUB_EMULATOR_HOST`` itself.

    It sends at once, unless a burst waits for the wire.
    """
    from google.cloud.pubsub_v1 import PublisherClient
    from google.cloud.pubsub_v1.types import BatchSettings, LimitExceededBehavior, PublisherOptions, PublishFlowControl

    flow = PublishFlowControl(message_limit=1000, limit_exceeded_behavior=LimitExceededBehavior.BLOCK)
    return PublisherClient(
        batch_settings=BatchSettings(max_messages=100, max_latency=0.005),
        publisher_options=PublisherOptions(flow_control=flow),
    )


@lru_cache(maxsize=1)
def subscriber() -> "SubscriberClient":
    """Return a client of Pub/Sub's subscriptions; it reads ``PUBSUB_EMULATOR_HOST`` itself."""
    from google.cloud.pubsub_v1 import SubscriberClient

    return SubscriberClient()


@lru_cache(maxsize=4)
def bigquery_client(settings: CloudSettings) -> "BigQueryClient":
    """Return a client of BigQuery, or of its stand-in named by ``BIGQUERY_EMULATOR_HOST``."""
    from google.cloud.bigquery import Client

    host = os.environ.get(BIGQUERY_EMULATOR)
    if not host:
        return _widened(Client(project=settings.project, location=settings.location))
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials

    options = ClientOptions(api_endpoint=f"http://{host}")
    return _widened(Client(project=settings.project, credentials=AnonymousCredentials(), client_options=options))


@lru_cache(maxsize=4)
def storage_client(settings: CloudSettings) -> "StorageClient":
    """Return a client of Cloud Storage; it reads ``STORAGE_EMULATOR_HOST`` (a URL) itself."""
    from google.cloud.storage import Client

    if not os.environ.get("STORAGE_EMULATOR_HOST"):
        return _widened(Client(project=settings.project))
    from google.auth.credentials import AnonymousCredentials

    return _widened(Client(project=settings.project, credentials=AnonymousCredentials()))


def _widened(client: HttpClient) -> HttpClient:
    """The same client, with connections for as many threads as a function serves requests; by itself it keeps ten."""
    from requests.adapters import HTTPAdapter

    adapter = HTTPAdapter(pool_connections=CONNECTIONS, pool_maxsize=CONNECTIONS)
    for scheme in ("http://", "https://"):
        client._http.mount(scheme, adapter)  # type: ignore[attr-defined]  # untyped
    return client
