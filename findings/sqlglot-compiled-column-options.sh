#!/usr/bin/env bash
# sqlglot compiled (the extra "c", package sqlglotc): the kind of a constraint that is BigQuery's OPTIONS of a column.
#
# Expected: the compiled package behaves as the one in Python, only faster: same tree, same attributes.
# Behaviour: both read the statement into the same tree, whose constraint holds Properties. The property `kind` of the
#   constraint returns them in Python; compiled, its declared type is enforced, which leaves Properties out: TypeError.
#
# Seen on 2026-11-30, Python 3.11, Linux x86_64, sqlglot 30.30.0, sqlglotc 30.30.0:
#   in Python: Properties, Properties
#   compiled: Properties, TypeError
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the packages could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check)
"${pip[@]}" install "sqlglot==30.30.0" || exit 2

cat >"$folder/ask.py" <<'PY'
import sqlglot
import sqlglot.parser
from sqlglot import exp

tree = sqlglot.parse_one("CREATE TABLE a.b (x INT64 OPTIONS (description = 'counted'))", read="bigquery")
constraint = tree.find(exp.ColumnConstraint)
try:
    kind = type(constraint.kind).__name__
except TypeError:
    kind = "TypeError"
how = "in Python" if sqlglot.parser.__file__.endswith(".py") else "compiled"
print(f"{how}: {type(constraint.args['kind']).__name__}, {kind}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"
"${pip[@]}" install "sqlglotc==30.30.0" || exit 2
"$folder/venv/bin/python" "$folder/ask.py" | tee -a "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
in Python: Properties, Properties
compiled: Properties, TypeError
SEEN
echo "as on 2026-11-30"
