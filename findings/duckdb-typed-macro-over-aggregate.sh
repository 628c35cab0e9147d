#!/usr/bin/env bash
# DuckDB (Python package duckdb): a macro that is overloaded by types, with an aggregate as its argument.
#
# Expected: an overload is chosen by the types of the arguments, whatever they are made of: SUM of a DOUBLE is a
#   DOUBLE, and a cast says its type itself.
# Behaviour: with a column, a literal or another scalar the right overload is taken. With an aggregate or a window
#   function as argument, also inside of a CAST, every overload counts as a match: BinderException, "multiple
#   overloads that match". A macro without types takes the same arguments.
#
# Seen on 2026-11-30, Python 3.11, Linux x86_64, duckdb 2.0.1:
#   half(x): 2.5
#   half(abs(x)): 2.5
#   plain_half(sum(x)): 2.5
#   half(sum(x)): BinderException
#   half(CAST(sum(x) AS DOUBLE)): BinderException
#   half(sum(x) OVER ()): BinderException
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the packages could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "duckdb==2.0.1" || exit 2

cat >"$folder/ask.py" <<'PY'
import duckdb

duckdb.sql("CREATE MACRO half(x BIGINT) AS x // 2, (x DOUBLE) AS x / 2")
duckdb.sql("CREATE MACRO plain_half(x) AS x / 2")
rows = "(SELECT 5::DOUBLE AS x)"


def asked(expression: str) -> object:
    try:
        return duckdb.sql(f"SELECT {expression} FROM {rows}").fetchall()[0][0]
    except duckdb.BinderException as error:
        return "BinderException" if "multiple overloads that match" in str(error) else error


for expression in ("half(x)", "half(abs(x))", "plain_half(sum(x))", "half(sum(x))", "half(CAST(sum(x) AS DOUBLE))", "half(sum(x) OVER ())"):
    print(f"{expression}: {asked(expression)}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
half(x): 2.5
half(abs(x)): 2.5
plain_half(sum(x)): 2.5
half(sum(x)): BinderException
half(CAST(sum(x) AS DOUBLE)): BinderException
half(sum(x) OVER ()): BinderException
SEEN
echo "as on 2026-11-30"
