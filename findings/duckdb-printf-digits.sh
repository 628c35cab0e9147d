#!/usr/bin/env bash
# DuckDB (Python package duckdb): printf('%.2f') of a large DOUBLE.
#
# Expected: all digits of the number that a DOUBLE is, as in C; every DOUBLE above 2^53 is a whole number.
# Behaviour: some fifty digits are right, the others are zeros: another number, written to the hundredth.
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

for power in (22, 49, 70):
    number = 7.0 * 10.0**power
    written = duckdb.execute("SELECT printf('%.2f', ?::DOUBLE)", [number]).fetchall()[0][0]
    print(f"7e{power}: {written}, {'all digits' if written == f'{number:.2f}' else f'not {number:.2f}'}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
7e22: 70000000000000004194304.00, all digits
7e49: 69999999999999994956245171694665645245482821222400.00, all digits
7e70: 70000000000000000477395900588817312382161617279052734375000000000000000.00, not 70000000000000000479713924109379883756045127224328986030057344332726272.00
SEEN
echo "as on 2026-11-30"
