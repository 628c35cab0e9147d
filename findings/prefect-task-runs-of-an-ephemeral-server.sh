#!/usr/bin/env bash
# Prefect with the server that it starts by itself (no API URL, SQLite): the task runs of a flow whose process ends when the flow has.
#
# Expected: states of tasks may be entered after the fact ("eventual consistency for task states in the UI and API queries",
#   concepts/tasks, Client-side orchestration), and are all there in the end; nothing there or in concepts/settings-and-profiles,
#   which describes this server, says otherwise.
# Behaviour: of a flow that ends as COMPLETED, in a process that ends with status 0, most task runs are never recorded (they have
#   no row, or stay PENDING or RUNNING), because the process stops the server before it has entered the states that it was sent.
#   A later process with the same PREFECT_HOME finds no more of them. Where the process waits until the API shows all of them
#   before it ends, all are recorded: the states are lost at the end, not on the way.
#
# Seen on 2026-11-30, Python 3.11, Linux x86_64, prefect 3.9.1, two cores, a flow of 500 tasks in a pool of eight threads:
#   ends with the flow: COMPLETED, status 0 | recorded as COMPLETED: fewer than half
#   after another process of fifteen seconds: the same rows
#   waits for the records: COMPLETED, status 0 | recorded as COMPLETED: all
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the package could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/run.py" <<'PY'
import sys
import time

from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import TaskRunFilter
from prefect.task_runners import ThreadPoolTaskRunner

TASKS = 500
COMPLETED = TaskRunFilter(state={"type": {"any_": ["COMPLETED"]}})


@task
def idle(number: int) -> int:
    return number


@flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
def many() -> int:
    return sum(future.result() for future in [idle.submit(number) for number in range(TASKS)])


state = many(return_state=True)
assert state.result() == sum(range(TASKS))
if sys.argv[1] == "waits for the records":
    with get_client(sync_client=True) as client:
        for _ in range(300):
            if client.read_task_runs(task_run_filter=COMPLETED, offset=TASKS - 1, limit=1):
                break
            time.sleep(1)
print(state.type.value)
PY

cat >"$folder/later.py" <<'PY'
import time

from prefect.client.orchestration import get_client

with get_client(sync_client=True) as client:
    assert [run.state_type.value for run in client.read_flow_runs()] == ["COMPLETED"]
    # The server enters what it has at least every five seconds.
    time.sleep(15)
PY

cat >"$folder/rows.py" <<'PY'
import sqlite3
import sys

for row in sqlite3.connect(sys.argv[1]).execute("SELECT id, state_type FROM task_run ORDER BY id"):
    print(*row)
PY

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "prefect==3.9.1" || exit 2

unset "${!PREFECT_@}"
export PREFECT_SERVER_ANALYTICS_ENABLED=false PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS=120

# run WAY: runs the flow with a home of its own, and tells how it ended and how much is recorded once its process has.
run() {
  local status=0 recorded
  export PREFECT_HOME="$folder/$1"
  "$folder/venv/bin/python" "$folder/run.py" "$1" >"$folder/state" 2>"$folder/errors" || status=$?
  "$folder/venv/bin/python" "$folder/rows.py" "$PREFECT_HOME/prefect.db" >"$folder/rows"
  recorded=$(grep -c COMPLETED "$folder/rows" || true)
  case $((recorded * 2 / 500)) in 0) recorded="fewer than half" ;; 1) recorded="half or more" ;; 2) recorded="all" ;; esac
  echo "$1: $(cat "$folder/state"), status $status | recorded as COMPLETED: $recorded"
}

{
  run "ends with the flow"
  "$folder/venv/bin/python" "$folder/later.py" 2>"$folder/errors"
  "$folder/venv/bin/python" "$folder/rows.py" "$PREFECT_HOME/prefect.db" >"$folder/rows later"
  later="other rows"
  ! cmp -s "$folder/rows" "$folder/rows later" || later="the same rows"
  echo "after another process of fifteen seconds: $later"
  run "waits for the records"
} | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
ends with the flow: COMPLETED, status 0 | recorded as COMPLETED: fewer than half
after another process of fifteen seconds: the same rows
waits for the records: COMPLETED, status 0 | recorded as COMPLETED: all
SEEN
echo "as on 2026-11-30"
