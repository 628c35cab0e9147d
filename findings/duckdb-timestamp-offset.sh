#!/usr/bin/env bash
# DuckDB (Python package duckdb): text with a UTC offset that becomes a TIMESTAMP (without time zone).
#
# Expected: the point in time is kept, in UTC, as up to 1.3.2 and as BigQuery's TIMESTAMP has it; or an error; in any case
#   the same in a minor release as in the one before.
# Behaviour: from 1.4.0 on the offset is read and dropped without a word: 02:00+02:00 is 02:00, two hours late. So do a
#   cast, a TIMESTAMP literal and read_json with a declared TIMESTAMP. CAST to TIMESTAMPTZ keeps the point in time in all
#   of them, and so does read_json that guesses the type, as it takes TIMESTAMPTZ for such text in 2.0.1.
#
# Seen on 2026-11-29, Python 3.11, Linux x86_64:
#   1.3.2: cast 00:00 literal 00:00 json 00:00 timestamptz 00:00
#   1.4.0: cast 02:00 literal 02:00 json 02:00 timestamptz 00:00
#   2.0.1: cast 02:00 literal 02:00 json 02:00 timestamptz 00:00
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the packages could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

echo '{"t": "2026-01-01T02:00:00+02:00"}' >"$folder/rows.jsonl"
cat >"$folder/ask.py" <<'PY'
import sys

import duckdb

duckdb.sql("SET TimeZone = 'UTC'")
text = "'2026-01-01T02:00:00+02:00'"
asked = {
    "cast": f"SELECT CAST({text} AS TIMESTAMP)",
    "literal": f"SELECT TIMESTAMP {text}",
    "json": f"SELECT t FROM read_json('{sys.argv[1]}', columns = {{'t': 'TIMESTAMP'}})",
    "timestamptz": f"SELECT CAST(CAST({text} AS TIMESTAMPTZ) AS TIMESTAMP)",
}
found = (f"{name} {duckdb.sql(sql).fetchall()[0][0]:%H:%M}" for name, sql in asked.items())
print(f"{duckdb.__version__}:", *found)
PY

for version in 1.3.2 1.4.0 2.0.1; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/python" -m pip install --quiet --disable-pip-version-check "duckdb==$version" pytz==2025.2 || exit 2
    "$folder/$version/bin/python" "$folder/ask.py" "$folder/rows.jsonl"
done | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
1.3.2: cast 00:00 literal 00:00 json 00:00 timestamptz 00:00
1.4.0: cast 02:00 literal 02:00 json 02:00 timestamptz 00:00
2.0.1: cast 02:00 literal 02:00 json 02:00 timestamptz 00:00
SEEN
echo "as on 2026-11-29"
