"""What the stand-in for BigQuery keeps in another way than its makers had in mind."""

from collections.abc import Iterator

import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud.bigquery import Client

from phasegate.adapters.gcp.clients import bigquery_client
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.stack.emulators import Server


@pytest.fixture
def client(bigquery_emulator: Server) -> Iterator[Client]:
    """A client, and an empty dataset ``listed``."""
    made = bigquery_client(CloudSettings.from_environment())
    made.create_dataset("listed")
    yield made
    made.delete_dataset("listed", delete_contents=True)


def kinds(client: Client) -> dict[str, str]:
    """Table -> type, of the dataset."""
    return {table.table_id: table.table_type for table in client.list_tables("listed")}


def test_tables_and_views_of_a_dataset_are_listed(client: Client) -> None:
    client.query_and_wait("CREATE TABLE listed.t (a INT64)")
    client.query_and_wait("CREATE VIEW listed.v AS SELECT a FROM listed.t")
    assert kinds(client) == {"t": "TABLE", "v": "VIEW"}


def test_a_table_knows_how_many_rows_it_holds(client: Client) -> None:
    client.query_and_wait("CREATE TABLE listed.t (a INT64)")
    assert client.get_table("listed.t").num_rows == 0
    client.query_and_wait("INSERT INTO listed.t VALUES (1), (2)")
    assert client.get_table("listed.t").num_rows == 2


def test_a_table_that_was_dropped_is_gone(client: Client) -> None:
    client.query_and_wait("CREATE TABLE listed.t (a INT64)")
    client.query_and_wait("DROP TABLE listed.t")
    assert kinds(client) == {}
    with pytest.raises((NotFound, BadRequest)):
        client.query_and_wait("SELECT a FROM listed.t")


def test_a_script_finds_its_own_temporary_table(client: Client) -> None:
    rows = client.query_and_wait("CREATE TEMP TABLE x AS SELECT 7 AS a; SELECT a FROM x;")
    assert [row["a"] for row in rows] == [7]


def test_results_are_kept_until_a_hundred_others_are_there(client: Client) -> None:
    asked = []
    for _ in range(102):
        asked.append(client.query("SELECT 7 AS a"))
        assert [row["a"] for row in asked[-1].result()] == [7]
    assert [row["a"] for row in client.get_job(asked[-90].job_id).result()] == [7]
    with pytest.raises(NotFound):
        list(client.get_job(asked[0].job_id).result())
