#!/usr/bin/env bash
# DuckDB (Python package duckdb): error() within TRY().
#
# Expected: TRY(x) is NULL where x raises an error, and error('…') is the function that raises one: TRY(IF(…,
#   error('…'), …)) is NULL where the condition holds.
# Behaviour: an error of a cast becomes NULL. A statement in which TRY() holds error() anywhere is refused when it is
#   bound, also where it would never be called: error() counts as volatile, and TRY takes no volatile function.
#
# Seen on 2026-11-30, Python 3.11, Linux x86_64, duckdb 2.0.1:
#   TRY(CAST('x' AS INTEGER)): None
#   TRY(error('no')): Binder Error: TRY can not be used in combination with a volatile function
#   TRY(CASE WHEN FALSE THEN error('no') ELSE 1 END): Binder Error: TRY can not be used in combination with a volatile function
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the packages could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "duckdb==2.0.1" || exit 2

cat >"$folder/ask.py" <<'PY'
import duckdb


def asked(expression: str) -> object:
    try:
        return duckdb.sql(f"SELECT {expression}").fetchall()[0][0]
    except duckdb.BinderException as error:
        return str(error).splitlines()[0]


for expression in ("TRY(CAST('x' AS INTEGER))", "TRY(error('no'))", "TRY(CASE WHEN FALSE THEN error('no') ELSE 1 END)"):
    print(f"{expression}: {asked(expression)}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
TRY(CAST('x' AS INTEGER)): None
TRY(error('no')): Binder Error: TRY can not be used in combination with a volatile function
TRY(CASE WHEN FALSE THEN error('no') ELSE 1 END): Binder Error: TRY can not be used in combination with a volatile function
SEEN
echo "as on 2026-11-30"
