#!/usr/bin/env bash
# sqlglot, from BigQuery to DuckDB: DIV of a sum.
#
# Expected: DIV(a - 1, b) is the whole quotient of a - 1 and b
#   (https://cloud.google.com/bigquery/docs/reference/standard-sql/mathematical_functions#div).
# Behaviour: it becomes a - 1 // b: of the dividend its last term alone is divided. There is no warning, also with
#   unsupported_level=RAISE. MOD of the same gets its brackets.
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


for function in ("DIV", "MOD"):
    sql = translated(f"SELECT {function}(a - 1, b) FROM (SELECT 9 AS a, 4 AS b)")
    print(f"{sql}: {duckdb.sql(sql).fetchall()[0][0]}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
SELECT a - 1 // b FROM (SELECT 9 AS a, 4 AS b): 9
SELECT (a - 1) % b FROM (SELECT 9 AS a, 4 AS b): 0
SEEN
echo "as on 2026-11-30"
