#!/usr/bin/env bash
# DuckDB (Python package duckdb): ROUND of a DECIMAL beside another DECIMAL.
#
# Expected: of DECIMAL(38, 9) and DECIMAL(38, 0) the common type keeps the nine decimals, or the statement is an error.
# Behaviour: ROUND, TRUNC, CEIL and FLOOR of a DECIMAL(38, 9) are DECIMAL(38, 0), and the common type of the two is that
#   one: a CASE, a COALESCE or a list that holds both loses the decimals of the other without a word.
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

rounded = "round(2.5::DECIMAL(38, 9))"
for asked in (
    f"typeof({rounded})",
    f"CASE WHEN true THEN 1.25::DECIMAL(38, 9) ELSE {rounded} END",
    f"coalesce(1.25::DECIMAL(38, 9), {rounded})",
    f"[1.25::DECIMAL(38, 9), {rounded}][1]",
):
    print(f"{asked}: {duckdb.sql(f'SELECT {asked}').fetchall()[0][0]}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
typeof(round(2.5::DECIMAL(38, 9))): DECIMAL(38,0)
CASE WHEN true THEN 1.25::DECIMAL(38, 9) ELSE round(2.5::DECIMAL(38, 9)) END: 1
coalesce(1.25::DECIMAL(38, 9), round(2.5::DECIMAL(38, 9))): 1
[1.25::DECIMAL(38, 9), round(2.5::DECIMAL(38, 9))][1]: 1
SEEN
echo "as on 2026-11-30"
