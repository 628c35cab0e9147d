"""State, tables and objects are examined here: they must be reachable, in one location, with the rights and the quotas
that a run needs.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

from phasegate.adapters.gcp.clients import BIGQUERY_EMULATOR, bigquery_client, firestore_client, storage_client
from phasegate.adapters.gcp.preflight.examine import PATIENCE_SECONDS, emulated, examine, is_emulated
from phasegate.adapters.gcp.retries import retry_within
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.operations.preflight import PreflightLine

MODIFICATIONS_A_DAY, LOADS_A_DAY = 30_000, 1_500
"""Partition modifications and load jobs that BigQuery takes for one table in a day
(https://cloud.google.com/bigquery/quotas, 2026); the day is that of California."""

NEARLY = 0.8
"""Share of a day's quota from which on no run is started: hundreds of dates are still to come."""

OBJECTS = ("storage.objects.get", "storage.objects.list")
"""What a start needs of the bucket: whoever plans looks which objects are there, and writes none."""

READ = "bigquery.tables.getData"


def inspect_firestore(settings: CloudSettings) -> list[PreflightLine]:
    """Examine whether Firestore answers, with one read."""

    def wrong() -> Iterator[tuple[str, str]]:
        runs = firestore_client(settings).collection("runs").limit(1)
        runs.get(retry=retry_within(PATIENCE_SECONDS), timeout=PATIENCE_SECONDS)
        yield from ()

    return examine("firestore", settings.database, "roles/datastore.user", wrong)


def inspect_datasets(settings: CloudSettings, tables: Sequence[str]) -> list[PreflightLine]:
    """Examine whether all datasets are in the deployment's location. A query cannot join tables of two."""
    client = bigquery_client(settings)

    def wrong(name: str) -> Iterator[tuple[str, str]]:
        location = str(client.get_dataset(name, timeout=PATIENCE_SECONDS).location or "unnamed")
        if location.casefold() != settings.location.casefold():
            remedy = f"all datasets must be in {settings.location} (PHASEGATE_LOCATION): copy it there"
            yield f"is in location {location}", remedy

    names = sorted({table.partition(".")[0] for table in tables})
    return list(
        chain.from_iterable(examine("dataset", n, "roles/bigquery.metadataViewer", partial(wrong, n)) for n in names)
    )


def inspect_rights(settings: CloudSettings, table: str) -> list[PreflightLine]:
    """Examine whether this identity may read a table, and the bucket."""

    def of_table() -> Iterator[tuple[str, str]]:
        found = bigquery_client(settings).test_iam_permissions(table, [READ], timeout=PATIENCE_SECONDS)
        if READ not in found.get("permissions", []):
            yield f"is not granted on {table}", "grant roles/bigquery.dataViewer"

    def of_bucket() -> Iterator[tuple[str, str]]:
        bucket = storage_client(settings).bucket(settings.bucket)
        granted = bucket.test_iam_permissions(list(OBJECTS), timeout=PATIENCE_SECONDS)
        if missing := [name for name in OBJECTS if name not in granted]:
            yield f"{', '.join(missing)} not granted on {settings.bucket}", "grant roles/storage.objectViewer"

    lines: list[PreflightLine] = []
    for emulator, subject, wrong in (
        (BIGQUERY_EMULATOR, READ, of_table),
        ("STORAGE_EMULATOR_HOST", "storage.objects", of_bucket),
    ):
        if is_emulated(emulator):
            lines.append(emulated("permission", subject))
        else:
            lines += examine("permission", subject, "roles/iam.securityReviewer", wrong)
    return lines


def inspect_quotas(settings: CloudSettings, tables: Sequence[str]) -> list[PreflightLine]:
    """Examine whether enough is left of what BigQuery takes for one table per day. One query of the project's jobs, 10
    MB billed.
    """
    if is_emulated(BIGQUERY_EMULATOR):
        return [emulated("quota", "BigQuery")]
    sql = (
        "SELECT CONCAT(destination_table.dataset_id, '.', destination_table.table_id) AS name, "
        "COUNTIF(job_type = 'LOAD') AS loads, COUNTIF(statement_type IN ('INSERT', 'DELETE', 'UPDATE', 'MERGE')) AS "
        f"changes FROM `region-{settings.location.lower()}`.INFORMATION_SCHEMA.JOBS_BY_PROJECT "
        "WHERE creation_time >= TIMESTAMP(CURRENT_DATE('America/Los_Angeles'), 'America/Los_Angeles') "
        "AND destination_table.dataset_id IS NOT NULL GROUP BY name"
    )

    def wrong() -> Iterator[tuple[str, str]]:
        for row in bigquery_client(settings).query_and_wait(sql, api_timeout=PATIENCE_SECONDS):
            for what, used, most in (
                ("loads", row["loads"], LOADS_A_DAY),
                ("changes", row["changes"], MODIFICATIONS_A_DAY),
            ):
                if row["name"] in tables and used >= NEARLY * most:
                    yield (
                        f"{row['name']}: {used:,} of {most:,} {what} a day are used",
                        "wait until midnight in California",
                    )

    return examine("quota", "BigQuery", "roles/bigquery.resourceViewer", wrong)
