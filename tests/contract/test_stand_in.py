"""BigQuery's stand-in is no judge: where a row of the table says that it differs, it still does."""

import math
from typing import Any

import pytest
from google.api_core.exceptions import GoogleAPIError
from google.cloud.bigquery import Client

from phasegate.adapters.gcp.clients import bigquery_client
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.stack.emulators import Server
from tests.contract.test_dialect import ROWS, statement
from tests.judge.words import in_words

DIFFERENT = [row for row in ROWS if "stand_in" in row]


@pytest.fixture(scope="module")
def client(bigquery_emulator: Server) -> Client:
    """The stand-in's client."""
    return bigquery_client(CloudSettings.from_environment())


def said(client: Client, sql: str) -> str:
    """What the stand-in says of a statement, in the words of the table."""
    try:
        values = [in_words(row[0], "") for row in client.query_and_wait(sql, retry=None, job_retry=None)]
    except (GoogleAPIError, ValueError):
        return "an error"
    value: Any = values[0] if len(values) == 1 else values
    if value is None:
        return "NULL"
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    return f"'{value}'" if isinstance(value, str) else str(value)


def test_the_stand_in_differs_where_the_table_says_so(client: Client) -> None:
    found = {statement(row): said(client, statement(row)) for row in DIFFERENT}
    assert found == {statement(row): row["stand_in"] for row in DIFFERENT}
