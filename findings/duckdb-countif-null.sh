#!/usr/bin/env bash
# DuckDB (Python package duckdb): COUNTIF where no row has a true or false condition.
#
# Expected: a count. COUNT(*) FILTER (WHERE x) is 0 over no rows and over rows whose condition is NULL, and so is COUNTIF
#   in BigQuery, whose name it has (https://cloud.google.com/bigquery/docs/reference/standard-sql/aggregate_functions#countif).
# Behaviour: NULL in both cases. A HAVING COUNTIF(x) = 0 drops such a group, and a sum over several of them is NULL.
#
# Seen on 2026-11-29, Python 3.11, Linux x86_64:
#   1.5.5: no rows None 0 | all NULL None 0 | one false 0 0
#   2.0.1: no rows None 0 | all NULL None 0 | one false 0 0
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the packages could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/ask.py" <<'PY'
import duckdb

ask = "SELECT COUNTIF(x > 5), COUNT(*) FILTER (WHERE x > 5) FROM {}"
rows = {
    "no rows": "(SELECT 1 AS x WHERE FALSE) AS t",
    "all NULL": "(VALUES (NULL::INT), (NULL)) AS t(x)",
    "one false": "(VALUES (NULL::INT), (1)) AS t(x)",
}
found = (" ".join([name, *map(str, duckdb.sql(ask.format(of)).fetchall()[0])]) for name, of in rows.items())
print(f"{duckdb.__version__}: {' | '.join(found)}")
PY

for version in 1.5.5 2.0.1; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/python" -m pip install --quiet --disable-pip-version-check "duckdb==$version" || exit 2
    "$folder/$version/bin/python" "$folder/ask.py"
done | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
1.5.5: no rows None 0 | all NULL None 0 | one false 0 0
2.0.1: no rows None 0 | all NULL None 0 | one false 0 0
SEEN
echo "as on 2026-11-29"
