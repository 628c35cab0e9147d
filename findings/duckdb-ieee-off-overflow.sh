#!/usr/bin/env bash
# DuckDB (Python package duckdb): ieee_floating_point_ops, and a DOUBLE beyond its range.
#
# Expected: with the setting off, what has no finite result is an error: a root, a logarithm, a division by zero, and a
#   product or a sum that is too large.
# Behaviour: roots, logarithms and divisions are errors; a product, a sum of two and SUM beyond 1.8e308 are infinite, as
#   with the setting on. A database that is to raise there needs a check of its own around each.
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

with duckdb.connect() as database:
    database.execute("SET ieee_floating_point_ops = false")
    for asked in (
        "sqrt(-1e0)",
        "ln(0e0)",
        "1e0 / 0e0",
        "1e308 * 10e0",
        "1.7e308 + 1.7e308",
        "(SELECT sum(x) FROM unnest([1.7e308, 1.7e308]) AS t(x))",
    ):
        try:
            print(f"{asked}: {database.sql(f'SELECT {asked}').fetchall()[0][0]}")
        except duckdb.Error as error:
            print(f"{asked}: {type(error).__name__}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
sqrt(-1e0): OutOfRangeException
ln(0e0): OutOfRangeException
1e0 / 0e0: InvalidInputException
1e308 * 10e0: inf
1.7e308 + 1.7e308: inf
(SELECT sum(x) FROM unnest([1.7e308, 1.7e308]) AS t(x)): inf
SEEN
echo "as on 2026-11-30"
