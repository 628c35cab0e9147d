#!/usr/bin/env bash
# sqlglot, from BigQuery to DuckDB: TIMESTAMP_DIFF.
#
# Expected: whole units: from 23:59:59 to 00:00:01 it is 0 hours and 0 days
#   (https://cloud.google.com/bigquery/docs/reference/standard-sql/timestamp_functions#timestamp_diff).
# Behaviour: it becomes DATE_DIFF, which counts the boundaries between the two: 1 hour and 1 day. DuckDB's DATE_SUB
#   counts whole units. DATE_DIFF of BigQuery's DATEs counts boundaries and is translated rightly.
#
# Seen on 2026-11-30, Python 3.11, Linux x86_64, sqlglot 30.30.0, duckdb 2.0.1:
#   SECOND 2
#   HOUR 1
#   DAY 1
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


for unit in ("SECOND", "HOUR", "DAY"):
    sql = f"SELECT TIMESTAMP_DIFF(TIMESTAMP '2026-11-30 00:00:01+00', TIMESTAMP '2026-11-29 23:59:59+00', {unit})"
    print(f"{unit} {duckdb.sql(translated(sql)).fetchall()[0][0]}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
SECOND 2
HOUR 1
DAY 1
SEEN
echo "as on 2026-11-30"
