#!/usr/bin/env bash
# sqlglot, from BigQuery to DuckDB: ~ before an operator.
#
# Expected: ~1 + 3 is 1: ~ binds closer than +
#   (https://cloud.google.com/bigquery/docs/reference/standard-sql/operators#operator_precedence).
# Behaviour: it is written as it is, and DuckDB binds ~ less than +: -5. There is no warning, also with
#   unsupported_level=RAISE.
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


for expression in ("~1 + 3", "(~1) + 3"):
    sql = translated(f"SELECT {expression}")
    print(f"{sql}: {duckdb.sql(sql).fetchall()[0][0]}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
SELECT ~1 + 3: -5
SELECT (~1) + 3: 1
SEEN
echo "as on 2026-11-30"
