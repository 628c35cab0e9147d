#!/usr/bin/env bash
# sqlglot, from BigQuery to DuckDB: UNNEST … WITH OFFSET.
#
# Expected: offsets count from 0
#   (https://cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax#unnest_and_with_offset).
# Behaviour: it becomes WITH ORDINALITY, which counts from 1, and the column is read as it is: every offset is one
#   too high, and a condition o = 0 finds nothing. There is no warning, also with unsupported_level=RAISE.
#
# Seen on 2026-11-30, Python 3.11, Linux x86_64, sqlglot 30.30.0, duckdb 2.0.1:
#   TRUE: [('a', 1), ('b', 2)]
#   o = 0: []
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


for condition in ("TRUE", "o = 0"):
    sql = f"SELECT x, o FROM UNNEST(['a', 'b']) AS x WITH OFFSET AS o WHERE {condition}"
    print(f"{condition}: {duckdb.sql(translated(sql)).fetchall()}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
TRUE: [('a', 1), ('b', 2)]
o = 0: []
SEEN
echo "as on 2026-11-30"
