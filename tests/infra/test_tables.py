"""The orchestrator's own tables have the columns that its code writes, wherever they are made."""

import json

from phasegate.adapters.bigquery_sql import read_script
from phasegate.report.verifier import _COLUMNS
from phasegate.services.reading.ages import CONTENTS_COLUMNS
from phasegate.services.starting.own_tables import HISTORY_COLUMNS
from tests.conftest import ROOT

SCHEMAS = ROOT / "infra" / "terraform" / "schemas"
NAMES = {"INT64": "INTEGER", "BIGINT": "INTEGER", "BOOL": "BOOLEAN", "FLOAT64": "FLOAT"}
"""Types as SQL and as the schema of a table call them."""


def schema(name: str) -> list[tuple[str, str]]:
    """(column, type) of a table as Terraform makes it."""
    return [(column["name"], column["type"]) for column in json.loads((SCHEMAS / f"{name}.json").read_text())]


def columns(ddl: str, table: str) -> list[tuple[str, str]]:
    """(column, type) of a table as a script makes it."""
    for tree in read_script(ddl):
        if tree.this.this.name == table:
            kinds = [(column.name, column.args["kind"].sql("bigquery")) for column in tree.this.expressions]
            return [(name, NAMES.get(kind, kind)) for name, kind in kinds]
    raise AssertionError(f"no table {table}")


def test_the_history_is_that_which_a_start_would_make() -> None:
    ddl = f"CREATE TABLE IF NOT EXISTS `d.history` ({HISTORY_COLUMNS})"
    assert schema("processor_run_history") == columns(ddl, "history")


def test_the_reports_are_those_that_the_verifier_would_make() -> None:
    assert schema("backfill_reports") == columns(f"CREATE TABLE IF NOT EXISTS `d.reports` ({_COLUMNS})", "reports")


def test_the_records_of_what_outputs_were_made_from_are_those_that_the_recorder_would_make() -> None:
    made = columns(f"CREATE TABLE IF NOT EXISTS `d.contents` ({CONTENTS_COLUMNS})", "contents")
    assert schema("backfill_contents") == made


def test_events_are_the_columns_that_pubsub_writes() -> None:
    """https://cloud.google.com/pubsub/docs/bigquery: metadata, and the message as it is."""
    assert schema("backfill_events") == [
        ("subscription_name", "STRING"),
        ("message_id", "STRING"),
        ("publish_time", "TIMESTAMP"),
        ("data", "JSON"),
        ("attributes", "JSON"),
    ]
