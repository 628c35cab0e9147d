#!/usr/bin/env bash
# DuckDB (Python package duckdb): text of a read_csv column whose type was declared.
#
# Expected: read_csv(..., columns = {'n': 'INTEGER'}) gives INTEGER values, and CAST(n AS VARCHAR) their text, as it does
#   once the rows are in a table.
# Behaviour: from 2.0.0 on a cast to VARCHAR that stands directly on the column is answered with the characters of the
#   file, although typeof says INTEGER: '007' and not '7', '1.50' and not '1.5', a timestamp with the offset that its value
#   has not. So LENGTH, || and GROUP BY of the text differ between the file and a table that was made from it; an
#   expression in between (n + 0) brings the value's text back. Up to 1.5.5 all are the value's.
#
# Seen on 2026-11-29, Python 3.11, Linux x86_64:
#   1.5.5: file 7 2026-01-01 02:00:00 1.5 | INTEGER 7 | table 7 2026-01-01 02:00:00 1.5
#   2.0.1: file 007 2026-01-01T02:00:00+02:00 1.50 | INTEGER 7 | table 7 2026-01-01 02:00:00 1.5
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the packages could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

printf 'n,t,d\n007,2026-01-01T02:00:00+02:00,1.50\n' >"$folder/rows.csv"
cat >"$folder/ask.py" <<'PY'
import sys

import duckdb

types = "{'n': 'INTEGER', 't': 'TIMESTAMP', 'd': 'DOUBLE'}"
file = f"read_csv('{sys.argv[1]}', header = true, columns = {types})"
texts = "CAST(n AS VARCHAR), CAST(t AS VARCHAR), CAST(d AS VARCHAR)"
of_file = duckdb.sql(f"SELECT {texts} FROM {file}").fetchall()[0]
kind = duckdb.sql(f"SELECT typeof(n), CAST(n + 0 AS VARCHAR) FROM {file}").fetchall()[0]
duckdb.sql(f"CREATE TABLE rows AS SELECT * FROM {file}")
of_table = duckdb.sql(f"SELECT {texts} FROM rows").fetchall()[0]
print(f"{duckdb.__version__}: file", *of_file, "|", *kind, "| table", *of_table)
PY

for version in 1.5.5 2.0.1; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/python" -m pip install --quiet --disable-pip-version-check "duckdb==$version" || exit 2
    "$folder/$version/bin/python" "$folder/ask.py" "$folder/rows.csv"
done | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
1.5.5: file 7 2026-01-01 02:00:00 1.5 | INTEGER 7 | table 7 2026-01-01 02:00:00 1.5
2.0.1: file 007 2026-01-01T02:00:00+02:00 1.50 | INTEGER 7 | table 7 2026-01-01 02:00:00 1.5
SEEN
echo "as on 2026-11-29"
