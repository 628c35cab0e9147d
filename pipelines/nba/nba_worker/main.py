"""The reference worker is a Cloud Run function as well: entry point ``nba``.

Its source folder is ``PHASEGATE_NBA_SOURCE``: a folder of the image, or ``gs://bucket/folder``, of which each instance
takes a copy (some megabytes). It writes to the BigQuery and the bucket of the deployment.

The process that loads this file is forked before it serves, and a DuckDB that was opened before must not be closed
afterwards: the worker is made at the first request, and nothing of it before.
"""

import os
from functools import lru_cache
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from threading import Lock

import flask
import functions_framework

from nba_worker.service import NbaWorker, build
from nba_worker.source import SourceFolder
from phasegate import telemetry
from phasegate.adapters.gcp.bigquery.warehouse import BigQueryWarehouse
from phasegate.adapters.gcp.clients import bigquery_client, storage_client
from phasegate.adapters.gcp.objects import GcsObjectStore
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.errors import InputError

SOURCE = "PHASEGATE_NBA_SOURCE"


BUCKET = "gs://"
_making = Lock()


def _place() -> str:
    if not (place := os.environ.get(SOURCE)):
        raise InputError(f"{SOURCE} is not set: give the folder with schedule.parquet and the box scores")
    return place


@lru_cache(maxsize=1)
def _worker() -> NbaWorker:
    place, settings = _place(), CloudSettings.from_environment()
    warehouse = BigQueryWarehouse(bigquery_client(settings), settings, labels={"phasegate": "worker-nba"})
    objects = GcsObjectStore(storage_client(settings), settings.bucket)
    return build(_folder(place, settings), warehouse, objects)


def _folder(place: str, settings: CloudSettings) -> Path:
    """The source folder; of one in a bucket a copy."""
    if not place.startswith(BUCKET):
        return Path(place)
    bucket, _, inside = place.removeprefix(BUCKET).partition("/")
    copy = Path(mkdtemp())
    for blob in storage_client(settings).list_blobs(bucket, prefix=f"{inside.rstrip('/')}/", delimiter="/"):
        if blob.name.endswith(".parquet"):
            blob.download_to_filename(str(copy / PurePosixPath(blob.name).name))
    return copy


telemetry.configure("nba")
if not _place().startswith(BUCKET):
    # A folder or setting that is wrong is seen by whoever deploys. A bucket may be filled after that.
    CloudSettings.from_environment()
    SourceFolder(Path(_place())).close()


@functions_framework.http
def nba(request: flask.Request) -> tuple[str, int, dict[str, str]]:
    """Answer one request; the paths are those of ``NbaWorker``, ``/prepare`` and ``/health``."""
    with _making:
        worker = _worker()
    return worker.service.respond(request)
