#!/usr/bin/env bash
# sqlglot, from BigQuery to DuckDB: the day of the week.
#
# Expected: the translation counts as BigQuery does, where EXTRACT(DAYOFWEEK FROM d) is 1 on a Sunday and 7 on a Saturday
#   (https://cloud.google.com/bigquery/docs/reference/standard-sql/date_functions#extract). sqlglot knows that weeks differ:
#   it shifts DATE_TRUNC(d, WEEK) by a day, so that it begins on a Sunday in DuckDB too.
# Behaviour: EXTRACT(DAYOFWEEK …) is passed on unchanged and without a warning, also with unsupported_level=RAISE. DuckDB
#   counts from 0: every number is one too low, and a condition such as "= 7" is never true.
#
# Seen on 2026-11-29, Python 3.11, Linux x86_64, sqlglot 30.30.0, duckdb 2.0.1:
#   EXTRACT(DAYOFWEEK FROM d) | Sunday 0 | Saturday 6 | week of the Wednesday begins 2024-01-07
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


def translated(sql: str) -> str:
    return sqlglot.transpile(sql, read="bigquery", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)[0]


day = translated("SELECT EXTRACT(DAYOFWEEK FROM d) AS n FROM t")
week = translated("SELECT DATE_TRUNC(d, WEEK) AS w FROM t")


def of(sql: str, date: str) -> object:
    duckdb.sql(f"CREATE OR REPLACE TABLE t AS SELECT DATE '{date}' AS d")
    return duckdb.sql(sql).fetchall()[0][0]


expression = day.removeprefix("SELECT ").partition(" AS ")[0]
print(
    f"{expression} | Sunday {of(day, '2024-01-07')} | Saturday {of(day, '2024-01-13')}"
    f" | week of the Wednesday begins {of(week, '2024-01-10')}"
)
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
EXTRACT(DAYOFWEEK FROM d) | Sunday 0 | Saturday 6 | week of the Wednesday begins 2024-01-07
SEEN
echo "as on 2026-11-29"
