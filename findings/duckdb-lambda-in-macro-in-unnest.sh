#!/usr/bin/env bash
# DuckDB (Python package duckdb): a macro with a lambda, called within an UNNEST of a FROM clause.
#
# Expected: a macro gives the same there as in a SELECT list.
# Behaviour: where the lambda reads a field of its parameter as v.x, the field's name is taken for a text: 'v.x' is
#   compared with 'v.y', without an error. v['x'] and struct_extract(v, 'x') are read right.
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
    for name, x, y in (("dotted", "v.x", "v.y"), ("subscript", "v['x']", "v['y']")):
        database.execute(f"CREATE MACRO {name}(x, y) AS list_transform([{{'x': x, 'y': y}}], lambda v: {x} > {y})[1]")
        print(f"{name}, in SELECT:", database.sql(f"SELECT {name}(7, 2)").fetchall()[0][0])
        print(f"{name}, in UNNEST:", database.sql(f"SELECT e FROM unnest([{name}(7, 2)]) AS t(e)").fetchall()[0][0])
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
dotted, in SELECT: True
dotted, in UNNEST: False
subscript, in SELECT: True
subscript, in UNNEST: True
SEEN
echo "as on 2026-11-30"
