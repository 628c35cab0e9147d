"""What the stand-in for BigQuery keeps in another way than its makers had in mind."""

import time
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal

import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud.bigquery import Client, LoadJobConfig, QueryJobConfig, ScalarQueryParameter, SchemaField, Table

from phasegate.adapters.gcp.clients import bigquery_client
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.stack.emulators import Server

KEPT_SECONDS = 10.5
"""How long every result is kept, and a little more."""


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
    assert list(client.query_and_wait("SELECT a FROM listed.t")) == []
    client.query_and_wait("DROP TABLE listed.t")
    assert kinds(client) == {}
    with pytest.raises((NotFound, BadRequest)):
        client.query_and_wait("SELECT a FROM listed.t")


def test_a_script_finds_its_own_temporary_table(client: Client) -> None:
    rows = client.query_and_wait("CREATE TEMP TABLE x AS SELECT 7 AS a; SELECT a FROM x;")
    assert [row["a"] for row in rows] == [7]


def test_results_are_kept_for_ten_seconds_and_until_a_hundred_others_are_there(client: Client) -> None:
    begun, asked = time.monotonic(), []
    for _ in range(101):
        asked.append(client.query("SELECT 7 AS a"))
        assert [row["a"] for row in asked[-1].result()] == [7]
    if time.monotonic() < begun + KEPT_SECONDS:
        assert [row["a"] for row in client.get_job(asked[0].job_id).result()] == [7]
        time.sleep(begun + KEPT_SECONDS - time.monotonic())
    client.query_and_wait("SELECT 8 AS a")
    assert [row["a"] for row in client.get_job(asked[-90].job_id).result()] == [7]
    with pytest.raises(NotFound):
        list(client.get_job(asked[0].job_id).result())


def made_by_a_statement(client: Client, kind: str) -> None:
    client.query_and_wait(f"CREATE OR REPLACE TABLE listed.t (a {kind})")


def made_by_the_api(client: Client, kind: str) -> None:
    client.delete_table("listed.t", not_found_ok=True)
    client.create_table(Table("demo.listed.t", [SchemaField("a", kind)]))


def made_by_a_load(client: Client, kind: str) -> None:
    job = LoadJobConfig(schema=[SchemaField("a", kind)], write_disposition="WRITE_TRUNCATE")
    client.load_table_from_json([], "demo.listed.t", job_config=job).result()


@pytest.mark.parametrize("made", [made_by_a_statement, made_by_the_api, made_by_a_load])
def test_a_statement_that_was_asked_before_sees_a_table_made_anew(
    client: Client, made: Callable[[Client, str], None]
) -> None:
    seen = []
    for kind in ("FLOAT64", "NUMERIC"):
        made(client, kind)
        client.query_and_wait(f"INSERT INTO listed.t VALUES (CAST('0.5' AS {kind}))")
        (row,) = client.query_and_wait("SELECT AVG(a) AS mean FROM listed.t")
        seen.append(row["mean"])
    assert [(type(mean), mean) for mean in seen] == [(float, 0.5), (Decimal, Decimal("0.5"))]


def test_a_statement_that_found_no_table_finds_it_when_it_is_there(client: Client) -> None:
    with pytest.raises((NotFound, BadRequest)):
        client.query_and_wait("SELECT a FROM listed.t")
    client.query_and_wait("CREATE TABLE listed.t (a INT64)")
    assert list(client.query_and_wait("SELECT a FROM listed.t")) == []


def test_a_statement_that_was_asked_before_takes_other_values_and_types(client: Client) -> None:
    def answered(kind: str, value: object) -> object:
        parameters = [ScalarQueryParameter("given", kind, value)]
        (row,) = client.query_and_wait("SELECT @given AS a", job_config=QueryJobConfig(query_parameters=parameters))
        return row["a"]

    assert [answered("INT64", 7), answered("INT64", 8), answered("STRING", "8")] == [7, 8, "8"]
    assert answered("DATE", date(2024, 1, 2)) == date(2024, 1, 2)


def test_a_script_that_ran_before_merges_other_rows(client: Client) -> None:
    client.query_and_wait("CREATE TABLE listed.t (a INT64, b INT64)")
    merge = (
        "MERGE listed.t AS held USING (SELECT @a AS a, @b AS b) AS fresh ON held.a = fresh.a"
        " WHEN MATCHED THEN UPDATE SET b = fresh.b WHEN NOT MATCHED THEN INSERT (a, b) VALUES (a, b)"
    )
    for a, b in ((1, 10), (2, 20), (1, 11)):
        given = [ScalarQueryParameter("a", "INT64", a), ScalarQueryParameter("b", "INT64", b)]
        client.query_and_wait(merge, job_config=QueryJobConfig(query_parameters=given))
    rows = client.query_and_wait("SELECT a, b FROM listed.t ORDER BY a")
    assert [tuple(row.values()) for row in rows] == [(1, 11), (2, 20)]
