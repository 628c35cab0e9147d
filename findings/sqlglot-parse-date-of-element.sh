#!/usr/bin/env bash
# sqlglot, from BigQuery to DuckDB: PARSE_DATE of an element of an array.
#
# Expected: the element that SAFE_OFFSET(0) names, the first
#   (https://cloud.google.com/bigquery/docs/reference/standard-sql/operators#array_subscript_operator).
# Behaviour: the call is written as DuckDB's text and read again, as that of a dialect whose arrays begin at 0: [1] comes
#   out as [2], the second element. PARSE_TIME too. There is no warning, also with unsupported_level=RAISE.
#
# Seen on 2026-11-30, Python 3.11, Linux x86_64, sqlglot 30.30.0, duckdb 2.0.1: the lines at the end of this file.
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the packages could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "sqlglot==30.30.0" "duckdb==2.0.1" || exit 2

cat >"$folder/ask.py" <<'PY'
import duckdb
import sqlglot


def translated(sql: str) -> str:
    return sqlglot.transpile(sql, read="bigquery", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)[0]


parts = "SPLIT('2024-01-31/2024-02-29', '/')[SAFE_OFFSET(0)]"
for expression in (parts, f"PARSE_DATE('%Y-%m-%d', {parts})"):
    sql = translated(f"SELECT {expression}")
    print(f"{sql}: {duckdb.sql(sql).fetchall()[0][0]}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
SELECT STR_SPLIT('2024-01-31/2024-02-29', '/')[1]: 2024-01-31
SELECT CAST(STRPTIME('1970 ' || STR_SPLIT('2024-01-31/2024-02-29', '/')[2], '%Y ' || '%Y-%m-%d') AS DATE): 2024-02-29
SEEN
echo "as on 2026-11-30"
