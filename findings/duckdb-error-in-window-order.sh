#!/usr/bin/env bash
# DuckDB (Python package duckdb): error() in the ORDER BY of a window.
#
# Expected: an expression that raises for some values, and for none of these, may order a window.
# Behaviour: error() counts as volatile, and the statement does not bind, whether it would raise or not. A cast that
#   fails in its place is taken.
#
# Seen on 2026-11-30, Python 3.11, Linux x86_64, duckdb 2.0.1: the lines at the end of this file.
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the packages could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "duckdb==2.0.1" || exit 2

cat >"$folder/ask.py" <<'PY'
import duckdb

for guard in ("error('zero')", "CAST('zero' AS TINYINT)"):
    sql = f"SELECT rank() OVER (ORDER BY CASE WHEN x = 0 THEN {guard} ELSE 1 / x END) FROM unnest([1, 2]) AS t(x)"
    try:
        print(f"{guard}: {sorted(row[0] for row in duckdb.sql(sql).fetchall())}")
    except duckdb.Error as error:
        print(f"{guard}: {str(error).splitlines()[0]}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
error('zero'): Binder Error: ORDER BY window expressions cannot be volatile
CAST('zero' AS TINYINT): [1, 2]
SEEN
echo "as on 2026-11-30"
