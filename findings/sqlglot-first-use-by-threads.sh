#!/usr/bin/env bash
# sqlglot: the first statements of a process, read by several threads at once.
#
# Expected: a dialect that is named (read="bigquery") is the same for every thread. The first use loads it; a thread that asks for
#   it meanwhile waits, as one that imports a module does.
# Behaviour: the dialect's class enters the registry as its first act of being made, before it has its own tokenizer and parser.
#   A thread that comes in between is handed the unfinished class, reads as no dialect in particular, and raises ParseError for
#   names in backticks; what both dialects can read is read by the wrong one, without an error. Importing the dialect's module
#   first (import sqlglot.dialects.bigquery) mends it: an import is waited for.
#
# Seen on 2026-11-29, Python 3.11, Linux x86_64, sqlglot 30.30.0, two cores; of 20 processes with 400 threads each, the ones in
# which a thread failed:
#   by name: some | ParseError
#   imported first: none
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the package could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "sqlglot==30.30.0" || exit 2

cat >"$folder/ask.py" <<'PY'
import sys
import threading
import time

import sqlglot

if sys.argv[1] == "imported first":
    import sqlglot.dialects.bigquery
# Threads take turns more often, so that fewer processes are needed to see it; it happens at the default too, more seldom.
sys.setswitchinterval(1e-6)
begin, errors = threading.Event(), set()


def read(seconds: float) -> None:
    begin.wait()
    time.sleep(seconds)
    try:
        sqlglot.parse_one("SELECT d FROM `raw.a`", read="bigquery")
    except Exception as error:
        errors.add(type(error).__name__)


threads = [threading.Thread(target=read, args=(n * 0.0002,)) for n in range(400)]
for thread in threads:
    thread.start()
begin.set()
for thread in threads:
    thread.join()
print(" ".join(sorted(errors)))
PY

for way in "by name" "imported first"; do
  seen=none
  for _ in $(seq 20); do
    errors=$("$folder/venv/bin/python" "$folder/ask.py" "$way")
    [ -z "$errors" ] || { seen="some | $errors"; break; }
  done
  echo "$way: $seen"
done | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
by name: some | ParseError
imported first: none
SEEN
echo "as on 2026-11-29"
