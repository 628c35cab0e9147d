#!/usr/bin/env bash
# jsonschema's own format checker: which formats it looks at.
#
# Expected: a validator that is given the format checker of its draft looks at `date-time` and `time` as it does at `date`, or says
#   that it cannot. (The documentation lists what each format needs; nothing is said when a schema is checked or used.)
# Behaviour: `date` is looked at. `date-time` and `time` are let pass whatever stands there, as long as a package is absent that
#   `jsonschema` does not install by itself: a document of wrong moments is valid, in silence.
#
# Seen on 2026-12-01, Python 3.11, Linux x86_64, jsonschema 4.26.0:
#   date: 1 problem
#   date-time: 0 problems
#   time: 0 problems
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the package could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/ask.py" <<'PY'
from jsonschema import Draft202012Validator

for name in ("date", "date-time", "time"):
    schema = {"type": "string", "format": name}
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    found = len(list(validator.iter_errors("the second of March")))
    print(f"{name}: {found} problem{'' if found == 1 else 's'}")
PY

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "jsonschema==4.26.0" || exit 2
"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
date: 1 problem
date-time: 0 problems
time: 0 problems
SEEN
echo "as on 2026-12-01"
