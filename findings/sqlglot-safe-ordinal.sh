#!/usr/bin/env bash
# sqlglot, from BigQuery to DuckDB: SAFE_ORDINAL and SAFE_OFFSET before the beginning.
#
# Expected: NULL for a place that the array does not have
#   (https://cloud.google.com/bigquery/docs/reference/standard-sql/operators#array_subscript_operator).
# Behaviour: the place is handed on as DuckDB's subscript, where a negative one counts from the end: an element that
#   was not asked for. There is no warning, also with unsupported_level=RAISE.
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


for place in ("SAFE_ORDINAL(-1)", "SAFE_OFFSET(-2)", "SAFE_OFFSET(5)"):
    print(f"{place}: {duckdb.sql(translated(f'SELECT [7, 8, 9][{place}]')).fetchall()[0][0]}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
SAFE_ORDINAL(-1): 9
SAFE_OFFSET(-2): 9
SAFE_OFFSET(5): None
SEEN
echo "as on 2026-11-30"
