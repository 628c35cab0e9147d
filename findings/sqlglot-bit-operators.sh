#!/usr/bin/env bash
# sqlglot, from BigQuery: & beside |.
#
# Expected: & binds closer than |
#   (https://cloud.google.com/bigquery/docs/reference/standard-sql/operators#operator_precedence): 1 | 2 & 0 is 1.
# Behaviour: both are read with one precedence, from the left: the tree is (1 | 2) & 0, and another dialect that is
#   written from it has 0, as DuckDB reads the text too.
#
# Seen on 2026-11-30, Python 3.11, Linux x86_64, sqlglot 30.30.0, duckdb 2.0.1:
#   BitwiseAnd of BitwiseOr: 0, right: 1
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


tree = sqlglot.parse_one("SELECT 1 | 2 & 0", read="bigquery").expressions[0]
print(f"{type(tree).__name__} of {type(tree.this).__name__}: {duckdb.sql(translated('SELECT 1 | 2 & 0')).fetchall()[0][0]}, right: 1")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
BitwiseAnd of BitwiseOr: 0, right: 1
SEEN
echo "as on 2026-11-30"
