"""The reference worker as a Cloud Run function: entry point ``nba``.

Its source folder is ``PHASEGATE_NBA_SOURCE`` (a mounted bucket, or a folder of the image); it writes to the BigQuery
and the bucket of the deployment.
"""

import os
from pathlib import Path

import flask
import functions_framework

from shared import telemetry
from shared.adapters.gcp.clients import bigquery_client, storage_client
from shared.adapters.gcp.objects import GcsObjectStore
from shared.adapters.gcp.settings import CloudSettings
from shared.adapters.gcp.warehouse import BigQueryWarehouse
from shared.domain.errors import InputError
from workers.nba.service import NbaWorker, build

SOURCE = "PHASEGATE_NBA_SOURCE"


def _worker() -> NbaWorker:
    """Made when the instance starts: a folder or setting that is wrong is seen by whoever deploys."""
    if not os.environ.get(SOURCE):
        raise InputError(f"{SOURCE} is not set: give the folder with schedule.parquet and the box scores")
    settings = CloudSettings.from_environment()
    warehouse = BigQueryWarehouse(bigquery_client(settings), settings, labels={"phasegate": "worker-nba"})
    objects = GcsObjectStore(storage_client(settings), settings.bucket)
    return build(Path(os.environ[SOURCE]), warehouse, objects)


telemetry.configure("nba")
_SERVICE = _worker().service


@functions_framework.http
def nba(request: flask.Request) -> tuple[str, int, dict[str, str]]:
    """Answer one request; the paths are those of ``NbaWorker``, ``/prepare`` and ``/health``."""
    return _SERVICE.respond(request)
