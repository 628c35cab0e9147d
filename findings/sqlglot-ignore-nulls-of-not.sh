#!/usr/bin/env bash
# sqlglot, from BigQuery to DuckDB: ARRAY_AGG(NOT x IGNORE NULLS).
#
# Expected: NOT of each x that is not NULL
#   (https://cloud.google.com/bigquery/docs/reference/standard-sql/aggregate_functions#array_agg).
# Behaviour: it becomes FILTER(WHERE NOT x IS NOT NULL), which is NOT (x IS NOT NULL): the NULLs are kept, the others left
#   out. There is no warning, also with unsupported_level=RAISE.
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


for aggregated in ("NOT x", "(NOT x)"):
    sql = translated(f"SELECT ARRAY_AGG({aggregated} IGNORE NULLS) FROM (SELECT TRUE AS x UNION ALL SELECT NULL)")
    print(f"{sql}: {duckdb.sql(sql).fetchall()[0][0]}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
SELECT ARRAY_AGG(NOT x) FILTER(WHERE NOT x IS NOT NULL) FROM (SELECT TRUE AS x UNION ALL SELECT NULL): [None]
SELECT ARRAY_AGG((NOT x)) FILTER(WHERE (NOT x) IS NOT NULL) FROM (SELECT TRUE AS x UNION ALL SELECT NULL): [False]
SEEN
echo "as on 2026-11-30"
