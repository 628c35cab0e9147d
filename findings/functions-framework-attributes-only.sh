#!/usr/bin/env bash
# functions-framework: a push of Pub/Sub whose message has attributes and no data.
#
# Expected: a message needs data or at least one attribute (Pub/Sub, PubsubMessage); so a function with the signature
#   "cloudevent" is called for a message with attributes alone, as it is for one with data.
# Behaviour: it is not called. The framework answers 400 before it, because it reads message.data of every push that it
#   turns into a CloudEvent. Pub/Sub takes that for a refusal and delivers the message again, until it is given up.
#
# Seen on 2026-11-29, Python 3.11, Linux x86_64, functions-framework 3.10.2:
#   data and attributes: 200, called 1
#   attributes alone: 400, called 0
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the package could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/main.py" <<'PY'
CALLS = []


def listen(event):
    CALLS.append(event["id"])
PY

cat >"$folder/ask.py" <<'PY'
import base64
import sys

import functions_framework

client = functions_framework.create_app("listen", sys.argv[1], "cloudevent").test_client()
message = {"messageId": "1", "publishTime": "2026-01-01T00:00:00Z", "attributes": {"kind": "example"}}
for name, more in (("data and attributes", {"data": base64.b64encode(b"{}").decode()}), ("attributes alone", {})):
    body = {"message": {**message, **more}, "subscription": "projects/example/subscriptions/example"}
    before = len(sys.modules["main"].CALLS)
    answer = client.post("/projects/example/topics/example", json=body)
    print(f"{name}: {answer.status_code}, called {len(sys.modules['main'].CALLS) - before}")
PY

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "functions-framework==3.10.2" || exit 2
"$folder/venv/bin/python" "$folder/ask.py" "$folder/main.py" 2>"$folder/errors" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
data and attributes: 200, called 1
attributes alone: 400, called 0
SEEN
