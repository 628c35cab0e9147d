#!/usr/bin/env bash
# sqlglot, from BigQuery to DuckDB: FORMAT.
#
# Expected: FORMAT('%.3f', x) becomes PRINTF('%.3f', x), or sqlglot says that it cannot translate it. BigQuery's FORMAT takes the
#   specifiers of printf (https://cloud.google.com/bigquery/docs/reference/standard-sql/string_functions#format_string);
#   DuckDB has both functions, and its FORMAT takes {} in their place.
# Behaviour: FORMAT is passed on unchanged and without a warning, also with unsupported_level=RAISE. DuckDB finds no {} in it and
#   gives the text of the format back, for every row the same; there is no error.
#
# Seen on 2026-11-29, Python 3.11, Linux x86_64, sqlglot 30.30.0, duckdb 2.0.1:
#   SELECT FORMAT('%.3f', x) AS s FROM t | 1.5 -> %.3f | 2.5 -> %.3f | PRINTF: 1.500
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

written = "SELECT FORMAT('%.3f', x) AS s FROM t"
sql = sqlglot.transpile(written, read="bigquery", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)[0]
duckdb.sql("CREATE TABLE t AS SELECT unnest([1.5::DOUBLE, 2.5::DOUBLE]) AS x")
shown = [text for (text,) in duckdb.sql(f"{sql} ORDER BY x").fetchall()]
meant = duckdb.sql("SELECT PRINTF('%.3f', 1.5::DOUBLE)").fetchall()[0][0]
print(f"{sql} | 1.5 -> {shown[0]} | 2.5 -> {shown[1]} | PRINTF: {meant}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
SELECT FORMAT('%.3f', x) AS s FROM t | 1.5 -> %.3f | 2.5 -> %.3f | PRINTF: 1.500
SEEN
echo "as on 2026-11-29"
