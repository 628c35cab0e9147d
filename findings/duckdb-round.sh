#!/usr/bin/env bash
# DuckDB (Python package duckdb): what a patch release rounds a DOUBLE to.
#
# Expected: a patch release gives the same values as the release before it; and ROUND(2.675, 2) of a DOUBLE, whose
#   stored value is 2.67499999999999982236431605997495353221893310546875, is 2.67 in both.
# Behaviour: up to 2.0.0, ROUND(x, n) is round(x * 10^n) / 10^n in double arithmetic: 2.675 * 100 is rounded to 267.5,
#   which is then a half. From 2.0.1 on the stored value decides. Exact halves go away from zero in both. A table that
#   was rounded by the older version is not what the newer one computes from the same input.
# Same in 2.0.1 as in 2.0.0: CAST of a DOUBLE to BIGINT takes the even neighbour of a half where ROUND does not, and a
#   DECIMAL without precision has three places.
#
# Seen on 2026-11-28, Python 3.11, Linux x86_64:
#   2.0.0: 2.68 1.12 0.2 1.0 3.0 -3.0 0.13 | 2 2.675
#   2.0.1: 2.67 1.11 0.1 1.0 3.0 -3.0 0.13 | 2 2.675
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the packages could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/ask.py" <<'PY'
import duckdb

FLOATS = (("2.675", 2), ("1.115", 2), ("0.15", 1), ("1.005", 2), ("2.5", 0), ("-2.5", 0), ("0.125", 2))
rounded = ", ".join(f"ROUND({value}::DOUBLE, {places})" for value, places in FLOATS)
*floats, whole, decimal = duckdb.sql(f"SELECT {rounded}, CAST(2.5::DOUBLE AS BIGINT), '2.6749'::DECIMAL").fetchall()[0]
print(f"{duckdb.__version__}:", *floats, "|", whole, decimal)
PY

for version in 2.0.0 2.0.1; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/python" -m pip install --quiet --disable-pip-version-check "duckdb==$version" || exit 2
    "$folder/$version/bin/python" "$folder/ask.py"
done | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
2.0.0: 2.68 1.12 0.2 1.0 3.0 -3.0 0.13 | 2 2.675
2.0.1: 2.67 1.11 0.1 1.0 3.0 -3.0 0.13 | 2 2.675
SEEN
echo "as on 2026-11-28"
