"""The stand-in for BigQuery, made quick with many tables: local-bigquery 0.3.2, with one question of its answered here.

This file runs in the stand-in's own environment, and takes the words of its command. For every statement the stand-in
asks DuckDB several times which tables there are, by ``duckdb_tables()``, which reads the statistics of them all: 2 ms
per table, half a second per statement with the fifty tables of the reference pipeline. DuckLake's catalogue knows.
"""

import functools
from typing import Any

from local_bigquery import cli
from local_bigquery.engine import database

TABLES = """
CREATE MACRO main.duckdb_tables() AS TABLE
SELECT 'demo' AS database_name, schema_name, table_name, FALSE AS temporary, COALESCE(record_count, 0) AS estimated_size
FROM __ducklake_metadata_demo.main.ducklake_table AS of_table
JOIN __ducklake_metadata_demo.main.ducklake_schema AS of_schema USING (schema_id)
LEFT JOIN __ducklake_metadata_demo.main.ducklake_table_stats USING (table_id)
WHERE of_table.end_snapshot IS NULL AND of_schema.end_snapshot IS NULL
UNION ALL
SELECT DISTINCT 'emulator', schema_name, table_name, FALSE, 0 FROM duckdb_columns() WHERE database_name = 'emulator'
UNION ALL
SELECT DISTINCT 'temp', schema_name, table_name, TRUE, 0 FROM duckdb_columns() WHERE database_name = 'temp'
"""
"""A function that is found before DuckDB's of the same name: tables of the one project, of results and of scripts.

Three parts with a constant each: DuckDB drops those that a question is not about.
"""

_connect = database._connect


@functools.cache
def connect() -> Any:
    """The connection to the stand-in's data, on which every cursor finds ``TABLES``."""
    made = _connect()
    made.execute(TABLES)
    return made


if __name__ == "__main__":
    database._connect = connect
    cli.main()
